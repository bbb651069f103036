"""What BoTorch asks of a model, said once for the models here that have no batches of their own."""

from typing import Any

import torch
from botorch.models.model import Model
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from models.base import Posterior


class PlainModel(Model):  # type: ignore[misc]  # botorch is untyped here
    """A BoTorch model without batches of its own, of one output unless it says otherwise; a subclass predicts."""

    _supports_cache_root = False

    @property
    @override
    def num_outputs(self) -> int:
        return 1

    @property
    @override
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    @override
    def posterior(
        self,
        X: Float[Tensor, "*b q d"],
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: Any = None,
    ) -> Posterior:
        found = self.predict(X, noisy=observation_noise is not False)
        return found if posterior_transform is None else posterior_transform(found)

    def predict(self, X: Float[Tensor, "*b q d"], *, noisy: bool) -> Posterior:
        """Return the joint posterior; `noisy`: of a new measurement."""
        raise NotImplementedError
