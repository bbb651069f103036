"""CdSe quantum dots in a flow tube: LaMer burst, size focusing, ripening, and what that does to the light.

Simplified from published work (population balance with reversible surface reactions [Lazzari2017]; flow synthesis
[Clark2011]); constants are effective numbers. Range: 197 to 287 degC, 5 to 600 s, Se 3 to 30 mmol/L, free ligand 0.2 to
4 mol/L, Cd:Se 0.8 to 5.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from simulators.chemistry.cdse_optics import emission
from simulators.chemistry.family import (
    BROAD,
    CLOGGED,
    COMPLETED,
    LOW_CONVERSION,
    NO_PARTICLES,
    Chemistry,
    Passage,
    Product,
    nothing,
)
from simulators.chemistry.growth import Kinetics, Mixture, fresh_mixture, grow, solid

AVOGADRO = 6.02214076e23
BOLTZMANN = 1.380649e-23
GAS_CONSTANT = 8.31446261815324

REFERENCE_KELVIN = 513.0
KELVIN = 273.15
MOLECULE = 5.6e-29
"""Volume of one CdSe formula unit (m3)."""

DIFFUSIVITY = 6e-10
"""D0, monomer at 513 K (m2/s)."""

ATTEMPT_RATE = 1e31
"""An of the nucleation rate (1/m3/s)."""

SOLUBILITY_ENERGY = 35e3
SURFACE_ENERGY_BARRIER = 45e3
"""J/mol, activation energies of solubility and surface attachment."""

RESIDENCE_SPREAD = ((0.5, 0.15), (0.75, 0.25), (1.0, 0.30), (1.4, 0.20), (2.0, 0.10))
"""Laminar single-phase flow: multiples of the mean residence time and their weights."""

LEAST_CONVERSION = 0.1
WIDEST_FWHM = 90.0
"""nm; a wider line means that ripening has destroyed the size distribution."""

CLOGGING_LOAD = 45.0
"""Solid (mol/m3) per stabilising ligand (0.3 + mol/L) above which particles stick to each other and to the wall."""

LIGAND_OFFSET = 0.3
"""mol/L, the coordinating power of the solvent itself."""

EXTINCTION = 0.2
"""Absorbance at the excitation wavelength per mol/m3 of solid and cm: above about 0.5 mol/m3 a sample is diluted."""


@dataclass(frozen=True, slots=True)
class CdSeConstants:
    """The hidden constants of one task; the defaults are the family's centre."""

    precursor_rate: float = 0.06
    """kp0 at 513 K (1/s)."""

    activation_energy: float = 72e3
    """Ea of the precursor conversion (J/mol)."""

    surface_energy: float = 0.14
    """gamma without free ligand (J/m2)."""

    solubility: float = 1e-3
    """Ms0 at 513 K per (0.3 + L) (mol/m3)."""

    surface_rate: float = 1e-4
    """ks at 513 K times (0.3 + L) (m/s)."""

    passivation: float = 4.0
    """KL, binding of the ligand to emissive surfaces (L/mol)."""

    brightest: float = 0.85
    """eta0, quantum yield of a perfect surface."""

    precursor: str = "phosphine selenide"
    ligand: str = "oleic acid"

    nucleation_order: float = 0.0
    """p of a power law of nucleation; 0: classical nucleation. No task of the family has another."""


@dataclass(frozen=True, slots=True)
class CdSeConditions:
    """Controls of one synthesis."""

    temperature: float
    """degC."""

    residence_time: float
    """s."""

    selenium: float
    """mol/L in the tube."""

    ligand: float
    """Free ligand, mol/L in the tube."""

    cd_se_ratio: float
    segmented: bool = False
    """Gas-segmented flow: every plug stays equally long. Otherwise residence times spread."""


@dataclass(frozen=True, slots=True)
class CdSeOutcome:
    """What a synthesis gives."""

    reason: str
    """`completed` or the failure's code."""

    conversion: float = 0.0
    emission_nm: float = 0.0
    fwhm_nm: float = 0.0
    quantum_yield: float = 0.0
    diameter_nm: float = 0.0


