"""Leading a person through a review request, question by question.

Nothing counts that was not typed: neither a verdict nor the last word has a default, and what is not legal is refused
with its reason and asked for again, never coerced. Who talks, what checks and where the answer goes is handed in.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from rich.console import RenderableType

from flows.review.answering import answer_of, value_of, verdict_on
from flows.review.outcome import expected, short
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.records import Prediction, Proposal
from orchestrator.domain.review import Answer, Asked, ReviewRequest, Verdict
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.review import unsigned

MENU: Final = {"a": "approve", "e": "edit", "r": "reject", "p": "page", "s": "skip", "q": "quit"}
FOLLOWS: Final = "the campaign carries it out (when it is not running: with its next run)"
LEFT_OPEN: Final = "left without an answer; request {} stays open"


class Talk(Protocol):
    """Says something to a person and asks."""

    def say(self, shown: RenderableType) -> None:
        """Show a line, or more."""
        ...

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """Return what is typed, without blanks around it; EOFError or KeyboardInterrupt where the person leaves."""
        ...


class Edits(Protocol):
    """Judges values that a person gives, as the campaign will."""

    @property
    def space(self) -> SearchSpace:
        """The campaign's search space."""
        ...

    @property
    def units(self) -> Mapping[str, str]:
        """Unit of each target."""
        ...

    def check_edit(self, proposal: Proposal, configuration: Configuration) -> None:
        """Refuse with BadInput what the campaign would refuse in a proposal's place."""
        ...

    def predict(self, configuration: Configuration) -> Mapping[str, Prediction]:
        """Say what is expected there; empty where there is no model."""
        ...


@dataclass(frozen=True, slots=True)
class Matter:
    """What is to be decided, and what it takes."""

    request: ReviewRequest
    proposals: Mapping[int, Proposal]
    """What is asked about, by number."""
    space: SearchSpace
    """The campaign's search space, whose columns people know in its order."""
    units: Mapping[str, str]
    """Of the targets."""
    needs_code: bool
    """Whether the lab keeps people."""
    page: Callable[[], RenderableType]
    edits: Callable[[], Edits]
    """Asked for at the first edit: it loads the models' libraries."""
    over: Callable[[], str | None]
    """Looks again whether the request still waits; says in a line why it does not."""
    give: Callable[[Answer, str | None], Answer]
    """Hands an answer and a code to the ledger; returns it as judged."""


def hold(talk: Talk, matter: Matter) -> str:
    """Ask about everything and hand the answer over; return in a line how it ended."""
    verdicts = ask_decision(talk, matter)
    if verdicts is None:
        return LEFT_OPEN.format(matter.request.number)
    while (over := matter.over()) is None:
        answer, code = _signed(talk, matter, verdicts)
        talk.say(_summary(matter, answer))
        if not yes(talk, "send?"):
            return LEFT_OPEN.format(matter.request.number)
        kept = matter.give(answer, code)
        if kept.status is not AnswerStatus.REFUSED:
            asked = {(one.proposal_id, one.revision): one for one in matter.proposals.values()}
            return f"request {matter.request.number}: {said(kept, matter.request, asked)}; {FOLLOWS}"
        talk.say(f"refused: {kept.reason}")
        if matter.over() is None and not yes(talk, "sign again?"):
            return LEFT_OPEN.format(matter.request.number)
    return f"{over}; nothing of this dialogue counts"


def said(answer: Answer, request: ReviewRequest, proposals: Mapping[tuple[str, int], Proposal]) -> str:
    """Sum an answer up in a line, with what it leaves to others."""
    approved = sum(one.verdict == "approve" for one in answer.verdicts)
    edited = sum(bool(one.edits) for one in answer.verdicts)
    refused = len(answer.verdicts) - approved
    lacking = "".join(f"; another person must sign proposal {number} as well" for number in unsigned(request, answer, proposals))
    return f"{approved} approved{f' ({edited} edited)' if edited else ''}, {refused} refused by {answer.reviewer}{lacking}"


def yes(talk: Talk, question: str) -> bool:
    """Ask until the answer is yes or no."""
    while (typed := talk.ask(f"{question} y/n: ").lower()) not in ("y", "yes", "n", "no"):
        talk.say("type y or n")
    return typed in ("y", "yes")


# ---------------------------------------------------------------------- one proposal after the other


def ask_decision(talk: Talk, matter: Matter) -> tuple[Verdict, ...] | None:
    """Ask about each proposal, skipped ones again after the others; None where the person quits."""
    found: dict[int, Verdict] = {}
    waiting = deque(matter.request.asked)
    while waiting:
        asked = waiting.popleft()
        match _decide_one(talk, matter, asked):
            case "quit":
                return None
            case "skip":
                waiting.append(asked)
                if len(waiting) == 1:
                    talk.say("nothing else is left: a decision is on all that the request asks about")
            case verdict:
                found[asked.number] = verdict
    return tuple(found[one.number] for one in matter.request.asked)


def _decide_one(talk: Talk, matter: Matter, asked: Asked) -> Verdict | Literal["skip", "quit"]:
    proposal = matter.proposals[asked.number]
    talk.say(_headline(asked, proposal, matter))
    while True:
        match _choice(talk):
            case "approve":
                return verdict_on(asked)
            case "edit":
                if edits := edited(talk, matter.edits(), proposal):
                    return verdict_on(asked, edits=edits)
            case "reject":
                return verdict_on(asked, refused=_reason(talk))
            case "page":
                talk.say(matter.page())
            case "skip":
                return "skip"
            case _:
                return "quit"


