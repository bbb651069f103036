"""Fixing and narrowing parameters in mid-campaign: what people type becomes a restriction that leaves something to search."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from flows.plans.plan import Plan
from flows.review.approvals import waiting_runs
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.region import Region
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import explain
from orchestrator.errors import BadInput
from orchestrator.history import History, knowledge
from orchestrator.numerals import split
from orchestrator.units import parse
from policies.initial import SobolPolicy


def allowed_of(texts: Sequence[str], space: SearchSpace) -> dict[str, Allowed]:
    """Read what is left of columns, such as `T=180 degC`, `T=150..180 degC`, `tau=..2 min` or `solvent=water,DMF`.

    Raises:
        BadInput: Names the text, and what was expected.
    """
    columns: dict[str, Allowed] = {}
    for text in texts:
        column, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and value):
            raise BadInput(f"--set {text!r}: expected PARAMETER=VALUE, PARAMETER=LOW..HIGH or PARAMETER=NAME,NAME")
        if column not in space.columns:
            raise BadInput(f"--set {text!r}: there is no parameter {column!r}; there are {', '.join(space.columns)}")
        if column in columns:
            raise BadInput(f"--set {text!r}: {column} is named twice")
        try:
            columns[column] = _range(space, column, value, text) if column in space.units else _names(value, space.owners[column].names)
        except ValidationError as error:
            raise explain(error, what=f"--set {text!r}") from error
    if not columns:
        raise BadInput("nothing is restricted; expected --set PARAMETER=VALUE or PARAMETER=LOW..HIGH")
    return columns


def _names(value: str, categories: Sequence[str]) -> Allowed:
    """Part names at commas, but for those within a category, such as 1,4-dioxane: the longest one counts."""
    parts, names = value.split(","), list[str]()
    while parts:
        whole = next((end for end in range(len(parts), 1, -1) if ",".join(parts[:end]).strip() in categories), 1)
        names.append(",".join(parts[:whole]).strip())
        parts = parts[whole:]
    return Allowed(names=tuple(dict.fromkeys(names)))


def _range(space: SearchSpace, column: str, value: str, text: str) -> Allowed:
    low, dots, high = (part.strip() for part in value.partition(".."))
    unit, what = space.units[column], f"--set {text!r}"
    if not dots:
        only = parse(value, unit, what=what)
        return Allowed(min=only, max=only)
    if low and high and split(low)[1] and not split(high)[1]:
        raise BadInput(f"{what}: {low!r} has a unit and {high!r} has none; expected one for both at the end, or one at each")
    if low and high and not split(low)[1]:
        low = f"{low} {split(high)[1]}".strip()  # 150..180 degC: one unit for both
    return Allowed(min=parse(low, unit, what=what) if low else None, max=parse(high, unit, what=what) if high else None)


def new_restriction(
    plan: Plan, history: History, columns: Mapping[str, Allowed], *, author: str, reason: str, batches: int | None
) -> Restriction:
    """Make a restriction, for so many batches from now or until it is lifted, that leaves the policy something to propose.

    Raises:
        BadInput: No name, an illegal value, or nothing is left of the space.
    """
    if not author.strip():
        raise BadInput("a restriction needs --by NAME")
    restriction = Restriction(
        restriction_id=uuid7(),
        campaign=history.campaign.name,
        author=author.strip(),
        reason=reason or None,
        columns=dict(columns),
        last_batch=None if batches is None else history.last_batch + batches,
    )
    together = (*history.restricted(history.last_batch + 1), restriction)
    Region(plan.space, (restriction,)).space  # noqa: B018 - refuses what is illegal by itself, and says it first
    found = SobolPolicy(plan.space).propose(replace(knowledge(history), restrictions=together), count=1, seed=0)
    if not found:
        raise BadInput(f"{restriction.shown(plan.space.units)}: no candidate is left")
    return restriction


def outside(history: History, space: SearchSpace, restriction: Restriction) -> tuple[Proposal, ...]:
    """Return the proposals that wait, or whose runs do, and lie where later ones may not."""
    region = Region(space, (restriction,))
    queued = waiting_runs(history)
    waiting = (one for one in history.newest() if one.status is ProposalStatus.PROPOSED or (one.proposal_id, one.revision) in queued)
    return tuple(one for one in waiting if region.complaint(one.configuration) is not None)
