"""The tables of what people and rules said: decisions, signatures, answers and restrictions."""

import json
from collections.abc import Iterator
from typing import Any, Final

from flows.report.export.columns import Column, Table, moment
from flows.report.export.source import Source, when
from orchestrator.domain.lifecycle import AnswerStatus, ProposalStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.review import Answer, Verdict

_OF: Final = (
    Column("proposal_id", "The proposal."),
    Column("proposal", "Number of the proposal.", "integer"),
    Column("revision", "Revision of the proposal.", "integer"),
)
_REQUEST: Final = Column("request", "Number of the review request; empty where nobody was asked.", "integer")
_DECISIONS: Final = (
    Column("seq", "Number of the event.", "integer"),
    *_OF,
    Column("decision", "What it became, or signed: agreed to by one person of several.", "category"),
    Column("decided_by", "Person, rule or deadline.", "category"),
    Column("reason", "Why."),
    _REQUEST,
    Column("via", "Way by which people answered: page or terminal.", "category"),
    Column("comment", "What they said beside their verdict."),
    Column("content_hash", "The sha256 of what was decided."),
    *moment("decided", "it was decided"),
)
_SIGNATURES: Final = (
    *_OF,
    Column("person", "Who agreed.", "category"),
    Column("content_hash", "The sha256 of what they agreed to."),
    _REQUEST,
    Column("via", "Way by which they answered: page or terminal.", "category"),
    *moment("signed", "the signature was recorded"),
)
_ANSWERS: Final = (
    Column("answer_id", "Name of the answer."),
    _REQUEST,
    Column("reviewer", "Who answered.", "category"),
    Column("via", "Way of the answer: page or terminal.", "category"),
    Column("status", "What became of the answer.", "category"),
    Column("refused_because", "Why it was refused."),
    *_OF,
    Column("verdict", "What it says of the proposal.", "category"),
    Column("reason", "Why, as the reviewer says it."),
    Column("edits", "New values by column: JSON."),
    Column("comment", "What the reviewer said beside the verdicts."),
    Column("content_hash", "The sha256 of all that the reviewer saw."),
    *moment("answered", "the answer was recorded"),
)
_RESTRICTIONS: Final = (
    Column("restriction_id", "Name of the restriction."),
    Column("number", "Counts the campaign's restrictions from 1.", "integer"),
    Column("status", "Whether proposals keep to it.", "category"),
    Column("author", "Who said so.", "category"),
    Column("reason", "Why."),
    Column("restriction", "What is left of the search, with units, or which surroundings are avoided."),
    Column("columns", "What is left of each column: JSON, in the columns' units."),
    Column("around", "The configuration that is avoided: JSON, in the columns' units."),
    Column("radius", "How far to stay from it: mean over the parameters' differences, each over its range.", "number"),
    Column("last_batch", "The last batch that it binds; empty until it is lifted.", "integer"),
    Column("lifted_because", "Why it was lifted."),
    *moment("made", "it was recorded"),
    *moment("lifted", "it was lifted"),
)


def decisions_table(source: Source) -> Table:
    """Return one row per decision on a revision of a proposal, and per signature that was one of several."""
    rows = sorted((row for one in source.changes.proposals for row in _decisions(source, one)), key=lambda row: int(row["seq"]))
    return Table("decisions", "One row per decision on a revision of a proposal.", _DECISIONS, tuple(rows), ("seq",))


def _decisions(source: Source, proposal: Proposal) -> Iterator[dict[str, Any]]:
    for told in source.told("proposals", proposal.proposal_id, proposal.revision):
        event, then = told[0], Proposal.model_validate(told[1])
        if then.status is ProposalStatus.PROPOSED and not then.signatures:
            continue
        answers = answers_on(source, then)
        yield {
            "seq": event.seq,
            **_of(then),
            "decision": "signed" if then.status is ProposalStatus.PROPOSED else str(then.status),
            "decided_by": then.decided_by or str(event.by),
            "reason": event.payload.get("details", {}).get("reason") or then.reason,
            "request": _request(source, then),
            "via": joined(one.via for one in answers),
            "comment": joined(one.comment for one in answers),
            "content_hash": then.content_hash,
            **when("decided", [told]),
        }


