"""Stand-ins that are Modbus registers as their profile declares them."""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from typing_extensions import override

from simulators.declarations import Value
from simulators.pattern_text import texts_of
from simulators.stand_in import StandIn
from simulators.truth import Record

_CODES: Final = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
"""Type -> how `struct` writes it, high byte first: what the types of a profile mean."""


class RegisterStandIn(StandIn):
    """A stand-in whose values are registers; functions that read serve holding and input registers alike."""

    def __init__(self, name: str, options: Mapping[str, Any], record: Record, random: np.random.Generator) -> None:
        """Read its profile, then switch it on."""
        self._profile = options["declaration"].profile
        self._order = self._profile["modbus"]["word_order"]
        self._written: dict[int, int] = {}
        super().__init__(name, {**options, "unit": int(options["declaration"].fields["address"])}, record, random)

    @property
    @override
    def registers(self) -> Mapping[int, int]:
        self.hear()
        words = {number: self._written.get(number, 0) for act in self._acts() for number in _numbers(act)}
        for channel, asked in self._profile["channels"].items():
            words |= self._words(asked, self._number(channel, asked), words)
        identity = self._profile["identity"]
        if identity is not None:
            words |= self._words(identity, self._model(identity), words)
        return words

    def _number(self, channel: str, asked: Mapping[str, Any]) -> float:
        value = self.value(channel)
        return float(value) / float(asked["scale"]) if isinstance(value, float | int) else 0.0

    def _model(self, asked: Mapping[str, Any]) -> float:
        said = [self.declared.model or "", *texts_of(asked["model"])]
        return next((float(one) for one in said if re.fullmatch(r"\d+", one) and re.fullmatch(asked["model"], one)), 0.0)

    def _words(self, asked: Mapping[str, Any], number: float, others: Mapping[int, int]) -> dict[int, int]:
        first, kind = asked["register"], asked["type"] or "int16"
        if asked["bit"] is not None:
            mask = 1 << asked["bit"]
            return {first: others.get(first, 0) & ~mask | (mask if number else 0)}
        try:
            packed = struct.pack(_CODES[kind], number if kind == "float32" else round(number))
        except (struct.error, OverflowError):
            return {first: 0}
        words = struct.unpack(f">{len(packed) // 2}H", packed)
        return dict(enumerate(words if self._order == "big" else words[::-1], start=first))

    @override
    def write(self, register: int, word: int) -> bool:
        """Take a word; a value is complete with its last one."""
        self.hear()
        acts = [(place, name, act) for place, name, act in self._named() if register in _numbers(act)]
        self._written[register] = word
        whole = [(place, name, act, self._value(act)) for place, name, act in acts if register == _numbers(act)[-1]]
        fitting = [(place, name, act, value) for place, name, act, value in whole if self._fits(act, value)]
        if whole and not fitting:
            return False
        is_safe = any(place == "safe" for place, _, _, _ in fitting)
        taken = [self._carry_out(place, name, act, value, is_safe=is_safe) for place, name, act, value in fitting]
        return all(taken)

    def _carry_out(self, place: str, name: str, act: Mapping[str, Any], value: float, *, is_safe: bool) -> bool:
        if place == "watchdog":
            self.hear(seconds=value)
            return True
        if place == "safe":
            self.make_safe(name)
            return True
        return self.take(name, self._arguments(act, value), switches_on=not is_safe) is None

    @staticmethod
    def _arguments(act: Mapping[str, Any], value: float) -> dict[str, Value]:
        written = act["value"] if isinstance(act["value"], str) else next(iter(act["argument"]), None) if act["value"] is None else None
        return {} if written is None else {written: value * float(act["argument"][written]["scale"])}

    def _value(self, act: Mapping[str, Any]) -> float:
        words = [self._written.get(number, 0) for number in _numbers(act)]
        packed = struct.pack(f">{len(words)}H", *(words if self._order == "big" else words[::-1]))
        return float(struct.unpack(_CODES[act["type"] or "int16"], packed)[0])

    @staticmethod
    def _fits(act: Mapping[str, Any], value: float) -> bool:
        """Say whether an act writes this value: the one that it declares, or any."""
        return not isinstance(act["value"], float | int) or act["value"] == value

    def _acts(self) -> Iterator[Mapping[str, Any]]:
        return (act for _, _, act in self._named())

    def _named(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for place in ("commands", "safe"):
            yield from ((place, name, act) for name, act in self._profile[place].items())
        if self._profile["watchdog"] is not None:
            yield "watchdog", "watchdog", self._profile["watchdog"]


def _numbers(act: Mapping[str, Any]) -> range:
    first = int(act["register"])
    return range(first, first + struct.calcsize(_CODES[act["type"] or "int16"]) // 2)
