"""What may be varied, one parameter at a time, and all that its kind means without tensors.

A configuration is flat: one entry per column. A continuous, discrete or categorical parameter is one column with its
name; a composition `alloy` of Ni and Fe is the columns `alloy.Ni` and `alloy.Fe`. The other half of a kind, its way to
tensors and back, is in `models.inputs.codes`.
"""

from typing import Annotated

from pydantic import Field

from orchestrator.domain.parameters.categorical import CategoricalParameter
from orchestrator.domain.parameters.composition import CompositionParameter
from orchestrator.domain.parameters.kind import RELATIVE_TOLERANCE
from orchestrator.domain.parameters.number import ContinuousParameter, DiscreteParameter

Parameter = Annotated[ContinuousParameter | DiscreteParameter | CategoricalParameter | CompositionParameter, Field(discriminator="kind")]

__all__ = ["RELATIVE_TOLERANCE", "CategoricalParameter", "CompositionParameter", "ContinuousParameter", "DiscreteParameter", "Parameter"]
