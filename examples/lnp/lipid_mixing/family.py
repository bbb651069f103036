"""The family: lipids whose constants nobody knows, each tried as the example bench would try and measure it.

A task is called like `dilinoleyl/C14/3`, so that kinship shows: the class of the ionisable lipid, the PEG-lipid's anchor, and the
draw's number. Tasks of one class are a group.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from athanor.chemistries import Observation, SimulatedFamily
from lipid_mixing.measuring import SECONDS_PER_DAY, Habits, Seen, encapsulation_of, pdi_of, room, size_of
from lipid_mixing.mixing import COMPLETED, Array, Lipid, Mixture, Outcomes, mix
from lipid_mixing.stream import BUFFER_PH, IONISABLE_SHARE

IONISABLE: Final[Mapping[str, tuple[float, float, float]]] = {
    "dilinoleyl": (0.0, 1.0, 1.0),
    "branched ester": (-0.3, 1.1, 0.7),
    "asymmetric ester": (0.3, 1.05, 1.5),
}
"""Class means: shift of the pKa; volume and coalescence relative to the base. The pKa follow the published order of
ALC-0315 < MC3 < SM-102, which stand for the classes; volume and coalescence are effective."""
ANCHORS: Final[Mapping[str, tuple[float, float]]] = {"C14": (0.9, -0.15), "C18": (1.2, 0.15)}
"""Class means: covered area relative to the base, and decades of solubility lost to longer chains (effective)."""
WITHIN: Final = {
    "pka": 0.1,
    "molecule": 0.08,
    "peg_area": 0.12,
    "log_solubility": 0.15,
    "cosolvency": 0.04,
    "efficiency": 0.4,
    "half_charge": 0.15,
}
"""Standard deviations within a class: of pKa and decades of solubility as they are, of all else of the logarithm."""

PARAMETERS: Final[Mapping[str, tuple[float, float]]] = {"flow": (2.0, 15.0), "frr": (1.0, 9.0), "np": (1.5, 10.0), "peg": (0.7, 4.5)}
"""What the example bench varies, and how far: mL/min, aqueous to ethanol, N/P, mol % of PEG-lipid."""
UNITS: Final = {"flow": "mL/min", "frr": "", "np": "", "peg": "", "size": "nm", "pdi": "", "encapsulation": ""}
LIPID_STOCK: Final = 12.5
"""mol/m3 in ethanol, both of the example bench's lipid stocks; half of it is ionisable."""
RNA_STOCK: Final = 2.5
"""mol/m3 of phosphate in the buffer, as in the example bench."""
LEAST_FLOW: Final = 0.05
"""mL/min that each of the example bench's pumps gives at least."""
ROW_STREAM: Final = 5
RUNS_PER_DAY: Final = 12
"""After so many the next row belongs to the next day."""


def draw_lipid(rng: np.random.Generator) -> Lipid:
    """Draw one lipid: two classes, and constants around the classes' means."""
    base = Lipid()
    ionisable, anchor = str(rng.choice(list(IONISABLE))), str(rng.choice(list(ANCHORS)))
    shift, volume, sticky = IONISABLE[ionisable]
    area, decades = ANCHORS[anchor]
    apart = {name: sd * float(rng.standard_normal()) for name, sd in WITHIN.items()}
    factor = {name: float(np.exp(value)) for name, value in apart.items()}
    return Lipid(
        pka=base.pka + shift + apart["pka"],
        molecule=base.molecule * volume * factor["molecule"],
        peg_area=base.peg_area * area * factor["peg_area"],
        log_solubility=base.log_solubility - decades + apart["log_solubility"],
        cosolvency=base.cosolvency * factor["cosolvency"],
        efficiency=base.efficiency * sticky * factor["efficiency"],
        half_charge=base.half_charge * factor["half_charge"],
        ionisable=ionisable,
        anchor=anchor,
    )


@dataclass(frozen=True, slots=True)
class LnpChemistry:
    """What happens on the chip of a plant: one lipid."""

    lipid: Lipid

    def mix(self, mixture: Mixture) -> Outcomes:
        """Compute what mixing gives."""
        return mix(mixture, self.lipid)


def chemistry(seed: int | None) -> LnpChemistry:
    """Make a plant's chemistry; without a seed the family's centre."""
    return LnpChemistry(Lipid() if seed is None else draw_lipid(np.random.default_rng([seed])))


