"""Spectra among raw readings: the sample minus the dark level, over wavelength."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orchestrator.domain.records import Reading

_SMOOTHING: Final = 9
"""Points of the moving average before the peak is looked for: noise of single pixels is no peak, and the emission of a
quantum dot (25 nm and more) is far wider than 9 nm."""
AXIS: Final = "wavelength"
_SIGNAL: Final = "sample"
_DARK: Final = "dark"
"""Channel names, compared without regard to case."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One curve."""

    index: int
    """Number of the experiment."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_unit: str
    y_unit: str
    peak: float | None
    """Where the smoothed curve is highest, in the unit of x; None for a curve that is nowhere above zero."""
    dark_subtracted: bool


def spectra_of(index: int, readings: Sequence[Reading]) -> tuple[Spectrum, ...]:
    """Find the spectra of one experiment: per instrument and step a sample over wavelength.

    Args:
        index: Number of the experiment.
        readings: All its raw readings; those without arrays, of bad quality or of another length are left out.
    """
    arrays = sorted((one for one in readings if one.array and one.quality != "bad"), key=_place)
    groups = (_by_channel(list(group)) for _, group in groupby(arrays, key=_place))
    return tuple(_spectrum(index, channels) for channels in groups if _drawable(channels))


def _place(reading: Reading) -> tuple[str, int]:
    return reading.instrument, reading.step


def _by_channel(readings: Sequence[Reading]) -> dict[str, Reading]:
    return {one.channel.rpartition(".")[2].lower(): one for one in readings}


def _drawable(channels: Mapping[str, Reading]) -> bool:
    return AXIS in channels and _SIGNAL in channels and len(channels[AXIS].array or ()) == len(channels[_SIGNAL].array or ())


def _array(reading: Reading) -> NDArray[np.float64]:
    return np.asarray(reading.array, dtype=np.float64)


def _spectrum(index: int, channels: Mapping[str, Reading]) -> Spectrum:
    x, sample = _array(channels[AXIS]), _array(channels[_SIGNAL])
    dark = _array(channels[_DARK]) if _DARK in channels else None
    subtract = dark is not None and dark.shape == sample.shape
    y = sample - dark if dark is not None and subtract else sample
    return Spectrum(index, tuple(x.tolist()), tuple(y.tolist()), channels[AXIS].unit, channels[_SIGNAL].unit, peak_position(x, y), subtract)


def peak_position(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Return where a curve, smoothed by a moving average, is highest; None where it is nowhere above zero.

    Args:
        x: Positions, "n".
        y: Heights, "n".
    """
    width = min(_SMOOTHING, len(y))
    smooth = np.convolve(y, np.ones(width) / width, mode="valid")
    highest = int(np.argmax(smooth))
    return float(x[highest + width // 2]) if smooth[highest] > 0 else None
