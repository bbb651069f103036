"""`athanor constrain`: list, add and lift what later proposals must keep to."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from flows.cli.status import the_campaign
from flows.console import console, emit
from flows.plans.lab import clock_of, find_lab
from flows.plans.snapshots import files_of
from orchestrator.clock import Instant
from orchestrator.domain.events import Actor
from orchestrator.domain.lifecycle import CampaignStatus, RestrictionStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.store.sql import SqlStore


def constrain(
    campaign: str | None,
    values: Sequence[str],
    *,
    batches: int | None,
    lift: int | None,
    lab: Path | None,
    by: str,
    reason: str,
    as_json: bool,
) -> None:
    """Record a restriction, lift one, or list all.

    Raises:
        BadInput: Values that are not legal or leave nothing, an unknown number, no name, or a campaign that has ended.
    """
    found, is_listing = find_lab(lab, here=Path.cwd()), not values and lift is None
    if batches is not None and not values:
        raise BadInput("--batches says for how long --set holds; there is no --set")
    if is_listing and (by or reason):
        raise BadInput(f"{'--by' if by else '--reason'} goes with --set or --lift; without them restrictions are listed")
    with closing(SqlStore.open(found.ledger, create=False, read_only=is_listing)) as store:
        history = History.of(store.changes(the_campaign(store, found, campaign).name))
        if is_listing:
            _list(history, as_json=as_json)
            return
        _check(history, by, both=bool(values) and lift is not None)
        now = clock_of(found, store).now()
        waiting: tuple[Proposal, ...] = ()
        if lift is not None:
            kept = store.restrict(_lifted(history, lift, reason), by=Actor.person(by), now=now)
        else:
            kept, waiting = _added(store, history, values, by=by, reason=reason, batches=batches, now=now)
    if as_json:
        emit({**_document(kept), "outside": [one.number for one in waiting]})
        return
    console.print(_line(history, kept))
    if waiting:
        numbers = ", ".join(str(one.number) for one in waiting)
        console.print(f"these wait and lie outside; refuse or withdraw them if they are not to be carried out: proposal {numbers}")


def _check(history: History, by: str, *, both: bool) -> None:
    if not by.strip():
        raise BadInput("a restriction needs --by NAME")
    if both:
        raise BadInput("give one of --set and --lift, not both")
    if history.campaign.status in (CampaignStatus.FINISHED, CampaignStatus.ABORTED):
        raise BadInput(f"campaign {history.campaign.name} has ended: {history.campaign.status} ({history.campaign.reason})")


def _added(
    store: SqlStore, history: History, values: Sequence[str], *, by: str, reason: str, batches: int | None, now: Instant
) -> tuple[Restriction, tuple[Proposal, ...]]:
    from flows.plans.plan import stored_plan
    from flows.review.restricting import allowed_of, new_restriction, outside  # loads the models' libraries, which a list need not wait for

    plan = stored_plan(history.campaign)
    made = new_restriction(plan, history, allowed_of(values, plan.space), author=by, reason=reason, batches=batches)
    return store.restrict(made, by=Actor.person(by), now=now), outside(history, plan.space, made)


def _lifted(history: History, number: int, reason: str) -> Restriction:
    by_number = {one.number: one for one in history.restrictions.values()}
    if number not in by_number:
        known = ", ".join(map(str, sorted(by_number))) or "none"
        raise BadInput(f"campaign {history.campaign.name} has no restriction {number}; it has {known}")
    if by_number[number].status is RestrictionStatus.LIFTED:
        raise BadInput(f"restriction {number} is lifted already")
    return by_number[number].evolve(status=RestrictionStatus.LIFTED, lifted=reason or None)


def _list(history: History, *, as_json: bool) -> None:
    every = sorted(history.restrictions.values(), key=lambda one: one.number)
    if as_json:
        emit({"campaign": history.campaign.name, "restrictions": [_document(one) for one in every]})
        return
    if not every:
        console.print(f"campaign {history.campaign.name}: nothing is restricted")
    for one in every:
        console.print(_line(history, one))


def _line(history: History, one: Restriction) -> str:
    space, _ = files_of(history.campaign)
    state = one.status if one.status is RestrictionStatus.LIFTED or one.binds(history.last_batch + 1) else "over"
    reason = f": {one.reason}" if one.reason else ""
    return f"restriction {one.number} ({state}, by {one.author}{reason}): {one.shown(space.units)}"


def _document(one: Restriction) -> dict[str, object]:
    return one.model_dump(mode="json", exclude={"restriction_id", "campaign"})
