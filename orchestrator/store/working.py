"""People's answers to steps, in the ledger before the bench host hears of them: the first one counts, and is recorded once."""

from typing import Final

from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import ANSWER_STEPS, AnswerStatus, RunStatus, advance
from orchestrator.domain.review import Person
from orchestrator.domain.values import Frozen
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, StoreError
from orchestrator.review import prove
from orchestrator.store.checks import changed, check_same, everything, find_stored, get, known, name_of
from orchestrator.store.documents import PEOPLE, RUNS, WORK
from orchestrator.store.event_writer import EventWriter
from orchestrator.store.ledger import Reader

_WAITING: Final = (RunStatus.DISPATCHED, RunStatus.RUNNING)


def record_work(writer: EventWriter, answer: WorkAnswer, code: str | None, *, asks_code: bool) -> WorkAnswer:
    """Write an answer: received when it is the first one and whoever gave it may, else refused with the reason.

    Where the lab keeps people a code proves who it was, unless none is asked for: a stand-in could prove nothing. The same answer
    again (a command that was killed after writing, a stored form read twice) changes nothing.

    Raises:
        BadInput: No such run.
        StoreError: Another answer under this identifier.
    """
    if (before := find_stored(writer.ledger, answer)) is not None:
        check_same(f"content of {name_of(answer)}", before.words, answer.words)
        return before
    if get(writer.ledger, RUNS, answer.run_key) is None:
        raise BadInput(f"there is no run {answer.run_key!r} in this ledger")
    people = {person.name: person for person in everything(writer.ledger, PEOPLE)}
    person = prove(people, answer.person, code, what="person") if people and asks_code else None
    complaint = _too_late(writer.ledger, answer) or (person if isinstance(person, str) else None)
    judged = answer.evolve(status=AnswerStatus.REFUSED, refusal=complaint) if complaint else answer
    values: list[Frozen] = [judged, *([person] if isinstance(person, Person) else [])]
    writer.record(EventKind(f"work-{judged.status}"), *values)
    return judged


def _too_late(ledger: Reader, answer: WorkAnswer) -> str | None:
    """Say why a step waits for no answer any more; None while it may."""
    run = get(ledger, RUNS, answer.run_key)
    if run is not None and run.status not in _WAITING:
        return f"run {run.run_key} is {run.status}; it waits for nobody"
    for _, other in changed(ledger, WORK, answer.campaign):
        if (other.run_key, other.step) == (answer.run_key, answer.step) and other.status is not AnswerStatus.REFUSED:
            return f"step {answer.step} of run {answer.run_key} was answered by {other.person}; the first answer counts"
    return None


def settle_work(writer: EventWriter, answer: WorkAnswer) -> None:
    """Write what became of an answer at the bench host; nothing where that is known."""
    stored = known(writer.ledger, answer)
    if stored == answer:
        return
    advance(ANSWER_STEPS, stored.status, answer.status, what=name_of(answer))
    if stored.words != answer.words:
        raise StoreError(f"content of {name_of(answer)} differs from what the ledger holds")
    writer.record(EventKind(f"work-{answer.status}"), answer)
