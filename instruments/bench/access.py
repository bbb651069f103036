"""What a bench's secured links are opened with: the lab's certificate and trusted servers, and the files that the bench names."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from instruments.bench.file import BenchFile
from instruments.bench.security_spec import SecretSpec, SecuritySpec
from instruments.transport.opcua_security import LinkSecurity
from instruments.trust.certificates import read_certificate
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import Secret
from orchestrator.errors import AccessError

_SOON: Final = timedelta(days=60)
"""Whoever runs a server needs some weeks to renew its certificate and have it trusted."""


def security_of(bench: BenchFile, link: str) -> LinkSecurity | None:
    """Return what a link is opened with; None where its table names no security.

    Raises:
        AccessError: It is secured, and no lab is known whose certificate would be shown.
    """
    spec = bench.spec.links[link].security
    if spec is None:
        return None
    if bench.lab is None:
        raise AccessError("a secured link needs a lab, whose certificate the server is shown; --lab DIR names one")
    user_certificate, user_key = (None if one is None else bench.links_folder / one for one in (spec.user_certificate, spec.user_key))
    return LinkSecurity(
        spec.policy,
        spec.mode,
        TrustFolder.of_lab(bench.lab),
        spec.user,
        _secret(spec.password, bench.links_folder),
        user_certificate,
        user_key,
    )


def _secret(spec: SecretSpec | None, folder: Path) -> Secret | None:
    if spec is None:
        return None
    return Secret(file=None if spec.file is None else folder / spec.file, variable=spec.env)


def protection_of_links(bench: BenchFile) -> Iterator[str]:
    """Say of each OPC-UA link how it is secured, and as whom we come."""
    for name, link in bench.spec.links.items():
        if link.kind != "opcua":
            continue
        if (security := link.security) is None:
            yield f"link {name}: not secured; whoever is on the network can read and send"
            continue
        user = f"user {security.user}" if security.user is not None else "a user certificate" if security.user_certificate else "nobody"
        signed = "signed and enciphered" if security.mode == "SignAndEncrypt" else "signed, not enciphered"
        yield f"link {name}: {signed} ({security.policy}), as {user}"


def remarks_on_links(bench: BenchFile, lab: Path, *, now: datetime | None = None) -> Iterator[str]:
    """Iterate over what people should know of secured links before a live run.

    Args:
        bench: The bench.
        lab: Whose certificates count; it need not be there yet.
        now: Against which validity is judged; None for now.
    """
    secured = {name: link.security for name, link in bench.spec.links.items() if link.security is not None}
    for name, security in secured.items():
        yield from (f"link {name}: {line}" for line in _remarks(security, bench.links_folder))
    if secured:
        yield from _ending(TrustFolder.of_lab(lab), now or datetime.now(UTC))


def _ending(trust: TrustFolder, now: datetime) -> Iterator[str]:
    """Name certificates that end soon or have ended: a link that opens today may not open in mid-campaign."""
    own = [read_certificate(trust.own, what="certificate")] if trust.own.exists() else []
    for whose, several in (("this lab's own certificate", own), ("the trusted certificate of a server", trust.trusted)):
        for one in several:
            left = one.valid_until - now
            if left < _SOON:
                ends = f"ends in {left.days} days" if left > timedelta() else "has ended"
                yield f"{whose}, {one.subject}, {ends} ({one.valid_until:%Y-%m-%d})"


def _remarks(spec: SecuritySpec, folder: Path) -> Iterator[str]:
    if spec.password is not None and spec.password.env is not None:
        yield (
            f"its password is in {spec.password.env} of this shell alone; `athanor stop` from another one cannot open the link "
            "once the host is dead; a file (mode 0600) can be read by all"
        )
    for path in (folder / one for one in (spec.password and spec.password.file, spec.user_key) if one):
        if not path.exists():
            yield f"{path} is not there yet; a live run needs it, with mode 0600"
