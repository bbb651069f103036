"""`athanor trust`: the lab's own certificate, and those of the servers that it trusts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import console, emit
from flows.cli.options import JsonOption, KindOption, LabOption, kind_of, the_lab
from orchestrator.errors import BadInput, NeedsPerson

if TYPE_CHECKING:
    from instruments.trust.certificates import Certificate

trust_app = typer.Typer(
    help="Certificates of secured links: the lab's own, and the servers' that it trusts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@trust_app.command(name="init")
def trust_init(lab: LabOption = None, dry: KindOption = None) -> None:
    """Make the lab's own key and certificate, which servers must trust."""
    from flows.plans.lab import find_or_make_lab
    from flows.running.trust_operations import make_own_certificate

    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind_of(dry), tell=console.print)
    own = make_own_certificate(found)
    console.print(f"{own.path}{'' if own.was_made else ' was there already'}; whoever runs a server must trust this file:")
    _print(own.certificate)


@trust_app.command(name="show")
def trust_show(
    source: Annotated[
        str | None, typer.Argument(help="Url of a server, or a file; the lab's own certificate where it is left out.")
    ] = None,
    lab: LabOption = None,
) -> None:
    """Show a certificate: fingerprint, subject, hosts, validity; nothing is changed."""
    from flows.running import trust_operations

    _print(trust_operations.shown_by(source) if source is not None else trust_operations.own_certificate(the_lab(lab)).certificate)


@trust_app.command(name="add")
def trust_add(
    source: Annotated[str, typer.Argument(help="Url of the server, which shows its certificate, or the certificate's file.")],
    fingerprint: Annotated[str | None, typer.Option("--fingerprint", help="What it must be (SHA-256); then nobody is asked.")] = None,
    lab: LabOption = None,
    dry: KindOption = None,
) -> None:
    """Trust a server's certificate, once a person has compared its fingerprint."""
    from flows.plans.lab import find_or_make_lab
    from flows.running import trust_operations

    certificate = trust_operations.shown_by(source)
    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind_of(dry), tell=console.print)
    if not trust_operations.trust(found, certificate, fingerprint=fingerprint, agreed=_asked):
        raise BadInput("nothing is trusted")
    console.print(f"trusted in {found.path}: {certificate.subject}, {certificate.fingerprint}")


def _asked(certificate: "Certificate") -> bool:
    _print(certificate)
    if not sys.stdin.isatty():
        raise NeedsPerson("nothing is trusted: compare the fingerprint with the server's own, then give it with --fingerprint")
    console.print("compare the fingerprint with what the server itself shows")
    return typer.confirm("trust it?")


@trust_app.command(name="list")
def trust_list(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """List the lab's certificates: its own, trusted and rejected ones."""
    from flows.running.trust_operations import known

    found = known(the_lab(lab))
    if as_json:
        emit({"certificates": [_document(kind, one) for kind, one in found]})
        return
    for kind, one in found:
        console.print(f"{kind:8}  {one.fingerprint}  {one.subject}  {', '.join(one.hosts)}  to {one.valid_until:%Y-%m-%d}")


@trust_app.command(name="revoke")
def trust_revoke(
    fingerprint: Annotated[str, typer.Argument(help="The fingerprint, or how it begins.")],
    lab: LabOption = None,
) -> None:
    """Trust a server no more; links that are open stay open until they end."""
    from flows.running import trust_operations

    gone = trust_operations.revoke(the_lab(lab), fingerprint)
    console.print(f"rejected: {gone.subject}, {gone.fingerprint}; a link that is open now stays open until it ends")


def _print(certificate: "Certificate") -> None:
    for line in certificate.lines:
        console.print(line)


def _document(kind: str, one: "Certificate") -> dict[str, Any]:
    return {
        "kind": kind,
        "fingerprint": one.fingerprint,
        "subject": one.subject,
        "application_uri": one.application_uri,
        "hosts": list(one.hosts),
        "valid_from": one.valid_from.isoformat(),
        "valid_until": one.valid_until.isoformat(),
    }
