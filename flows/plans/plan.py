"""Where objects are built: files -> plan -> everything that a campaign runs on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.plans.allowance import Allowance, Means, refuse_uncounted
from flows.plans.binding import bench_binding, campaign_binding, drivers_binding, table_binding
from flows.plans.cost import refuse_unknown_cost
from flows.plans.recipe import Recipe, RecordedRecipe, ToldRecipe, WiredRecipe
from flows.plans.surrogate import bound_hashes, campaign_prior, identity_of, mean_of, needs_measurements
from instruments.bench.called import functions_of
from instruments.bench.file import BenchFile, load_bench, parse_bench
from instruments.bench.hazards import possible_hazards
from instruments.bench.links import refuse_unhonoured
from instruments.bench.procedure import Procedure
from instruments.recorded import RecordedBench
from instruments.reductions.registry import REDUCTIONS, find_reduction, reduction_plugin
from models.meta_learning.checkpoint import PriorFile
from orchestrator.datasets import Table, load_table
from orchestrator.domain.campaign import CampaignFile, load_campaign, parse_campaign
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Measured, Objective
from orchestrator.domain.records import CampaignRecord, RunRequest
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import AthanorError, BadInput
from orchestrator.plugins import GROUPS, Plugin, is_file
from orchestrator.ports import Bench, Changes, Knowledge, ReadStore
from orchestrator.recorded import recorded_pool
from orchestrator.units import same_dimension
from policies.initial import SobolPolicy
from policies.settings import PolicyChoice, of_now, policy_choice

if TYPE_CHECKING:  # it loads the simulators, which whoever asks and tells has no need of
    from flows.plans.twins.bound import BoundTwin

ROUND_TRIP_POINTS: Final = 64
"""Sobol points on which `check` proves that the formulation comes back as it went."""

PriorOf = Callable[[CampaignFile], PriorFile | None]
"""Loads the prior that a campaign file names."""


@dataclass(frozen=True)
class Plan:
    """A campaign file and all that it names, checked offline."""

    file: CampaignFile
    space: SearchSpace
    objective: Objective
    policy: PolicyChoice
    recipe: Recipe
    bench: BenchFile | None = None
    procedure: Procedure | None = None
    table: Table | None = None
    sample: tuple[dict[str, float | str], ...] = ()
    """Feasible configurations on which everything was tried."""
    prior: PriorFile | None = None
    twin: "BoundTwin | None" = None
    """What predicts the bench; None where the bench file declares none."""

    @property
    def lacks_prior(self) -> bool:
        """Whether the prior that the campaign file names has still to be made; nothing can be proposed before."""
        return self.prior is None and self.file.prior_path is not None

    @property
    def snapshot(self) -> dict[str, Any]:
        """What the ledger keeps of the files, so that a change under an unfinished campaign is seen."""
        files = {"campaign": self.file.text}
        if self.bench is not None:
            files["bench"] = self.bench.text
            files |= {f"./{path}": content.decode("utf-8", "backslashreplace") for path, content in self.bench.beside.items()}
        files |= {one.what: one.identity for one in self.plugins if not is_file(one.name)}
        if self.twin is not None:
            files |= self.twin.found.files
        if self.file.candidates_text is not None:
            files["candidates"] = self.file.candidates_text
        if self.table is not None:
            files["table"] = self.table.sha256
        if self.prior is not None:
            files["prior"] = self.prior.sha256
        whole = {"bench_sha256": self.bench.sha256} if self.bench is not None and self.bench.beside else {}
        kept: dict[str, Any] = {
            **whole,
            "files": files,
            "path": str(self.file.path),
            "place": self.place,
            "budget": self.file.spec.campaign.budget.experiments,
        }
        return kept if (identity := self.prior_identity) is None else {**kept, "prior": identity}

    def as_begun(self, record: CampaignRecord) -> "Plan":
        """Return the plan for a stored campaign: one that began before searches were joined goes on searching as it did."""
        if record.searches_together:
            return self
        wanted = self.file.spec.policy
        needs = needs_measurements(self.file, self.twin)
        return replace(self, policy=policy_choice(wanted.kind, self.space, self.objective, wanted.settings, needs_measurements=needs))

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plug-ins that it goes by."""
        return () if self.bench is None else plugins_of(self.bench)

    @property
    def mean(self) -> "BoundTwin | None":
        """The twin that the surrogate begins from; None where it begins from something else."""
        return mean_of(self.file, self.twin)

    @property
    def prior_identity(self) -> dict[str, str] | None:
        """Name, hash and origin of the prior, or of the twin that the surrogate begins from; None where there is neither."""
        return identity_of(self.prior, self.mean)

    @property
    def place(self) -> str:
        """Name of the bench, or of the recorded table."""
        return self.bench.spec.bench.name if self.bench is not None else self.table.label if self.table is not None else "-"

    @property
    def needs_wires(self) -> bool:
        """Whether a bench host is needed."""
        return self.bench is not None