def signatures_table(source: Source) -> Table:
    """Return one row per signature: who agreed to which content."""
    rows: list[dict[str, Any]] = []
    numbers = {one.request_id: one.number for one in source.changes.requests}
    for one in sorted(source.changes.proposals, key=lambda one: (one.number, one.revision)):
        told = source.told("proposals", one.proposal_id, one.revision)
        for signature in one.signatures:
            signed = [at for at in told if any(_is(kept, signature) for kept in at[1].get("signatures", ()))]
            ways = (answer.via for answer in answers_on(source, one) if answer.reviewer == signature.person)
            said = {"person": signature.person, "content_hash": signature.content_hash, "request": numbers.get(signature.request_id)}
            rows.append({**_of(one), **said, "via": joined(ways), **when("signed", signed)})
    return Table("signatures", "One row per person who agreed to a content.", _SIGNATURES, tuple(rows))


def _is(kept: Any, signature: Any) -> bool:
    return (kept["person"], kept["content_hash"]) == (signature.person, signature.content_hash)


def answers_table(source: Source) -> Table:
    """Return one row per proposal of each answer, refused ones included."""
    numbers = {one.proposal_id: one.number for one in source.changes.proposals}
    rows = [
        {"proposal": numbers.get(verdict.proposal_id), **_answer(source, answer, verdict)}
        for answer in source.changes.answers
        for verdict in answer.verdicts
    ]
    return Table("answers", "One row per verdict of each answer that came, refused ones included.", _ANSWERS, tuple(rows))


def _answer(source: Source, answer: Answer, verdict: Verdict) -> dict[str, Any]:
    return {
        "answer_id": answer.answer_id,
        "request": next((one.number for one in source.changes.requests if one.request_id == answer.request_id), None),
        "reviewer": answer.reviewer,
        "via": answer.via,
        "status": str(answer.status),
        "refused_because": answer.reason,
        "proposal_id": verdict.proposal_id,
        "revision": verdict.revision,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "edits": json.dumps(verdict.edits, sort_keys=True) if verdict.edits else None,
        "comment": answer.comment or None,
        "content_hash": answer.content_hash,
        **when("answered", source.told("answers", answer.answer_id)),
    }


def restrictions_table(source: Source) -> Table:
    """Return one row per restriction, lifted ones included."""
    rows = []
    for one in sorted(source.changes.restrictions, key=lambda one: one.number):
        told = source.told("restrictions", one.restriction_id)
        rows.append(
            {
                **one.model_dump(include={"restriction_id", "number", "author", "reason", "radius", "last_batch"}),
                "status": str(one.status),
                "restriction": one.shown(source.space.units),
                "columns": json.dumps(one.model_dump(exclude_defaults=True)["columns"], sort_keys=True) if one.columns else None,
                "around": json.dumps(one.around, sort_keys=True) if one.around else None,
                "radius": one.radius if one.around else None,
                "lifted_because": one.lifted,
                **when("made", told),
                **when("lifted", told[1:]),
            }
        )
    meaning = "One row per restriction of the search, lifted ones included."
    return Table("restrictions", meaning, _RESTRICTIONS, tuple(rows), ("restriction_id",))


def _of(proposal: Proposal) -> dict[str, Any]:
    return {"proposal_id": proposal.proposal_id, "proposal": proposal.number, "revision": proposal.revision}


def _requests(source: Source, proposal: Proposal) -> dict[str, int]:
    """Return the requests that asked about a revision, or under which it was signed after an edit: number by id."""
    signed, own = {one.request_id for one in proposal.signatures}, (proposal.proposal_id, proposal.revision)
    return {
        one.request_id: one.number
        for one in source.changes.requests
        if one.request_id in signed or any((asked.proposal_id, asked.revision) == own for asked in one.asked)
    }


def _request(source: Source, proposal: Proposal) -> int | None:
    return max(_requests(source, proposal).values(), default=None)


def answers_on(source: Source, proposal: Proposal) -> list[Answer]:
    """Return the answers about a revision that were not refused."""
    requests = _requests(source, proposal)
    return [
        one
        for one in source.changes.answers
        if one.request_id in requests
        and one.status is not AnswerStatus.REFUSED
        and any(verdict.proposal_id == proposal.proposal_id for verdict in one.verdicts)
    ]


def joined(texts: Any) -> str | None:
    """Return different texts in one cell."""
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None
