"""Campaigns carried out in memory, and the same results told to an optimizer in the order in which the campaign knew them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from typing_extensions import override

import athanor
from flows.plans.plan import load_plan
from flows.plans.policy import policy_of
from flows.running.actions import Setup, Steps
from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, Proposal, Reading
from orchestrator.domain.values import Configuration
from orchestrator.history import History
from orchestrator.ports import Store
from tests.flow.test_priors_at_work import Bright
from tests.flow.test_steps import NOW, Table, carry
from tests.store.memory import MemoryStore

ENDED = (RunStatus.COMPLETED, RunStatus.INFEASIBLE, RunStatus.FAILED)


class Drifting(Table):
    """What is measured is a little beside what was sent."""

    @override
    def measured(self, readings: Sequence[Reading], proposed: Configuration) -> dict[str, float | str]:
        return {**proposed, "T": float(proposed["T"]) + 0.125}


def amended(file: Path, name: str, *, general: str, policy: str = "", prior: bool = True) -> Path:
    """Write another campaign file beside one: with further keys of [campaign] and [policy], and with or without its prior."""
    text = re.sub(r"^(budget|seed|batch) = .*\n", "", file.read_text(), flags=re.MULTILINE)
    text = text.replace("[campaign]\n", f"[campaign]\n{general}\n")
    text = text if prior else re.sub(r"\[surrogate\].*?(?=\[policy\])", "", text, flags=re.DOTALL)
    text = text.replace('kind = "bayesian"\n', f'kind = "bayesian"\n{policy}\n')
    changed = file.with_name(name)
    changed.write_text(text)
    return changed


def carried_out(file: Path, endings: Mapping[int, tuple[RunStatus, dict[str, object]]] | None = None) -> tuple[str, Store]:
    """Carry a campaign out on a bench in memory that answers the bump; return its name and the ledger."""
    plan = load_plan(file)
    store, record = MemoryStore(), CampaignRecord(name=plan.file.name, snapshot=plan.snapshot)
    store.create_campaign(record, by="test", now=NOW)
    fence = store.take_up(record.name, by="test", now=NOW)
    store.update_campaign(record.evolve(status=CampaignStatus.RUNNING), kind=EventKind.RUNNING, by="test", now=NOW)
    general, policy = plan.file.spec.campaign, policy_of(plan)
    carry(Steps(Setup(general, plan.space, plan.objective, policy, Drifting(), Bright(endings), store, LiveClock(), fence)))
    return record.name, store


def batches(history: History) -> Iterator[list[Proposal]]:
    """Return what the policy proposed, batch by batch."""
    first = sorted((one for one in history.proposals.values() if one.revision == 1), key=lambda one: one.number)
    for number in sorted({one.provenance.batch for one in first}):
        yield [one for one in first if one.provenance.batch == number]


def asked_again(optimizer: athanor.Optimizer, name: str, store: Store) -> Iterator[tuple[list[Proposal], list[athanor.Suggestion]]]:
    """Tell what a campaign knew before each of its batches, ask as it asked, and return both answers."""
    suggested: dict[str, athanor.Suggestion] = {}
    told: set[str] = set()
    for batch in batches(History.of(store.changes(name))):
        known = History.of(store.changes_until(name, batch[0].provenance.as_of))
        for key, run in sorted(known.runs.items()):
            if run.status in ENDED and (run.ingested or run.status is not RunStatus.COMPLETED) and key not in told:
                told.add(key)
                tell(optimizer, suggested[run.approval[0]], known, key)
        suggestions = optimizer.ask(batch[0].provenance.count)
        suggested |= {proposal.proposal_id: one for proposal, one in zip(batch, suggestions, strict=True)}
        yield batch, suggestions


def tell(optimizer: athanor.Optimizer, suggestion: athanor.Suggestion, history: History, key: str) -> None:
    """Tell what became of a run."""
    run = history.runs[key]
    optimizer.tell(
        suggestion,
        history.accepted.get(key),
        measured=run.measured,
        infeasible=run.status is RunStatus.INFEASIBLE,
        failed=run.status is RunStatus.FAILED,
    )
