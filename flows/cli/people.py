"""`athanor people`: who may sign, and their one-time codes."""

from contextlib import closing
from pathlib import Path
from typing import Final

from flows.console import console, emit
from flows.plans.lab import Kind, clock_of, find_lab, find_or_make_lab
from orchestrator.domain.events import EventKind
from orchestrator.domain.review import Person, draw_codes
from orchestrator.errors import BadInput
from orchestrator.store.sql import SqlStore

SHEET: Final = 40
"""One-time codes on a person's sheet."""


def add_person(name: str, *, lab: Path | None, by: str, as_json: bool, kind: Kind | None = None) -> None:
    """Register somebody who may sign, or print a fresh sheet in place of the old one; also before the lab's first run."""
    made: list[str] = []
    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind, tell=made.append)
    codes = draw_codes(SHEET)
    with closing(SqlStore.open(found.ledger)) as store:
        person = Person(name=name).with_codes(codes)
        store.keep(person, kind=EventKind.PERSON_ADDED, by=by, now=clock_of(found, store).now())
    if as_json:
        emit({"name": name, "codes": codes, "lab": str(found.path), "kind": None if found.is_unsettled else found.kind})
        return
    for line in made:
        console.print(line)
    console.print(f"one-time codes of {name}; each works once, and nothing else proves who signs. Print them; they are not shown again.")
    for start in range(0, SHEET, 5):
        console.print("   ".join(codes[start : start + 5]))


def revoke_person(name: str, *, lab: Path | None, by: str, reason: str) -> None:
    """Let somebody sign no more; what they have signed stays.

    Raises:
        BadInput: Nobody of that name.
    """
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, create=False)) as store:
        people = {person.name: person for person in store.people()}
        if name not in people:
            raise BadInput(f"lab {found.path} knows no person {name!r}; it knows {', '.join(people) or 'nobody'}")
        if people[name].revoked:
            raise BadInput(f"{name} may sign no more since an earlier revocation; nothing is changed")
        revoked = people[name].evolve(revoked=True, codes=())
        store.keep(revoked, kind=EventKind.PERSON_REVOKED, by=by, now=clock_of(found, store).now(), reason=reason)
    console.print(f"{name} may sign no more")


def list_people(*, lab: Path | None, as_json: bool) -> None:
    """Show who may sign and how many codes are left."""
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        rows = [{"name": one.name, "revoked": one.revoked, "codes": len(one.codes)} for one in store.people()]
    if as_json:
        emit({"people": rows})
        return
    if not rows:
        console.print("nobody is registered: whoever reaches this lab may decide, under any name")
    for row in rows:
        console.print(f"{row['name']}: revoked" if row["revoked"] else f"{row['name']}: {row['codes']} codes left")