def load_plan(path: Path, *, data: Path | None = None, free: bool = False, prior_later: bool = False) -> Plan:
    """Read a campaign file and all that it names, and check everything that can be checked offline.

    Args:
        path: The campaign file.
        data: Folder of recorded tables, for a recorded campaign.
        free: Whether it may have neither bench nor table: what is proposed is then carried out by nobody here.
        prior_later: Whether a prior that is not there is no fault; the plan then lacks it.

    Raises:
        BadInput: One line that names the thing, what came and what is legal.
    """
    file = load_campaign(path.resolve(), free=free)
    file.refuse_unhonoured()
    bench = load_bench(file.bench_path) if file.bench_path is not None else None
    if bench is not None:
        bench.check_instruments()
        refuse_unhonoured(bench)
    return _plan(file, bench, data, prior_later=prior_later)


def stored_plan(record: CampaignRecord, *, data: Path | None = None) -> Plan:
    """Build the plan of a stored campaign from the files as they were when it began.

    Raises:
        BadInput: The prior or a plug-in is gone or another one than then: what the ledger keeps of it is not carried out.
    """
    files, path = record.snapshot["files"], Path(record.snapshot["path"])
    file = parse_campaign(files["campaign"], path, files.get("candidates"))
    plan = _plan(file, parse_bench(files["bench"], file.bench_path) if file.bench_path is not None else None, data)
    for name in sorted(name for name in {*files, *plan.snapshot["files"]} if is_added(name)):
        if plan.snapshot["files"].get(name) != files.get(name):
            raise BadInput(f"{file.path}: {name} is not what the campaign was carried out with; put it back to compute with it again")
    if plan.prior is not None and plan.prior.sha256 != files.get("prior"):
        raise BadInput(f"{file.prior_path}: the prior has sha256 {plan.prior.sha256}; the campaign began with {files.get('prior')}")
    return plan.as_begun(record)


def _plan(file: CampaignFile, bench: BenchFile | None, data: Path | None, *, prior_later: bool = False) -> Plan:
    prior_of = partial(campaign_prior, prior_later=prior_later)
    if bench is None and file.spec.recorded is None:
        return _free(file, prior_of)
    plan = _wired(file, bench, prior_of) if bench is not None else _recorded(file, data, prior_of)
    _check_reduction(plan)
    _check_deadline(plan)
    _check_budget(plan)
    _check_cost(plan)
    return plan


def _check_budget(plan: Plan) -> None:
    try:
        refuse_uncounted(plan.file.spec.campaign.budget, plan.bench)
    except BadInput as error:
        raise BadInput(f"{plan.file.path}: {error}") from error


def _check_cost(plan: Plan) -> None:
    try:
        refuse_unknown_cost(plan)
    except BadInput as error:
        raise BadInput(f"{plan.file.path}: {error}") from error


def _check_deadline(plan: Plan) -> None:
    """Refuse a deadline that approves where a hazard may fire: a hazard always holds."""
    if plan.bench is None or plan.file.spec.review.on_deadline != "approve":
        return
    if names := possible_hazards(plan.bench, plan.space):
        raise BadInput(f'{plan.file.path}: review.on_deadline = "approve" where hazard {names[0]!r} may fire; expected "hold" or "skip"')


