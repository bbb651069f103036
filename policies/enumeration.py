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
    if math.prod(1 if parameter.never else parameter.size for parameter in parameters) > MOST_ROWS:
        return None
    rows = [
        {column: value for part in parts for column, value in part.items()}
        for parts in product(*([one.absence] if one.never else list(one.choices()) for one in parameters))
    ]
    if encoding.space.conditional:  # what differs only in what it does not have is one configuration
        settled = map(encoding.space.settled, rows)
        rows = list({encoding.space.key(row): row for row in settled}.values())
    return tuple(proposable(encoding, rows))
