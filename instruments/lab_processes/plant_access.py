"""By what a dry lab's plant and its host know each other: made with the lab's first secured plant, and left as it is then."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.state_files import PLANT, write_state_file
from instruments.trust.certificates import make_certificate
from instruments.trust.folder import PKI, TrustFolder
from instruments.trust.secret import write_private

_SECURITY: Final = "security.json"
_PASSWORD: Final = f"{PKI}/password"
_USER: Final = f"{PKI}/user"
_SERVER: Final = "urn:athanor:simulated-devices"
_HOSTS: Final = ("127.0.0.1", "localhost")


def prepare_plant_access(lab: Path, asked: Mapping[str, Mapping[str, Any]]) -> Path | None:
    """Let a lab and its plant trust each other, and write down what the plant asks of whoever connects.

    The user's real password or key is neither read nor needed: the simulated devices have their own.

    Args:
        lab: The lab folder.
        asked: Policy, mode, and user or user_certificate of each secured link, as the bench file says them.

    Returns:
        The file that the plant reads; None where no link is secured.

    Raises:
        OSError: Something cannot be written.
    """
    if not asked:
        return None
    folder = lab / PLANT
    _make_acquainted(TrustFolder.of_lab(lab), TrustFolder(folder / PKI))
    write_state_file(folder / _SECURITY, {link: _table(folder, one) for link, one in asked.items()})
    return folder / _SECURITY


def _make_acquainted(lab: TrustFolder, plant: TrustFolder) -> None:
    """Make what is missing; trust that was taken away later stays away."""
    lab.make_own()
    if not plant.own.exists():
        plant.keep_own(*make_certificate("Athanor simulated devices", application_uri=_SERVER, hosts=_HOSTS))
        plant.trust(lab.own_certificate())
        lab.trust(plant.own_certificate())


def _table(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    table = {"policy": asked["policy"], "mode": asked["mode"]}
    if asked.get("user") is not None:
        if not (folder / _PASSWORD).exists():
            write_private(folder / _PASSWORD, f"{secrets.token_urlsafe(24)}\n".encode())
        return {**table, "user": asked["user"], "password": {"file": _PASSWORD}}
    if asked.get("user_certificate") is None:
        return table
    certificate, key = f"{_USER}/certificate.der", f"{_USER}/key.pem"
    if not (folder / certificate).exists():
        pem, der = make_certificate("Athanor simulated user", application_uri="urn:athanor:simulated-user", hosts=())
        write_private(folder / key, pem)
        write_private(folder / certificate, der)
    return {**table, "user_certificate": certificate, "user_key": key}