PRECURSOR_CLASSES = {"phosphine selenide": (1.0, 1.0), "secondary phosphine": (1.8, 0.93), "selenourea": (2.6, 0.85)}
"""Class means relative to the base constants: precursor rate, activation energy."""

LIGAND_CLASSES = {"oleic acid": (1.0, 1.0, 1.0, 1.0), "phosphonic acid": (1.05, 0.6, 0.6, 1.6), "amine": (0.95, 1.6, 1.5, 1.2)}
"""Class means relative to the base constants: surface energy, solubility, surface rate, passivation."""

WITHIN_CLASS = {"rate": 0.20, "energy": 0.03, "tension": 0.03, "solubility": 0.25, "surface": 0.25, "passivation": 0.25}
"""Standard deviations of the natural logarithm within a class."""


def draw_task(rng: np.random.Generator) -> CdSeConstants:
    """Draw one task: a precursor class, a ligand class, and log-normal constants around the class means."""
    base = CdSeConstants()
    precursor, ligand = str(rng.choice(list(PRECURSOR_CLASSES))), str(rng.choice(list(LIGAND_CLASSES)))
    rate, energy = PRECURSOR_CLASSES[precursor]
    tension, solubility, surface, passivation = LIGAND_CLASSES[ligand]
    spread = {name: float(np.exp(sd * rng.standard_normal())) for name, sd in WITHIN_CLASS.items()}
    return CdSeConstants(
        precursor_rate=base.precursor_rate * rate * spread["rate"],
        activation_energy=base.activation_energy * energy * spread["energy"],
        surface_energy=base.surface_energy * tension * spread["tension"],
        solubility=base.solubility * solubility * spread["solubility"],
        surface_rate=base.surface_rate * surface * spread["surface"],
        passivation=base.passivation * passivation * spread["passivation"],
        brightest=float(rng.uniform(0.7, 0.95)),
        precursor=precursor,
        ligand=ligand,
    )


def _arrhenius(energy: float, kelvin: float) -> float:
    return math.exp(-energy / GAS_CONSTANT * (1.0 / kelvin - 1.0 / REFERENCE_KELVIN))


def kinetics(conditions: CdSeConditions, constants: CdSeConstants) -> Kinetics:
    """Compute the rates at given conditions."""
    kelvin, free = conditions.temperature + KELVIN, conditions.ligand + LIGAND_OFFSET
    tension = constants.surface_energy * (1.0 - 0.08 * conditions.ligand / (1.0 + conditions.ligand))
    thermal = BOLTZMANN * kelvin
    rate = constants.precursor_rate * _arrhenius(constants.activation_energy, kelvin)
    return Kinetics(
        conversion_rate=rate * free**-0.6 * math.sqrt(conditions.cd_se_ratio / 2.0),
        solubility=constants.solubility * _arrhenius(SOLUBILITY_ENERGY, kelvin) * free,
        capillary_length=2.0 * tension * MOLECULE / thermal,
        molar_volume=MOLECULE * AVOGADRO,
        diffusivity=DIFFUSIVITY * kelvin / REFERENCE_KELVIN,
        surface_rate=constants.surface_rate * _arrhenius(SURFACE_ENERGY_BARRIER, kelvin) / free,
        attempt_rate=ATTEMPT_RATE,
        barrier=16.0 * math.pi * tension**3 * MOLECULE**2 / (3.0 * thermal**3),
        order=constants.nucleation_order,
    )


def residence_times(conditions: CdSeConditions) -> tuple[tuple[float, float], ...]:
    """Return the residence times (s) that occur, rising, with their weights."""
    spread = ((1.0, 1.0),) if conditions.segmented else RESIDENCE_SPREAD
    return tuple((multiple * conditions.residence_time, weight) for multiple, weight in spread)


def _stages(conditions: CdSeConditions, rates: Kinetics) -> Iterator[Mixture]:
    """Give the mixture at each residence time that occurs, from one trajectory."""
    mixture = fresh_mixture(1e3 * conditions.selenium)
    for until, _ in residence_times(conditions):
        mixture = grow(mixture, rates, until)
        yield mixture


