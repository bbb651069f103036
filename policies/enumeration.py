"""All configurations of a space that has finitely many, and few."""

import math
from itertools import product
from typing import Final

from models.inputs.encoding import Encoding
from policies.constraints import proposable

MOST_ROWS: Final = 20_000
"""Beyond it local search is quicker than looking at every point."""


def enumerated(encoding: Encoding) -> tuple[dict[str, float | str], ...] | None:
    """Return all feasible configurations; None where there are infinitely or too many."""
    parameters = encoding.region.space.parameters
    if math.prod(parameter.size for parameter in parameters) > MOST_ROWS:
        return None
    rows = [
        {column: value for part in parts for column, value in part.items()}
        for parts in product(*(list(parameter.choices()) for parameter in parameters))
    ]
    return tuple(proposable(encoding, rows))
