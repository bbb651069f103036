"""What people set of a policy, checked without the libraries that it computes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError

from orchestrator.domain.objective import Objective
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Whole
from orchestrator.errors import BadInput

TOGETHER: Final = "together"
"""All starts climb at once, and what was measured is drawn once."""
AcquisitionKind = Literal["log-nei", "log-ei"]


FRONT_SAMPLES: Final = 64
"""Joint samples of a front where nobody says how many: each has a front of its own."""


class NoSettings(Frozen):
    """For policies that have nothing to set."""


class BayesianSettings(Frozen):
    """How hard to think."""

    initial: Annotated[Whole, Field(ge=0)] | None = None
    """Experiments of the space-filling design; by default none where a prior is adapted, else one more than there are degrees
    of freedom, at least three."""
    acquisition: AcquisitionKind = "log-nei"
    """`log-nei` copes with noise and any objective; `log-ei` is exact for one target to maximise or minimise."""
    mc_samples: Annotated[Whole, Field(ge=16, le=4096)] = 256
    """Joint samples of the targets (quasi Monte Carlo); 64 for `objective.kind = "pareto"` where it is left out."""
    restarts: Annotated[Whole, Field(ge=1, le=64)] = 4
    """Local searches from different starts."""
    raw_samples: Annotated[Whole, Field(ge=16, le=16384)] = 256
    """Points from which the starts are chosen."""
    search: Literal["together", "apart"] | None = None
    """`together` lets all starts climb at once and draws what was measured once, `apart` each by itself, as releases before did;
    a campaign that begins now searches together by default, one that began before goes on as it did. Objectives of another kind
    than `utility`, and limits on what comes out, are always searched together."""
    feasibility: Literal["learned"] | None = None
    """`learned` models from the infeasible runs, reason by reason, what can be made, and weighs improvement by that chance; else the
    surroundings of infeasible configurations are avoided. It is on trial."""
    cost: Literal["money", "time"] | None = None
    """What an experiment's worth is weighed against: `money` that its doses cost, which needs a price of every stock that the bench
    delivers, or lab `time`, heating from the experiment before it included, which needs a `rate` wherever a step waits for a setpoint.
    The logarithm of the cost, over a typical one, is subtracted from that of the expected improvement, times the share of the budget
    that is left: of `money` or `lab_time` where that is limited, else of experiments. Of three points of the space-filling design the
    cheapest is taken. Every fifth proposal leaves the cost out. It is on trial."""

    def refuse_unfit(self, objective: Objective) -> None:
        """Refuse the analytic acquisition function where the score is not Gaussian, or not all that counts.

        Raises:
            BadInput: `log-ei` with several targets, one to match, limits on what comes out, or an objective of another kind.
        """
        if self.acquisition == "log-ei" and objective.kind != "utility":
            raise BadInput(f"acquisition 'log-ei' belongs to objective.kind = 'utility', not to {objective.kind!r}; expected 'log-nei'")
        if self.acquisition == "log-ei" and objective.outcomes:
            shown = ", ".join(one.name for one in objective.outcomes)
            raise BadInput(f"acquisition 'log-ei' knows no limits on what comes out ({shown}); expected 'log-nei'")
        if self.acquisition == "log-ei" and (len(objective.targets) > 1 or objective.targets[0].goal == "match"):
            shown = ", ".join(f"{target.name} ({target.goal})" for target in objective.targets)
            raise BadInput(f"acquisition 'log-ei' needs one target to maximise or minimise; got {shown}; expected 'log-nei'")

    def is_together(self, objective: Objective) -> bool:
        """Whether all starts climb together and what was measured is drawn once."""
        return self.search == TOGETHER or bool(objective.outcomes) or objective.kind != "utility"

    def aimed(self, objective: Objective) -> Self:
        """Return the settings with the defaults of another kind of objective: it searches together, a front takes fewer samples."""
        if objective.kind == "utility":
            return self
        fewer = {"mc_samples": FRONT_SAMPLES} if objective.kind == "pareto" and "mc_samples" not in self.model_fields_set else {}
        return type(self).model_validate({**self.model_dump(exclude_none=True), **fewer, "search": TOGETHER})

    def shown(self, space: SearchSpace, *, needs_measurements: bool) -> dict[str, Any]:
        """Return all settings, with the size of the design."""
        size = max(3, space.freedom + 1) if needs_measurements else 0
        return {**self.model_dump(exclude_none=True), "initial": size if self.initial is None else self.initial}


POLICY_NAMES: Final = {"bayesian": "bayesian/1", "random": "random/1", "sobol": "sobol/1"}
"""Kind in campaign files -> name and version of the policy."""
BATCHED: Final = "bayesian/2"
"""What `search = "together"` makes of it."""


def of_now(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy's settings with what holds where they say nothing and a campaign begins now."""
    return {"search": TOGETHER, **settings} if kind == "bayesian" else dict(settings)


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy as a campaign file asks for it; nothing of it is built."""

    kind: str
    chosen: NoSettings | BayesianSettings
    settings: Mapping[str, Any]
    """As the policy itself will have them."""
    together: bool = False
    """Whether all starts climb together."""

    @property
    def name(self) -> str:
        """Name and version of the policy."""
        return BATCHED if self.together else POLICY_NAMES[self.kind]


def policy_choice(
    kind: str, space: SearchSpace, objective: Objective, settings: Mapping[str, Any], *, needs_measurements: bool = True
) -> PolicyChoice:
    """Check a policy's kind and settings.

    Args:
        kind: Its name.
        space: What may be varied.
        objective: What is wanted.
        settings: The policy's own.
        needs_measurements: Whether its surrogate does; one that is adapted from a prior does not.

    Raises:
        BadInput: Unknown kind or setting, or a setting out of range; names the legal ones.
    """
    if kind not in POLICY_NAMES:
        raise BadInput(f"unknown policy {kind!r}; expected one of {', '.join(POLICY_NAMES)}")
    model = BayesianSettings if kind == "bayesian" else NoSettings
    try:
        chosen = model.model_validate(dict(settings))
    except ValidationError as error:
        raise explain(error, what=f"settings of policy {kind!r}", legal={(): tuple(model.model_fields) or ("none",)}) from error
    if not isinstance(chosen, BayesianSettings):
        return PolicyChoice(kind, chosen, {})
    chosen.refuse_unfit(objective)
    chosen = chosen.aimed(objective)
    settings = chosen.shown(space, needs_measurements=needs_measurements)
    return PolicyChoice(kind, chosen, settings, together=chosen.is_together(objective))
