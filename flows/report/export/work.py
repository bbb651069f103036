"""The table of what people answered to steps of experiments."""

import json
from collections.abc import Iterator
from typing import Any, Final

from flows.report.export.columns import Column, Table, moment
from flows.report.export.source import Source, when
from orchestrator.domain.records import ExperimentRun
from orchestrator.domain.run_code import run_code
from orchestrator.domain.work import WorkAnswer

_COLUMNS: Final = (
    Column("answer_id", "Name of the answer."),
    Column("run_key", "The attempt that waited for it."),
    Column("run_code", "The run's code on paper."),
    Column("step", "Index of the step, from 0.", "integer"),
    Column("do", "What the step does.", "category"),
    Column("instructions", "What was asked, with the experiment's own values."),
    Column("asked_of", "Who was asked; empty for anybody of the lab.", "category"),
    Column("person", "Who answered; in a dry run a stand-in, whose name says so.", "category"),
    Column("outcome", "Whether it was done, was not, or went wrong.", "category"),
    Column("values", "What they brought back, as it was typed: JSON."),
    Column("reason", "Why it was not done, or what went wrong."),
    Column("comment", "What they said beside it."),
    Column("via", "Way of the answer: page or terminal, or dry-run where a stand-in gave it.", "category"),
    Column("status", "What became of the answer.", "category"),
    Column("refused_because", "Why it was refused."),
    *moment("answered", "the answer was recorded"),
    *moment("settled", "it was recorded what the bench made of it"),
)


def work_answers_table(source: Source) -> Table:
    """Return one row per answer to a step, refused ones included."""
    rows = tuple(_row(source, one) for one in sorted(source.changes.work, key=lambda one: one.answer_id))
    return Table("work_answers", "One row per answer of a person to a step, refused ones included.", _COLUMNS, rows, ("answer_id",))


def answers_to(source: Source, run: ExperimentRun) -> Iterator[WorkAnswer]:
    """Yield what counted of the answers to a run's steps."""
    return (one for one in source.changes.work if one.run_key == run.run_key and one.counts)


def _row(source: Source, answer: WorkAnswer) -> dict[str, Any]:
    told = source.told("work_answers", answer.answer_id)
    return {
        **answer.model_dump(include={"answer_id", "run_key", "step", "person", "outcome", "reason", "via"}),
        **_asked(source, answer),
        "values": json.dumps(answer.values, sort_keys=True) if answer.values else None,
        "comment": answer.comment or None,
        "status": str(answer.status),
        "refused_because": answer.refusal,
        **when("answered", told),
        **(when("settled", told, at=-1) if len(told) > 1 else {}),
    }


def _asked(source: Source, answer: WorkAnswer) -> dict[str, Any]:
    run = source.runs[answer.run_key]
    proposal = next(one for one in source.changes.proposals if (one.proposal_id, one.revision) == run.approval)
    step = proposal.steps[answer.step]
    asked = {} if step.work is None else {"instructions": step.work.instructions, "asked_of": step.work.person}
    return {"run_code": run_code(proposal.number, run.replicate), "do": step.do, **asked}
