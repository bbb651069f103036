"""A whole ledger taken out of a lab, and put into one: in its folder, or on a server."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.plans.disk_space import check_room
from flows.plans.lab import Lab, open_lab
from flows.plans.ledger import has_ledger, open_store
from flows.plans.places import identity_of, ledger_note, note_ledger, notes_of_new, place_by
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.started import make_own
from instruments.lab_processes.state_files import LAB, is_copy, read_state_file
from orchestrator.domain.identity import uuid7
from orchestrator.errors import BadInput
from orchestrator.store.moving import copy_ledger, owner_in, write_file
from orchestrator.store.place import LedgerPlace
from orchestrator.store.sql import SqlStore

IN_FOLDER: Final = "file"
"""What `--ledger` says for a ledger in the lab's folder."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A ledger that was written somewhere."""

    place: LedgerPlace
    head: tuple[int, str]

    @property
    def line(self) -> str:
        """Say where it is, and its head, by which it can be told from any other."""
        return "ledger {}: {} events, head {}".format(self.place, *self.head)


def export_ledger(lab: Lab, out: Path) -> Moved:
    """Write a lab's whole ledger into a new SQLite file, as of one moment, also while a campaign runs.

    Raises:
        BadInput: The file is there already.
        StoreError: The ledger is damaged, or the file cannot be written.
    """
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        return Moved(out, write_file(store, out, lab=identity_of(lab.path), kind=lab.kind))


def import_ledger(file: Path, folder: Path, to: str | None = None) -> Moved:
    """Make a lab of an exported ledger, or put it in the place of an existing lab's, which has to be the same or still empty.

    Args:
        file: What `export_ledger` wrote.
        folder: The lab folder.
        to: Where the ledger is to be: a URL, or `file`; None for where the lab, or the environment for a new one, has it.

    Raises:
        BadInput: It is no exported ledger, the lab is of another kind or has another ledger, or the place holds something.
        StoreError: The ledger is damaged, or its place cannot be written to.
    """
    with closing(SqlStore.open(file, read_only=True)) as source:
        owner = owner_in(source)
        if owner is None:
            raise BadInput(f"ledger {file} does not say which lab's it is; expected one that `athanor export --ledger` wrote")
        identity, kind = owner
        put = _into_lab if (folder / LAB).exists() else _into_new_lab
        return put(source, folder.resolve(), to, identity or uuid7(), kind)


def _into_new_lab(source: SqlStore, folder: Path, to: str | None, identity: str, kind: str) -> Moved:
    check_room(folder)
    notes = notes_of_new(folder, identity) if to is None else _note(to, identity)
    place = place_by({**notes, "id": identity}, folder, kind)
    folder.mkdir(parents=True, exist_ok=True)
    with closing(SqlStore.open(place)) as target:  # before the lab is made: a server may refuse
        make_own(folder, kind, identity=identity, notes=notes)
        return Moved(place, copy_ledger(source, target))


def _into_lab(source: SqlStore, folder: Path, to: str | None, identity: str, kind: str) -> Moved:
    lab = open_lab(folder)
    if lab.kind != kind:
        raise BadInput(f"lab {lab.path} is {lab.kind}, the ledger is that of a {kind} lab")
    if is_copy(lab.path):
        raise BadInput(f"lab {lab.path} is a copy of another folder; import the ledger into a new folder")
    with FileLock(lab.path / "campaign.lock", what="athanor import", lab=lab.path):
        own = identity_of(lab.path)
        notes = {"id": own, **_note(to, own)} if to is not None else read_state_file(lab.path / LAB)
        place = place_by(notes, lab.path, kind)
        if place != lab.ledger and has_ledger(lab):
            _check_same(source, lab, identity)
        with closing(SqlStore.open(place)) as target:
            moved = Moved(place, copy_ledger(source, target))
        note_ledger(lab.path, notes)
    return moved


def _check_same(source: SqlStore, lab: Lab, identity: str) -> None:
    """A lab whose ledger is moved has the same one: what was written since it was exported would be lost."""
    with open_store(lab, read_only=True) as store:
        head = store.head()
    if head[0] and (identity != identity_of(lab.path) or head != source.head()):
        now = "event {}, head {}".format(*head)
        raise BadInput(
            f"lab {lab.path} has another ledger, or went on since this one was exported ({now}); export it again while nobody writes"
        )


def _note(to: str, identity: str) -> dict[str, str]:
    return {} if to == IN_FOLDER else ledger_note(to, identity, what="--ledger")
