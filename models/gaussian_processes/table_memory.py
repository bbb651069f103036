"""What was computed of a table of rows, kept for the next time: a pool of candidates is asked for again at each proposal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

KEPT: Final = 64
"""Tables that are remembered."""


@dataclass
class TableMemory:
    """Functions of tables that were asked for before, without gradients.

    By whole tables, not by rows: a row's last digits depend on the table that it was computed in, and a proposal that is
    computed again must find the same digits.
    """

    tables: dict[bytes, Tensor] = field(default_factory=dict)

    def get(self, X: Float[Tensor, "*b d"], compute: Callable[[Tensor], Tensor]) -> Float[Tensor, "*b t"]:
        """Return what `compute` gives for a table, from memory where it is there."""
        flat = X.detach().reshape(-1, X.shape[-1]).contiguous()
        key = flat.numpy().tobytes()
        found = self.tables.pop(key, None)
        if found is None:
            if len(self.tables) >= KEPT:
                del self.tables[next(iter(self.tables))]
            with torch.no_grad():
                found = compute(flat)
        self.tables[key] = found  # last: what was not asked for longest goes first
        return found.reshape(*X.shape[:-1], found.shape[-1])
