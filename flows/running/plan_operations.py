"""What people do for which a campaign's own files and model are needed: amend, suggest, edit, restrict, compute again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.plans.amendment import Amendment, amendment_of
from flows.plans.lab import Lab, LabKind, clock_of, lab_there, make_lab
from flows.plans.ledger import has_ledger, open_campaign, open_store, the_campaign
from flows.plans.plan import Plan, load_plan, refuse_unconvertible, stored_plan
from flows.plans.policy import policy_of
from flows.plans.simulated import names_of_stand_ins
from flows.plans.surrogate import refuse_silent
from flows.review.answering import edits_of, values_of
from flows.review.by_hand import Editor, editor_of, proposal_by_hand
from flows.review.restricting import allowed_of, new_restriction, outside
from flows.running.review_operations import EditsByNumber, check_restricting
from instruments.lab_processes.campaign_lock import CampaignLock
from models.threads import use_threads
from orchestrator.commandline import typed
from orchestrator.domain.events import Actor, EventKind
from orchestrator.domain.records import BEGINS, CampaignRecord, Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.review import ReviewRequest
from orchestrator.errors import BadInput, Fault, LockHeld
from orchestrator.history import History, knowledge
from orchestrator.ports import ReadStore


def amend(lab: Lab, file: Path, *, data: Path | None, by: str, reason: str) -> Amendment:
    """Accept files that were changed under an unfinished campaign; return what differs.

    Raises:
        BadInput: A campaign that is being carried on, or a change that cannot be accepted.
    """
    plan = load_plan(file, data=data)
    name = plan.file.name
    try:
        with CampaignLock(lab.path, name), open_store(lab) as store:
            history = History.of(store.changes(the_campaign(store, lab, name).name))
            made = amendment_of(history, plan, names_of_stand_ins(plan, lab.kind))
            now = clock_of(lab, store).now()
            store.update_campaign(made.record, kind=EventKind.AMENDED, by=Actor.person(by), now=now, payload=made.payload(reason))
    except LockHeld as error:
        raise BadInput(f"campaign {name} is being carried on; `{typed('pause', name)}`, wait for its end, then amend: {error}") from error
    return made


MakePrior = Callable[[Plan, Path | None], object]
"""Makes the prior that a plan lacks, given the folder of recorded tables, where a file beside the campaign's says how."""


def draft(
    file: Path, *, kind: LabKind, folder: Path | None, data: Path | None, by: str, make_prior: MakePrior
) -> tuple[Lab, CampaignRecord]:
    """Put a campaign into the ledger without running it, so that results of past experiments come before its first proposal.

    A prior that is not there yet is made, as the first run would make it.

    Args:
        file: The campaign file.
        kind: Of the lab, which is made where it is not there.
        folder: The lab's folder; None for the one beside the file.
        data: Folder of recorded tables.
        by: Who begins it.
        make_prior: Makes a prior that is not there yet.

    Raises:
        BadInput: The files are not legal, there is no prior and nothing says how to make it, or the campaign is in the ledger already.
    """
    plan = load_plan(file, data=data, prior_later=True)
    if kind == "dry" and not plan.needs_wires:
        raise BadInput(f"{file}: a recorded campaign touches no wire; its lab is live")
    if (there := lab_there(folder, beside=plan.file.path, kind=kind)) is not None:
        _refuse_known(there, plan.file.name)
    refuse_unconvertible(plan)
    refuse_silent(plan.file, plan.mean, plan.sample)
    if plan.lacks_prior:
        make_prior(plan, data)
        plan = load_plan(file, data=data)
    lab = make_lab(folder, beside=plan.file.path, kind=kind)
    with open_store(lab, create=True) as store:
        named = {"stand_ins": told} if (told := names_of_stand_ins(plan, kind)) else {}
        record = CampaignRecord(name=plan.file.name, snapshot={**plan.snapshot, "rate": 1.0, **BEGINS, **named})
        store.create_campaign(record, by=Actor.person(by), now=clock_of(lab, store).now())
    return lab, record


def _refuse_known(lab: Lab, campaign: str) -> None:
    if has_ledger(lab):
        with open_store(lab, read_only=True) as store:
            if any(one.name == campaign for one in store.campaigns()):
                raise BadInput(f"campaign {campaign} is in the ledger of lab {lab.path} already; results can be brought into it")