def _wired(file: CampaignFile, bench: BenchFile, prior_of: PriorOf) -> Plan:
    free = file.space()
    sample_free = _probe(file, free)
    try:
        procedure = Procedure(bench, free)
    except BadInput as error:
        raise BadInput(f"{bench.path.name} for {file.path.name}: {error}") from error
    space = file.space(more_constraints=procedure.reachable())
    sample = _probe_reachable(procedure, space, sample_free)
    _check_round_trip(procedure, sample)
    twin = None if bench.spec.twin is None else _twin(bench, space, file)
    policy, prior = _policy(file, space, prior_of, twin)
    binding = {**drivers_binding(), **bench_binding(bench, plugins_of(bench)), **_bound(file, prior, twin)}
    recipe = WiredRecipe(bench, procedure, binding)
    return Plan(file, space, file.objective, policy, recipe, bench, procedure, None, sample, prior, twin)


def _twin(bench: BenchFile, space: SearchSpace, file: CampaignFile) -> "BoundTwin | None":
    from flows.plans.twins.bound import bound_twin

    return bound_twin(bench, space, file.objective.measured)


def _bound(file: CampaignFile, prior: PriorFile | None, twin: "BoundTwin | None" = None) -> dict[str, str]:
    return campaign_binding(file, bound_hashes(prior, mean_of(file, twin)))


def _policy(
    file: CampaignFile, space: SearchSpace, prior_of: PriorOf, twin: "BoundTwin | None" = None
) -> tuple[PolicyChoice, PriorFile | None]:
    """Check the policy's settings, and the prior that it adapts where there is one; nothing that computes is loaded."""
    wanted, prior = file.spec.policy, None
    choice = partial(policy_choice, wanted.kind, space, file.objective, of_now(wanted.kind, wanted.settings))
    chosen = choice()
    if file.prior_path is not None:
        prior = prior_of(file)  # after the policy: what the file itself gets wrong is said first
    if not needs_measurements(file, twin):
        chosen = choice(needs_measurements=False)
    if prior is not None:
        try:
            prior.fit(space, file.objective.measured, file.spec.surrogate.task)
        except BadInput as error:
            raise BadInput(f"{file.path}: {error}") from error
    return chosen, prior


def _free(file: CampaignFile, prior_of: PriorOf) -> Plan:
    space = file.space()
    sample = _probe(file, space)
    policy, prior = _policy(file, space, prior_of)
    plan = Plan(file, space, file.objective, policy, ToldRecipe(), sample=sample, prior=prior)
    _check_cost(plan)
    return plan


def _recorded(file: CampaignFile, data: Path | None, prior_of: PriorOf) -> Plan:
    recorded = file.spec.recorded
    assert recorded is not None
    table = load_table(recorded.table, data, recorded.task)
    pool = recorded_pool(table, file.spec.parameters, file.objective.measured, columns=recorded.columns, constraints=file.spec.constraints)
    assert pool.space.candidates is not None
    policy, prior = _policy(file, pool.space, prior_of)
    recipe = RecordedRecipe(pool.space.units, {**table_binding(table.sha256), **_bound(file, prior)})
    sample = pool.space.candidates[:ROUND_TRIP_POINTS]
    return Plan(file, pool.space, file.objective, policy, recipe, table=table, sample=sample, prior=prior)


def means_of(plan: Plan, store: ReadStore) -> Means:
    """Build the account of what a campaign may still use up; the store is not needed afterwards."""
    return Means(store, plan.file.name, Allowance(plan.file.spec.campaign.budget, plan.recipe.lab_seconds))


def recorded_bench(plan: Plan, changes: Changes) -> Bench:
    """Build the bench that answers from a recorded table.

    Args:
        plan: A recorded campaign.
        changes: The campaign so far, so that a resumed one draws the replicates that would have come.
    """
    assert plan.table is not None
    assert plan.file.spec.recorded is not None
    return RecordedBench(
        plan.table,
        plan.space,
        plan.objective,
        columns=plan.file.spec.recorded.columns,
        seed=plan.file.spec.campaign.seed,
        earlier=_requests(changes),
    )


def _requests(changes: Changes) -> tuple[RunRequest, ...]:
    steps = {(one.proposal_id, one.revision): one.steps for one in changes.proposals}
    return tuple(
        RunRequest(run.run_key, run.run_id, run.attempt, run.campaign, run.fence or 0, "", steps[run.approval])
        for run in sorted(changes.runs, key=lambda one: one.run_key)
        if run.status is not RunStatus.QUEUED and not run.is_imported
    )


def _probe(file: CampaignFile, space: SearchSpace) -> tuple[dict[str, float | str], ...]:
    try:
        return _draw(space)
    except BadInput as error:
        raise BadInput(f"{file.path}: {error}") from error


