"""What people are told of a request where they look: in the name, the last state and the log of its review run, and in the terminal.

Prefect's default page shows no form's description, and no list of runs shows more than names: so the name says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus, ReviewStatus
from orchestrator.domain.records import Prediction, Proposal
from orchestrator.domain.review import Answer, Asked, ReviewRequest, Verdict
from orchestrator.history import History
from orchestrator.review import signers_of, unsigned

NAME_LENGTH: Final = 180
"""Characters of a run's name; whole sentences stand in the form, the log and the last state."""
Proposals = Mapping[tuple[str, int], Proposal]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a review run is shown that is over."""

    name: str
    said: str
    is_answered: bool
    """Whether it brought the answer that counts."""


def notice(request: ReviewRequest, proposals: Proposals) -> str:
    """Return what must be read before anything is answered: why the last answer was refused, and who has signed."""
    refused = [f"last answer refused: {request.complaint}"] if request.complaint else []
    return "; ".join([*refused, *(told for one in request.asked if (told := signed_by(one, proposals)))])


def signed_by(asked: Asked, proposals: Proposals) -> str:
    """Say who has signed a proposal that still waits for another signature; empty where nobody has."""
    proposal = proposals[(asked.proposal_id, asked.revision)]
    names = signers_of(proposal) if proposal.status is ProposalStatus.PROPOSED else ()
    return f"proposal {asked.number} is signed by {' and '.join(names)}; another person must sign as well" if names else ""


def asking(request: ReviewRequest, proposals: Proposals) -> str:
    """Return the name of a run that waits for people."""
    told = notice(request, proposals)
    return _name(request, f" ({request.extent}){f': {told}' if told else ''}")


def ending(history: History, request: ReviewRequest, flow_run_id: str, *, otherwise: str = "") -> Ending:
    """Return how a request's review run is shown that is over.

    `otherwise` is said where it brought no answer and nothing has become of the request.
    """
    keys = [f"{run.flow_run_id}/{run.key}" for run in request.runs if run.flow_run_id == flow_run_id]
    own = next((history.answers[key] for key in keys if key in history.answers), None)
    if own is None or own.status is AnswerStatus.REFUSED:
        said = (
            f"refused, {own.reviewer}: {own.reason}" if own is not None else _without_answer(history, request) or otherwise or "asked again"
        )
        return Ending(_name(request, f": {said}"), said, is_answered=False)
    said = outcome(history, request, own)
    return Ending(_name(request, f": {said}"), said, is_answered=True)


def _without_answer(history: History, request: ReviewRequest) -> str:
    other = history.answers.get(request.answer_id or "")
    if other is not None:
        return f"answered elsewhere ({other.via}): {outcome(history, request, other)}"
    return "" if request.status is ReviewStatus.OPEN else request.reason or request.status


def outcome(history: History, request: ReviewRequest, answer: Answer) -> str:
    """Say what an answer brought, proposal by proposal."""
    parts: dict[str, list[str]] = {}
    lacking = unsigned(request, answer, history.proposals)
    for asked, verdict in zip(request.asked, answer.verdicts, strict=False):
        done, detail = _became(history.proposals, asked, verdict)
        if asked.number in lacking:
            done, detail = "signed", "another person must sign as well"
        parts.setdefault(done, []).append(f"{asked.number}{f' ({detail})' if detail else ''}")
    told = "; ".join(f"{done} {', '.join(numbers)}" for done, numbers in parts.items())
    return f"{answer.reviewer}: {told}{'; being carried out' if answer.status is AnswerStatus.RECEIVED else ''}"


def _became(proposals: Proposals, asked: Asked, verdict: Verdict) -> tuple[str, str]:
    """Return in a word what became of a proposal, and what is to be said of it."""
    proposal = proposals[(asked.proposal_id, asked.revision)]
    if verdict.verdict == "reject":
        return "refused", verdict.reason or ""
    if verdict.edits:
        edited = proposals.get((asked.proposal_id, asked.revision + 1))
        waits = edited is not None and edited.status is ProposalStatus.PROPOSED
        return "edited, to be decided anew" if waits else "edited", _edits(proposal, verdict)
    return "approved", ""


def _edits(proposal: Proposal, verdict: Verdict) -> str:
    return ", ".join(f"{column} {short(value)}, was {short(proposal.configuration[column])}" for column, value in verdict.edits.items())


def short(value: float | str) -> str:
    """Write a value that stands beside a question or an answer; one that is kept is kept in full."""
    return value if isinstance(value, str) else f"{value:.6g}"


def expected(predicted: Mapping[str, Prediction], units: Mapping[str, str]) -> str:
    """Write what is expected with its 90 % intervals; empty where nobody knows."""
    return ", ".join(f"{name} {one.shown(units.get(name, ''))}" for name, one in predicted.items())


def _name(request: ReviewRequest, told: str) -> str:
    name = f"review {request.campaign} request {request.number}{told}"
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."