def configurations(count: int, seed: int) -> list[dict[str, float]]:
    """Return settings that the example bench's pumps can reach: the first of an additive recurrence that is shifted at random.

    Its steps are the powers of the generalised golden ratio, x^(d+1) = x + 1 [Roberts 2018], which fill a box evenly; SciPy's
    sequences would do as well, but take seconds to import where plug-ins have ten.
    """
    low, high = np.array(list(PARAMETERS.values())).T
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (len(PARAMETERS) + 1))
    steps = ratio ** -np.arange(1.0, len(PARAMETERS) + 1.0)
    shift = np.random.default_rng([seed, ROW_STREAM]).random(len(PARAMETERS))
    points = (low + (high - low) * ((shift + number * steps) % 1.0) for number in itertools.count(1))
    rows = (dict(zip(PARAMETERS, map(float, point), strict=True)) for point in points)
    return list(itertools.islice(filter(reachable, rows), count))


def flows(row: Mapping[str, float]) -> dict[str, float]:
    """Return what each pump gives (mL/min): RNA, buffer, lipids with little PEG (0.5 mol %) and with much (5 mol %)."""
    ethanol = row["flow"] / (1.0 + row["frr"])
    rich = (row["peg"] - 0.5) / 4.5
    rna = IONISABLE_SHARE * LIPID_STOCK / (RNA_STOCK * row["np"]) * ethanol
    return {"rna": rna, "buffer": row["frr"] * ethanol - rna, "lipid": (1.0 - rich) * ethanol, "peg": rich * ethanol}


def reachable(row: Mapping[str, float]) -> bool:
    """Say whether every pump has something to give."""
    return min(flows(row).values()) >= LEAST_FLOW


def mixtures(rows: list[dict[str, float]], kelvin: Array | float, hold: Array | float) -> Mixture:
    """Return what settings make of the stocks."""
    flow, ratio, np_ratio, peg = (np.array([row[name] for row in rows]) for name in PARAMETERS)
    return Mixture.of(flow, ratio, LIPID_STOCK, np_ratio, peg, ph=BUFFER_PH, kelvin=kelvin, hold=hold)


def observe(row: dict[str, float], seen: Seen, lab_s: float, habits: Habits, generator: np.random.Generator) -> Observation | None:
    """Measure one sample as bench and reduction do; None where the dye shows no RNA."""
    raw = habits.record(seen, lab_s, generator)
    inside = encapsulation_of(raw)
    if inside is None:
        return None
    found = {"size": size_of(raw), "pdi": pdi_of(raw), "encapsulation": inside}
    return Observation(dict(row), {name: one.value for name, one in found.items()}, {name: one.uncertainty for name, one in found.items()})


def draw(count: int, rows: int, seed: int) -> tuple[tuple[str, tuple[Observation, ...]], ...]:
    """Draw tasks with measurements of `size` (nm), `pdi` and `encapsulation`; of the rows those that fail are left out."""
    return tuple(_task(index, rows, seed) for index in range(count))


def _task(index: int, rows: int, seed: int) -> tuple[str, tuple[Observation, ...]]:
    lipid = draw_lipid(np.random.default_rng([seed, index]))
    own = seed + 1009 * index
    tried, habits, generator = configurations(rows, own), Habits(own), np.random.default_rng([own, 6])
    times = [place // RUNS_PER_DAY * SECONDS_PER_DAY for place in range(rows)]
    days = [room(own, time) for time in times]
    made = mix(mixtures(tried, np.array([day.kelvin for day in days]), np.array([day.hold for day in days])), lipid)
    found = []
    for place, row in enumerate(tried):
        if made.reason[place] == COMPLETED:
            seen = Seen(float(made.diameter[place]), float(made.pdi[place]), float(made.encapsulation[place]))
            found.append(observe(row, seen, times[place], habits, generator))
    return f"{lipid.ionisable}/{lipid.anchor}/{index}", tuple(one for one in found if one is not None)


def classes(task: str) -> dict[str, float | str]:
    """Return what a chemist knows of a task before the first experiment."""
    ionisable, anchor, _ = task.split("/")
    return {"ionisable": ionisable, "anchor": anchor}


LNP: Final = SimulatedFamily(draw, UNITS, tuple(PARAMETERS), lambda task: task.rpartition("/")[0], classes, chemistry=chemistry)