def _headline(asked: Asked, proposal: Proposal, matter: Matter) -> str:
    revision = f" revision {asked.revision}, written by {proposal.author}" if asked.revision > 1 or proposal.author else ""
    signed = [one.person for one in proposal.signatures if one.content_hash == asked.content_hash]
    needs = f"; {asked.people} persons must sign" if asked.people > 1 else ""
    signers = f"; signed by {' and '.join(signed)}" if signed else ""
    there = matter.space.present(proposal.configuration)
    values = ", ".join(f"{column} {short(there[column])}" for column in matter.space.columns if column in there)
    told = expected(proposal.provenance.predicted, matter.units) or "-"
    return f"\nproposal {asked.number}{revision}{needs}{signers}: {values}; expected, with 90 % intervals: {told}"


def _choice(talk: Talk) -> str:
    """Ask until one of the menu's entries is named, by its letter or in full."""
    while True:
        typed = talk.ask(f"{', '.join(f'[{letter}]{word[1:]}' for letter, word in MENU.items())}: ").lower()
        if typed in MENU or typed in MENU.values():
            return MENU.get(typed, typed)
        talk.say(f"type one of {', '.join(MENU)}")


def _reason(talk: Talk) -> str:
    while not (typed := talk.ask("why is it rejected? ")):
        talk.say("a rejection needs a reason")
    return typed


# ---------------------------------------------------------------------- other values


def edited(talk: Talk, edits: Edits, proposal: Proposal) -> dict[str, float | str]:
    """Ask for other values until they are legal; return those that differ, none where the person thinks better of it."""
    values: dict[str, float | str] = dict(proposal.configuration)
    talk.say("Enter keeps what stands in brackets")
    while True:
        for parameter in edits.space.parents_first:
            values |= _values(talk, edits.space, parameter, values, new=parameter.name in edits.space.absent(proposal.configuration))
        changed = _changed(edits.space, proposal.configuration, values)
        if not changed:
            talk.say("nothing was changed")
            return {}
        try:
            edits.check_edit(proposal, values)
        except BadInput as error:
            talk.say(f"refused: {error}")
            if yes(talk, "other values?"):
                continue
            return {}
        talk.say(f"changed: {_changes(proposal, changed)}")
        talk.say(_foreseen(edits.predict(values), proposal.provenance.predicted, edits.units))
        return changed if yes(talk, "approve with these values?") else {}


def _changed(space: SearchSpace, before: Configuration, after: Configuration) -> dict[str, float | str]:
    """Return what a person changed: what differs and is there, and all that comes in."""
    came, gone = space.absent_columns(before) - space.absent_columns(after), space.absent_columns(after)
    return {column: value for column, value in after.items() if column in came or (value != before[column] and column not in gone)}


def _values(
    talk: Talk, space: SearchSpace, parameter: Parameter, values: Mapping[str, float | str], *, new: bool
) -> dict[str, float | str]:
    """Ask for a parameter's values until they are legal by themselves; one that is absent has none to ask for, a `new` one none yet."""
    if parameter.name in space.absent(values):
        return parameter.absence
    while True:
        legal = parameter.beside_others(parameter.legal)
        found = {column: _value(talk, space, column, None if new else values[column], legal) for column in parameter.columns}
        complaint = parameter.complaint(found)
        if complaint is None:
            return found
        talk.say(f"refused: {complaint}")


def _value(talk: Talk, space: SearchSpace, column: str, current: float | str | None, legal: str) -> float | str:
    while True:
        typed = talk.ask(f"  {column} ({legal}){'' if current is None else f' [{short(current)}]'}: ")
        if current is not None and typed in ("", short(current)):
            return current
        try:
            return value_of(space, column, typed, what=column)
        except BadInput as error:
            talk.say(f"refused: {error}")


def _changes(proposal: Proposal, changed: Mapping[str, float | str]) -> str:
    return ", ".join(f"{column} {short(value)} (was {short(proposal.configuration[column])})" for column, value in changed.items())


def _foreseen(now: Mapping[str, Prediction], before: Mapping[str, Prediction], units: Mapping[str, str]) -> str:
    if not now:
        return "nothing is predicted with your values: there is no model yet"
    told = (
        f"{name} {one.shown(units.get(name, ''))}{f', was {before[name].shown()}' if name in before else ''}" for name, one in now.items()
    )
    return f"predicted with your values, with 90 % intervals: {'; '.join(told)}"


# ---------------------------------------------------------------------- whose answer it is


def _signed(talk: Talk, matter: Matter, verdicts: Sequence[Verdict]) -> tuple[Answer, str | None]:
    """Ask who answers, and for a comment; return the answer and the code."""
    while True:
        reviewer = talk.ask("your name: ")
        code = talk.ask("one-time code (not shown): ", hidden=True) if matter.needs_code else None
        comment = talk.ask("comment (Enter for none): ")
        try:
            return answer_of(matter.request, uuid7(), reviewer=reviewer, verdicts=verdicts, comment=comment), code
        except BadInput as error:
            talk.say(f"refused: {error}")


def _summary(matter: Matter, answer: Answer) -> str:
    lines = [f"\nrequest {matter.request.number}, by {answer.reviewer}{f': {answer.comment}' if answer.comment else ''}"]
    for asked, verdict in zip(matter.request.asked, answer.verdicts, strict=True):
        how = f" with {_changes(matter.proposals[asked.number], verdict.edits)}" if verdict.edits else ""
        lines.append(f"  proposal {asked.number}: {verdict.verdict}{how}{f': {verdict.reason}' if verdict.reason else ''}")
    return "\n".join(lines)
