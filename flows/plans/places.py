"""Where a lab keeps its ledger and Prefect its database, as `lab.json` or the environment say: in the lab's folder, or on a server."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from instruments.lab_processes.state_files import LAB, read_state_file, write_state_file
from orchestrator.errors import BadInput
from orchestrator.store.place import LedgerPlace, ServerLedger, beginning, read_address, schema_of, with_schema

LEDGER_VARIABLE: Final = "ATHANOR_LEDGER"
"""Labs that are made while it is set keep their ledger there."""
PREFECT_VARIABLE: Final = "ATHANOR_PREFECT_DATABASE"
"""Their Prefect servers keep what they show in this database."""
FILE: Final = "ledger.db"
_LEDGER_NOTE: Final = "ledger"
_PREFECT_NOTE: Final = "prefect_database"
_PREFECT_SCHEME: Final = "postgresql+asyncpg"


def noted_place(lab: Path, kind: str) -> LedgerPlace:
    """Return where a lab's ledger is, as `lab.json` says.

    Args:
        lab: The lab folder.
        kind: Of the lab; empty while its first run has not settled that.

    Raises:
        BadInput: What stands there is no URL of a ledger.
    """
    return place_by(read_state_file(lab / LAB), lab, kind)


def place_by(notes: Mapping[str, Any], lab: Path, kind: str) -> LedgerPlace:
    """Return where a lab's ledger is by what is noted, or about to be noted, of it."""
    noted = notes.get(_LEDGER_NOTE)
    if noted is None:
        return lab / FILE
    address, schema = read_address(str(noted), what=f"{lab / LAB}: ledger")
    identity = str(notes.get("id", ""))
    return ServerLedger(address, schema or schema_of(identity), identity, kind)


def identity_of(lab: Path) -> str:
    """Return a lab's identifier; empty for one of before they had any."""
    return str(read_state_file(lab / LAB).get("id", ""))


def prefect_database(lab: Path) -> str | None:
    """Return the database that a lab's Prefect server uses; None for a file in the lab's folder.

    Raises:
        BadInput: What is noted is no such URL, or holds a password.
    """
    noted = read_state_file(lab / LAB).get(_PREFECT_NOTE)
    return None if noted is None else _read_prefect(str(noted), what=f"{lab / LAB}: {_PREFECT_NOTE}")


def _read_prefect(text: str, *, what: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme != _PREFECT_SCHEME:
        raise BadInput(f"{what} {beginning(text)}; expected {_PREFECT_SCHEME}://USER@HOST:PORT/DATABASE, one database for each lab")
    read_address(f"postgresql://{rest}", what=what)
    return text


def notes_of_new(lab: Path, identity: str) -> dict[str, str]:
    """Return what a lab that is made notes of the environment; a folder that has a ledger keeps it."""
    ledger, prefect = os.environ.get(LEDGER_VARIABLE), os.environ.get(PREFECT_VARIABLE)
    notes = {} if not ledger or (lab / FILE).exists() else ledger_note(ledger, identity, what=LEDGER_VARIABLE)
    return {**notes, **({_PREFECT_NOTE: _read_prefect(prefect, what=PREFECT_VARIABLE)} if prefect else {})}


def ledger_note(text: str, identity: str, *, what: str) -> dict[str, str]:
    """Return what `lab.json` says of a ledger on a server: with its schema, so that a copied lab does not begin another one.

    Raises:
        BadInput: It is no URL of a ledger.
    """
    address, schema = read_address(text, what=what)
    return {_LEDGER_NOTE: with_schema(address, schema or schema_of(identity))}


def note_ledger(lab: Path, notes: Mapping[str, Any]) -> None:
    """Write where a lab's ledger is from now on; where the notes say nothing of it: in the lab's folder."""
    known = {name: value for name, value in read_state_file(lab / LAB).items() if name != _LEDGER_NOTE}
    try:
        write_state_file(lab / LAB, {**known, **notes})
    except OSError as error:
        raise BadInput(f"lab folder {lab} cannot be written to: {error.strerror}") from error