def blended(conditions: CdSeConditions, stages: Sequence[Mixture]) -> Mixture:
    """Mix what the residence times gave, in their order, by weight."""
    weights = [weight for _, weight in residence_times(conditions)]
    return Mixture(
        conditions.residence_time,
        sum(weight * stage.precursor for stage, weight in zip(stages, weights, strict=True)),
        sum(weight * stage.monomer for stage, weight in zip(stages, weights, strict=True)),
        np.concatenate([stage.radii for stage in stages]),
        np.concatenate([weight * stage.numbers for stage, weight in zip(stages, weights, strict=True)]),
    )


def mixed_product(conditions: CdSeConditions, constants: CdSeConstants) -> Mixture:
    """Compute the liquid that leaves the tube: the weighted mixture over the residence times (mol/m3, m, 1/m3)."""
    return blended(conditions, tuple(_stages(conditions, kinetics(conditions, constants))))


def quantum_yield(conditions: CdSeConditions, constants: CdSeConstants, diameter_nm: float) -> float:
    """Compute the photoluminescence quantum yield of particles of a mean diameter (nm)."""
    covered = constants.passivation * conditions.ligand / (1.0 + constants.passivation * conditions.ligand)
    stoichiometry = math.exp(-(math.log(conditions.cd_se_ratio / 2.5) ** 2) / 0.8)
    small = 1.0 - 0.5 * math.exp(-diameter_nm / 1.5)
    hot = math.exp(-max(conditions.temperature + KELVIN - 553.0, 0.0) / 60.0)
    return constants.brightest * covered * stoichiometry * small * hot


def simulate_one(conditions: CdSeConditions, constants: CdSeConstants) -> CdSeOutcome:
    """Compute one synthesis, about 50 ms; many at once are quicker by `simulators.chemistry.cdse_batch`."""
    return outcome_of(mixed_product(conditions, constants), conditions, constants)


def outcome_of(mixture: Mixture, conditions: CdSeConditions, constants: CdSeConstants) -> CdSeOutcome:
    """Judge what leaves the tube; a failure has a reason code and no optical values that would mislead."""
    if mixture.radii.size == 0:
        return CdSeOutcome(NO_PARTICLES)
    made = solid(mixture, kinetics(conditions, constants))
    conversion = made / (1e3 * conditions.selenium)
    if conversion < LEAST_CONVERSION:
        return CdSeOutcome(LOW_CONVERSION, conversion)
    if made / (conditions.ligand + LIGAND_OFFSET) > CLOGGING_LOAD:
        return CdSeOutcome(CLOGGED, conversion)
    peak, width, size = emission(mixture)
    reason = BROAD if width > WIDEST_FWHM else COMPLETED
    return CdSeOutcome(reason, conversion, peak, width, quantum_yield(conditions, constants, size), size)


@dataclass(frozen=True, slots=True)
class CdSeChemistry(Chemistry):
    """The family behind a plant's tube; species Cd, Se and L (free ligand)."""

    constants: CdSeConstants
    segmented: bool = False

    @property
    @override
    def species(self) -> frozenset[str]:
        return frozenset({"Cd", "Se", "L"})

    @override
    def synthesise(self, recipe: Passage) -> Product:
        cadmium, selenium = recipe.concentrations.get("Cd", 0.0), recipe.concentrations.get("Se", 0.0)
        if cadmium <= 0.0 or selenium <= 0.0:
            return nothing(NO_PARTICLES)
        ligand = recipe.concentrations.get("L", 0.0)
        conditions = CdSeConditions(recipe.temperature, recipe.residence_time, selenium, ligand, cadmium / selenium, self.segmented)
        made = simulate_one(conditions, self.constants)
        absorbance = EXTINCTION * 1e3 * selenium * made.conversion
        return Product(made.reason, made.conversion, made.emission_nm, made.fwhm_nm, made.quantum_yield, absorbance)
