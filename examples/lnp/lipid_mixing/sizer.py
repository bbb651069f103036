"""The particle sizer with its plate reader, as a LADS device: it takes what the chip gave, dilutes, sizes and stains it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

import numpy as np
from typing_extensions import override

from athanor.devices import Body, Nameplate, Order, Template, TruthValue
from lipid_mixing.measuring import UNITS, Habits, Seen, room
from lipid_mixing.mixing import COMPLETED, Mixture
from lipid_mixing.stream import BUFFER_PH, Stretch, mixture_of, stretches

Variables = dict[str, float | list[float]]
EMPTY: Final = "no-sample"
"""Outcome where nothing came from the chip since the last sample."""
HOLDS: Final = (0.1, 600.0)
"""s between mixing and dilution that the sampler can do."""


class SizerBody(Body):
    """Sizes by dynamic light scattering; stains RNA outside the particles, and all of it after lysis."""

    PLATE: ClassVar[Nameplate] = Nameplate("ParticleSizer", "Analyser", "Lipid Mixing Example (simulated)", "1.0")
    PROGRAMS: ClassVar[Mapping[str, Template]] = {
        "Size": Template(
            "1.0",
            "Fills a vial from the chip, dilutes it after a hold, sizes it and measures what RNA a dye reaches before and after lysis.",
            60.0,
            properties={"hold": HOLDS},
            samples=True,
            variables=UNITS,
            recording="ZAverage",
        )
    }

    @override
    def switch_on(self) -> None:
        self.taken = 0.0

    @override
    def describe(self) -> dict[str, TruthValue]:
        return {"last_sample_lab_s": self.taken}

    @override
    def run(self, order: Order) -> Callable[[], tuple[str, Variables]]:
        found = stretches(self.feeds, self.taken, self.lab_s)
        self.taken = self.lab_s
        mixed = self._mixture(order, found) if found else None
        self.log("sample", run_key=order.task_id, **_told(mixed))
        if mixed is None:
            return lambda: (EMPTY, {})
        seed, lab_s = int(self.random.integers(2**62)), self.lab_s
        return partial(self._measure, mixed, lab_s, seed, order.task_id)

    def _mixture(self, order: Order, found: list[Stretch]) -> Mixture | None:
        around = self.surroundings
        day = room(around.plant_seed, self.lab_s, ambient_degc=around.ambient_degc, hold=order.number("hold"), still=not around.noise)
        return mixture_of(self.feeds, found[-1], day, float(self.options.get("ph", BUFFER_PH)))

    def _measure(self, mixed: Mixture, lab_s: float, seed: int, run_key: str) -> tuple[str, Variables]:
        made = self.chemistry.mix(mixed)
        seen = Seen(float(made.diameter[0]), float(made.pdi[0]), float(made.encapsulation[0]))
        truth = {"diameter_nm": seen.diameter, "pdi": seen.pdi, "encapsulation": seen.encapsulation, "potency": float(made.potency[0])}
        self.log("measured", run_key=run_key, reason=made.reason[0], **truth)
        if made.reason[0] != COMPLETED:
            return made.reason[0], {}
        around = self.surroundings
        habits = replace(Habits(around.plant_seed), noise=around.noise, outliers=around.outliers)
        raw = habits.record(seen, lab_s, np.random.default_rng(seed))
        return COMPLETED, {name: list(values) for name, values in raw.items()}


def _told(mixed: Mixture | None) -> dict[str, TruthValue]:
    """Say what a vial was filled with."""
    if mixed is None:
        return {"filled": False}
    units = {"flow": "flow_ml_per_min", "ratio": "frr", "lipid": "lipid_mol_per_m3", "np_ratio": "np", "peg": "peg_mol_percent"}
    return {"filled": True, **{told: round(float(getattr(mixed, name)[0]), 6) for name, told in units.items()}}