def suggest(lab: Lab, campaign: str | None, values: Sequence[str], *, by: str, reason: str) -> Proposal:
    """Record a hand-made proposal, `PARAMETER=VALUE` for each parameter; the campaign has it reviewed as its file says.

    Raises:
        BadInput: The campaign has ended, or the values are not legal.
    """
    with open_campaign(lab, campaign) as (store, history):
        history.campaign.refuse_ended()
        editor = editor_of(history, store)
        made = proposal_by_hand(editor, values_of(values, editor.space), author=by, reason=reason)
        store.add_proposals([made], by=Actor.person(by), now=clock_of(lab, store).now())
    return made


def editor_for(lab: Lab, history: History) -> Editor:
    """Return what judges and predicts values that a person types, as the campaign would."""
    with open_store(lab, read_only=True) as store:
        return editor_of(history, store)


def checked_edits(history: History, store: ReadStore, request: ReviewRequest, texts: Sequence[str]) -> EditsByNumber:
    """Read edits such as `3:T=210` and refuse at once what the campaign would refuse.

    Raises:
        BadInput: Names the proposal, and what is not legal.
    """
    editor = editor_of(history, store)
    edits = edits_of(texts, editor.space)
    for one in (one for one in request.asked if one.number in edits):
        proposal = history.proposals[(one.proposal_id, one.revision)]
        try:
            editor.check_edit(proposal, editor.space.edited(proposal.configuration, edits[one.number]))
        except BadInput as error:
            raise BadInput(f"proposal {one.number}: {error}") from error
    return edits


@dataclass(frozen=True, slots=True)
class Restricted:
    """A restriction that was recorded."""

    restriction: Restriction
    outside: tuple[Proposal, ...]
    """What waits already and lies where later proposals may not."""
    history: History
    """The campaign as it was before."""


def restrict(lab: Lab, campaign: str | None, values: Sequence[str], *, batches: int | None, by: str, reason: str) -> Restricted:
    """Fix or narrow parameters (`T=180 degC`, `T=150..180 degC`, `solvent=water,DMF`) for so many batches, or until it is lifted.

    Raises:
        BadInput: Values that are not legal or leave nothing, no name, or a campaign that has ended.
    """
    with open_campaign(lab, campaign) as (store, history):
        check_restricting(history, by)
        now = clock_of(lab, store).now()
        plan = stored_plan(history.campaign)
        made = new_restriction(plan, history, allowed_of(values, plan.space), author=by, reason=reason, batches=batches)
        return Restricted(store.restrict(made, by=Actor.person(by), now=now), outside(history, plan.space, made), history)


# ---------------------------------------------------------------------- computing again


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A past proposal, and what the policy proposes today from what was known then."""

    proposal: Proposal
    again: Mapping[str, float | str]

    @property
    def identical(self) -> bool:
        """Whether both are the same, bit for bit."""
        return dict(self.proposal.configuration) == dict(self.again)

    @property
    def largest_difference(self) -> float:
        """The largest relative difference of a column; infinite where a name differs."""
        return max(self._differences(), default=0.0)

    def _differences(self) -> Iterator[float]:
        for column, old in self.proposal.configuration.items():
            new = self.again[column]
            if isinstance(old, str) or isinstance(new, str):
                yield 0.0 if old == new else float("inf")
            else:
                yield abs(old - new) / max(abs(old), 1e-300) if old != new else 0.0


def recompute(lab: Lab, campaign: str | None, wanted: str, *, data: Path | None) -> Recomputed:
    """Compute a past proposal, named by its id or number, again from the ledger.

    Raises:
        BadInput: No such proposal.
        Fault: The policy gives fewer proposals than then.
    """
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        name = history.campaign.name
        newest = next((one for one in history.newest() if wanted in (one.proposal_id, str(one.number))), None)
        if newest is None:
            raise BadInput(f"campaign {name} has no proposal {wanted!r}; it has numbers 1 to {len(history.newest())}")
        proposal = history.proposals[(newest.proposal_id, 1)]  # later revisions are people's edits, or expanded anew
        if proposal.author is not None:
            raise BadInput(f"proposal {proposal.number} was suggested by {proposal.author}; there is nothing to compute again")
        provenance = proposal.provenance
        then = History.of(store.changes_until(name, provenance.as_of))
        plan = stored_plan(then.campaign, data=data)  # the files of then: they may have been amended since
        policy = policy_of(plan, provenance.settings, lab=lab.path)
        use_threads(provenance.threads)
        suggestions = policy.propose(knowledge(then), count=provenance.count, seed=provenance.seed)
    if provenance.position >= len(suggestions):
        raise Fault(
            f"proposal {proposal.number} comes out differently: the policy gives {len(suggestions)} of {provenance.count} proposals of its "
            f"batch; expected one at position {provenance.position + 1}"
        )
    return Recomputed(proposal, suggestions[provenance.position].configuration)
