"""What a twin predicts for a list of configurations, and how each constant moves it; kept on the disk.

Sensitivities are central differences on the scale on which a constant's prior is normal, over `STEP` prior standard deviations
to either side: simulators that choose their steps by themselves are not smooth, and over shorter differences that would show.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from flows.plans.twins.bound import BoundTwin
from orchestrator.domain.values import Configuration, digest
from simulators.twins.declaration import Constant, Outcome, Situation

KEPT: Final = "twin-tables"
"""Where tables are kept, in the lab's folder."""
STEP: Final = 0.5
"""Prior standard deviations to either side; our own choice. On 64 rows of the CdSe twin the median derivative of the wavelength is
within 7 % of its root mean square from that over 0.1, while single line widths over 0.1 are wrong by more than they change."""

Array = NDArray[np.float64]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TwinTable:
    """Predictions of `n` rows for `m` measured quantities, and their derivatives by `p` constants."""

    sha256: str
    """Over the twin's name, version, constants, the rows, and how they are expressed: another twin has another table."""
    measured: tuple[str, ...]
    units: tuple[str, ...]
    """Of `measured`, as in the campaign."""
    constants: tuple[str, ...]
    """Those that may be calibrated."""
    prior_sds: Array
    """p: standard deviation of each prior, of the logarithm where it is log-normal."""
    mean: Array
    """n x m; NaN where nothing can be measured."""
    sensitivities: Array
    """n x m x p: change per unit of the constant, or of its logarithm where its prior is log-normal; NaN where unknown."""
    reasons: tuple[str, ...]
    """n: why nothing can be measured; empty where something can."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """n: whether there is a prediction."""
        return np.array([not reason for reason in self.reasons], dtype=np.bool_)


def twin_table(
    bound: BoundTwin,
    configurations: Sequence[Configuration],
    environments: Sequence[Mapping[str, float]] | None = None,
    *,
    folder: Path | None = None,
) -> TwinTable:
    """Predict configurations with a twin, with central differences by each constant that may be calibrated.

    Args:
        bound: The twin, for the campaign.
        configurations: The rows.
        environments: For each row surroundings by the twin's names in its units; None: all at their reference.
        folder: Where tables are kept; None: nowhere.

    Raises:
        BadInput: What the twin gives is not what it declares.
    """
    around = [{} for _ in configurations] if environments is None else environments
    situations = [bound.situation(row, one) for row, one in zip(configurations, around, strict=True)]
    sha256 = _sha256(bound, situations)
    path = None if folder is None else folder / f"{sha256}.npz"
    if path is not None and (kept := _kept(path, bound, sha256)) is not None:
        return kept
    table = _computed(bound, situations, sha256)
    if path is not None:
        _keep(path, table)
    return table


def predicted(
    bound: BoundTwin, configurations: Sequence[Configuration], environments: Sequence[Mapping[str, float]] | None = None
) -> Array:
    """Return what a twin says of the measured quantities, n x m in the campaign's units; NaN where nothing can be measured.

    Args:
        bound: The twin.
        configurations: The rows.
        environments: As for `twin_table`.
    """
    around = [{} for _ in configurations] if environments is None else environments
    return outputs_of(bound, bound.twin.predict([bound.situation(row, one) for row, one in zip(configurations, around, strict=True)]))


def _sha256(bound: BoundTwin, situations: Sequence[Situation]) -> str:
    twin = bound.twin
    return digest(
        {
            "twin": [twin.name, twin.version, dict(bound.found.files)],
            "constants": [
                [one.name, one.unit, one.value, one.sd, one.prior, repr(one.low), repr(one.high), one.calibratable]
                for one in twin.constants
            ],
            "outputs": [[name, output, twin.outputs[output], bound.measured_units[name]] for name, output in bound.outputs.items()],
            "step": STEP,
            "rows": [[dict(one.controls), dict(one.environment)] for one in situations],
        }
    )


# ---------------------------------------------------------------------- computing


def _computed(bound: BoundTwin, situations: Sequence[Situation], sha256: str) -> TwinTable:
    """Ask the twin about all rows with all constants at once: whoever predicts many is quickest that way."""
    constants = bound.twin.calibratable
    moves = [(one, value) for one in constants for value in (one.moved(-STEP), one.moved(STEP))]
    asked = [*situations, *(_with(situation, one, value) for one, value in moves for situation in situations)]
    outcomes = bound.twin.predict(asked)
    blocks = [outcomes[start : start + len(situations)] for start in range(0, len(outcomes), len(situations) or 1)]
    blocks = blocks or [()] * (1 + len(moves))
    mean = outputs_of(bound, blocks[0])
    columns = [_slope(bound, one, mean, blocks[1 + 2 * place], blocks[2 + 2 * place]) for place, one in enumerate(constants)]
    sensitivities = np.stack(columns, axis=-1) if columns else np.zeros((*mean.shape, 0))
    reasons = tuple(one if isinstance(one, str) else "" for one in blocks[0])
    return TwinTable(sha256, mean=mean, sensitivities=sensitivities, reasons=reasons, **_heads(bound))


def _heads(bound: BoundTwin) -> dict[str, Any]:
    constants = bound.twin.calibratable
    return {
        "measured": tuple(bound.outputs),
        "units": tuple(bound.measured_units[name] for name in bound.outputs),
        "constants": tuple(one.name for one in constants),
        "prior_sds": np.array([one.sd for one in constants], dtype=np.float64),
    }


def _with(situation: Situation, constant: Constant, value: float) -> Situation:
    return Situation(situation.controls, {**situation.constants, constant.name: value}, situation.environment)


def outputs_of(bound: BoundTwin, outcomes: Sequence[Outcome]) -> Array:
    """Return what outcomes say of the measured quantities, n x m in the campaign's units; NaN where nothing can be measured."""
    scales = [(output, *bound.scale(name)) for name, output in bound.outputs.items()]
    rows = [[np.nan if isinstance(one, str) else factor * one[output] + offset for output, factor, offset in scales] for one in outcomes]
    return np.array(rows, dtype=np.float64).reshape(len(outcomes), len(scales))


def _slope(bound: BoundTwin, constant: Constant, mean: Array, below: Sequence[Outcome], above: Sequence[Outcome]) -> Array:
    """Return central differences; to one side alone where the other one gives nothing, or where a bound is met."""
    here, low, high = (constant.coordinate(value) for value in (constant.value, constant.moved(-STEP), constant.moved(STEP)))
    left, right = outputs_of(bound, below), outputs_of(bound, above)
    left_at = np.where(np.isnan(left), here, low)
    right_at = np.where(np.isnan(right), here, high)
    rise = np.where(np.isnan(right), mean, right) - np.where(np.isnan(left), mean, left)
    run = right_at - left_at
    return np.where(run > 0.0, rise / np.where(run > 0.0, run, 1.0), np.nan)


# ---------------------------------------------------------------------- keeping


def _keep(path: Path, table: TwinTable) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(draft, mean=table.mean, sensitivities=table.sensitivities, reasons=np.array(table.reasons, dtype=np.str_))
    draft.replace(path)


def _kept(path: Path, bound: BoundTwin, sha256: str) -> TwinTable | None:
    """Read a table that was kept; one that cannot be read is computed again."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            reasons = tuple(map(str, file["reasons"]))
            return TwinTable(sha256, mean=file["mean"], sensitivities=file["sensitivities"], reasons=reasons, **_heads(bound))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        logger.warning("twin %s: the table %s cannot be read (%s) and is computed again", bound.twin.label, path, error)
        return None