def _draw(space: SearchSpace) -> tuple[dict[str, float | str], ...]:
    count = ROUND_TRIP_POINTS if space.candidates is None else min(ROUND_TRIP_POINTS, len(space.candidates))
    return tuple(one.configuration for one in SobolPolicy(space.one_by_one).propose(Knowledge(), count=count, seed=0))


def _probe_reachable(
    procedure: Procedure, space: SearchSpace, sample_free: tuple[dict[str, float | str], ...]
) -> tuple[dict[str, float | str], ...]:
    try:
        return _draw(space)
    except BadInput as error:
        for constraint in procedure.reachable():
            values = [float(space.constraint_value(constraint, one)) for one in sample_free]
            low, high = constraint.min, constraint.max
            if all((low is not None and value < low) or (high is not None and value > high) for value in values):
                raise BadInput(
                    f"{procedure.bench.path.name}: the limits exclude the whole space: {constraint.expression} runs from {min(values):.4g} "
                    f"to {max(values):.4g} {constraint.unit}; allowed {constraint.allowed}"
                ) from error
        raise BadInput(f"{procedure.bench.path.name}: the limits exclude the whole space: {error}") from error


def _check_round_trip(procedure: Procedure, sample: tuple[dict[str, float | str], ...]) -> None:
    for configuration in sample:
        try:
            complaint = procedure.round_trip_complaint(configuration)
        except BadInput as error:
            raise BadInput(f"{procedure.bench.path.name}: {error}") from error
        except AthanorError as error:
            raise BadInput(f"{procedure.bench.path.name}: {error}") from error
        if complaint is not None:
            raise BadInput(f"{procedure.bench.path.name}: {complaint}")


def _check_reduction(plan: Plan) -> None:
    try:
        brought = find_reduction(plan.recipe.reduction, plan.recipe.folder).targets
    except BadInput as error:
        raise BadInput(f"bench.reduction: {error}") from error
    for one in plan.objective.measured:
        if one.comes == "run" and brought is not None and one.name not in brought:
            raise BadInput(f"{one.label}: {plan.recipe.reduction} measures only {', '.join(sorted(brought))}")
    if brought is None and plan.bench is not None and all(one.calls for one in plan.bench.spec.instruments.values()):
        returned = {name.partition(".")[2] for name in plan.bench.channel_units}
        for one in plan.objective.measured:
            if one.comes == "run" and one.name not in returned:
                listed = ", ".join(sorted(returned)) or "nothing"
                raise BadInput(f"{one.label}: the calls of {plan.bench.path.name} return only {listed}")


def refuse_unconvertible(plan: Plan) -> None:
    """Refuse a target that no reading of its name can be converted to; campaigns that are in the ledger go on as they began.

    Raises:
        BadInput: Names the target, the readings and their units.
    """
    reduction = REDUCTIONS.get(plan.recipe.reduction)
    if reduction is None or reduction.targets is not None or plan.bench is None:
        return  # only the values themselves will say their units
    for one in plan.objective.measured:
        if one.comes == "run":
            _check_unit(one, plan.bench)


def _check_unit(one: Measured, bench: BenchFile) -> None:
    units = {name: unit for name, unit in bench.channel_units.items() if name.partition(".")[2] == one.name}
    if units and not any(same_dimension(unit, one.unit) for unit in units.values()):
        listed = ", ".join(f"{name} in {unit or '1'}" for name, unit in units.items())
        raise BadInput(f"{one.label} is in {one.unit or '1'}, {bench.path.name} has {listed}; expected units that convert")


def plugins_of(bench: BenchFile) -> tuple[Plugin, ...]:
    """Return the plug-ins among a bench's drivers and its reduction, and the functions that it calls in installed packages.

    Raises:
        BadInput: One cannot be loaded.
    """
    reduction = reduction_plugin(bench.spec.bench.reduction, bench.path.parent)
    return (*bench.plugins.values(), *functions_of(bench), *([reduction] if reduction else []))


def is_added(name: str) -> bool:
    """Say whether an entry of a snapshot's files is a plug-in, or a file beside the bench file: used as it stands on the disk."""
    return name.startswith(("./", *(f"{group.what} " for group in GROUPS)))
