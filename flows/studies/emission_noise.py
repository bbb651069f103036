"""What the spectrometer and the reduction `cdse-emission/1` add to a true outcome, as a formula instead of spectra.

Measured on the real chain (`simulators.spectra` -> `instruments.reductions.emission`): lines at 450 and 600 nm, 25, 40 and 80 nm
wide, quantum yields 0.03, 0.1, 0.3 and 0.7, with 60 recordings of six instruments each, an integration time of 0.1 s
and no bubbles. At a width of 40 nm and a yield of 0.3 the standard deviations were 0.041 nm (peak), 0.12 nm (width)
and 1.25 % (yield). Peak and width followed w^1.1 q^-0.5 within 25 % of every cell; the yield's relative one was 1.2 to
1.5 % everywhere but for wide weak lines (2.2 %). The reduction's own stated uncertainties are what the formula adds to an
observation: as measured for the width, with the wavelength scale's 0.05 nm for the peak, and 1.9 % for the yield. A line
that is 80 nm wide and centred at 450 nm loses 7 % of its yield at the spectrum's edge; the formula leaves that out.
A bubble in the cell takes 20 to 70 % of the light of 2 % of the samples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from orchestrator.domain.values import Configuration
from orchestrator.ports import Observation
from simulators.chemistry.cdse import CdSeOutcome

REFERENCE_WIDTH: Final = 40.0
"""nm, of the line at which the standard deviations are stated."""
REFERENCE_YIELD: Final = 0.3
WIDTH_POWER: Final = 1.1
YIELD_POWER: Final = -0.5
"""How the standard deviations of peak and width grow with the line's width and shrink with the light."""
LEAST_YIELD: Final = 1e-3
"""Weaker light counts as this: the reduction would not find the line."""
SCALE_SD: Final = 0.05
"""nm; stated by the reduction for the wavelength scale's repeatability."""
YIELD_STATED: Final = 0.019
"""Relative uncertainty of the yield that the reduction states."""
BUBBLE: Final = (0.3, 0.8)
"""Share of the light that a bubble in the cell leaves."""


@dataclass(frozen=True, slots=True)
class EmissionNoise:
    """Standard deviations at the reference line, and how often a bubble disturbs."""

    peak: float = 0.041
    """nm."""
    width: float = 0.12
    """nm."""
    quantum_yield: float = 0.0125
    """Relative."""
    bubbles: float = 0.02
    """Share of the samples."""

    def deviations(self, outcome: CdSeOutcome) -> Mapping[str, float]:
        """Return the standard deviation of each target, bubbles aside (nm, nm, 1)."""
        light = max(outcome.quantum_yield, LEAST_YIELD) / REFERENCE_YIELD
        factor = (outcome.fwhm_nm / REFERENCE_WIDTH) ** WIDTH_POWER * light**YIELD_POWER
        relative = self.quantum_yield * outcome.quantum_yield
        return {"wavelength": self.peak * factor, "fwhm": self.width * factor, "quantum_yield": relative}

    def observe(self, row: Configuration, outcome: CdSeOutcome, generator: np.random.Generator) -> Observation:
        """Measure a completed synthesis: values and the uncertainties that the reduction would state."""
        sd = self.deviations(outcome)
        left = float(generator.uniform(*BUBBLE)) if generator.random() < self.bubbles else 1.0
        errors = dict(zip(sd, generator.standard_normal(len(sd)).tolist(), strict=True))
        values = {
            "wavelength": outcome.emission_nm + sd["wavelength"] * errors["wavelength"],
            "fwhm": outcome.fwhm_nm + sd["fwhm"] * errors["fwhm"],
            "quantum_yield": left * (outcome.quantum_yield + sd["quantum_yield"] * errors["quantum_yield"]),
        }
        stated = {
            "wavelength": math.hypot(sd["wavelength"], SCALE_SD),
            "fwhm": sd["fwhm"],
            "quantum_yield": YIELD_STATED * values["quantum_yield"],
        }
        return Observation(dict(row), values, stated)
