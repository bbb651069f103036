"""The reduction `lnp-sizing/1`: the sizer's recordings and the plate reader's wells to size, polydispersity and encapsulation."""

from collections.abc import Sequence
from typing import Final

from athanor.reductions import Reading, Reduced, Reduction
from lipid_mixing.measuring import UNITS, Found, Raw, encapsulation_of, pdi_of, size_of

HIGHEST_PDI: Final = 0.5
"""Above it a mean size by light scattering says little of the particles [ISO 22412 calls such samples broad]."""


def reduce_sizing(readings: Sequence[Reading]) -> tuple[Reduced, ...]:
    """Reduce one run's readings: `size` (nm), `pdi` (1), `encapsulation` (1), each with its standard uncertainty.

    What is missing, or of bad quality, is said as the reason for quarantine.
    """
    last = {reading.channel: reading for reading in readings if reading.channel in UNITS}
    raw: Raw = {name: reading.array for name, reading in last.items() if reading.array}
    bad = sorted(name for name, reading in last.items() if reading.quality != "good")
    hashes = {name: reading.sha256 for name, reading in last.items()}
    return (
        _reduced("size", "nm", ("ZAverage", "PolydispersityIndex"), raw, bad, hashes),
        _reduced("pdi", "", ("PolydispersityIndex",), raw, bad, hashes),
        _reduced("encapsulation", "", ("Intact", "Lysed", "Blank"), raw, bad, hashes),
    )


def _reduced(target: str, unit: str, needs: tuple[str, ...], raw: Raw, bad: list[str], hashes: dict[str, str]) -> Reduced:
    came = tuple(hashes[name] for name in needs if name in hashes)
    missing = [name for name in needs if len(raw.get(name, ())) < 2]
    if missing:
        return Reduced(target, None, unit, None, f"no recordings of {', '.join(missing)}", came)
    found = _value(target, raw)
    if found is None:
        return Reduced(target, None, unit, None, "lysis shows no RNA above the blank", came)
    wrong = [f"{name} is not of good quality" for name in needs if name in bad]
    if target == "size" and pdi_of(raw).value > HIGHEST_PDI:
        wrong.append(f"polydispersity above {HIGHEST_PDI:g}: the mean size means little")
    return Reduced(target, found.value, unit, found.uncertainty, "; ".join(wrong) or None, came)


def _value(target: str, raw: Raw) -> Found | None:
    if target == "encapsulation":
        return encapsulation_of(raw)
    return size_of(raw) if target == "size" else pdi_of(raw)


SIZING: Final = Reduction("lnp-sizing/1", frozenset({"size", "pdi", "encapsulation"}), reduce_sizing)
