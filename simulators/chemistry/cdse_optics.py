"""Optics of CdSe nanocrystals: size to colour, size spread to line width, surface to quantum yield."""

import math

import numpy as np

from simulators.chemistry.growth import Array, Mixture

JASIENIAK_2009 = (1.62974e-9, -2.85743e-6, 1.8873e-3, -0.54736, 59.60816)
"""Diameter (nm) as polynomial in the first exciton's wavelength (nm) [Jasieniak2009]."""

YU_2003 = (1.6122e-9, -2.6575e-6, 1.6242e-3, -0.4277, 41.57)
"""The same by an independent laboratory [Yu2003]; it serves as a check and as another 'truth' for tasks."""

EXCITON_RANGE = (400.0, 700.0)
"""nm; both curves rise monotonically here (1.6 to 8 nm diameter). Sizes outside are continued along the end slope."""

STOKES_AT_520 = 18.0
STOKES_SLOPE = 0.012
REFERENCE_WAVELENGTH = 520.0

INTRINSIC_FWHM = 22.0
"""nm, of a sample without size spread."""

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

_WAVELENGTHS = np.linspace(*EXCITON_RANGE, 3001)


def diameter(wavelength: float, curve: tuple[float, ...] = JASIENIAK_2009) -> float:
    """Compute the diameter (nm) that belongs to a first exciton (nm)."""
    return float(np.polyval(curve, wavelength))


def first_exciton(diameter_nm: float, curve: tuple[float, ...] = JASIENIAK_2009) -> float:
    """Invert a sizing curve: first exciton (nm) of a diameter (nm)."""
    sizes = np.polyval(curve, _WAVELENGTHS)
    inside = min(max(diameter_nm, float(sizes[0])), float(sizes[-1]))
    wavelength = float(np.interp(inside, sizes, _WAVELENGTHS))
    return wavelength + (diameter_nm - inside) * exciton_slope(wavelength, curve)


def exciton_slope(wavelength: float, curve: tuple[float, ...] = JASIENIAK_2009) -> float:
    """Compute d(wavelength)/d(diameter) (nm/nm) at a first exciton (nm)."""
    return 1.0 / float(np.polyval(np.polyder(np.array(curve)), wavelength))


def emission(mixture: Mixture) -> tuple[float, float, float]:
    """Compute emission maximum (nm), FWHM (nm) and mean diameter (nm) of a mixture that holds particles."""
    diameters = 2e9 * mixture.radii
    mean, spread = _mean_and_spread(diameters, mixture.numbers)
    exciton = first_exciton(mean)
    shift = STOKES_AT_520 - STOKES_SLOPE * (exciton - REFERENCE_WAVELENGTH)
    inside = min(max(exciton, EXCITON_RANGE[0]), EXCITON_RANGE[1])
    width = math.hypot(INTRINSIC_FWHM, _FWHM_PER_SIGMA * spread * exciton_slope(inside))
    return exciton + shift, width, mean


def _mean_and_spread(values: Array, weights: Array) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    return mean, math.sqrt(float(np.average((values - mean) ** 2, weights=weights)))
