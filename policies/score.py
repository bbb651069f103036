"""The objective on samples of a surrogate."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from orchestrator.domain.objective import Objective


@dataclass(frozen=True, slots=True)
class Score:
    """The objective as a function of surrogate samples."""

    objective: Objective
    units: tuple[float, ...]
    """How much of its unit one is in the surrogate's outputs, of all that is measured."""

    def __call__(self, samples: Float[Tensor, "*s m"]) -> Float[Tensor, "*s"]:
        """Score samples of all that is measured, in the objective's order."""
        columns = enumerate(zip(self.objective.names, self.units, strict=True))
        values: Tensor = self.objective.score({name: unit * samples[..., index] for index, (name, unit) in columns})
        return values

    def share(self, index: int, samples: Float[Tensor, "*s"]) -> Float[Tensor, "*s"]:
        """Return what one target adds to the score; the score is the sum over all."""
        target, total = self.objective.targets[index], sum(one.weight for one in self.objective.targets)
        found: Tensor = (target.weight / total) * target.utility(self.units[index] * samples)
        return found
