"""Faults hit the commands that they were armed for, as often as asked, the same ones for the same seed."""

import numpy as np
import pytest
from pydantic import ValidationError

from simulators.faults import PLATFORM_KINDS, SERIAL_KINDS, FaultBook, FaultKind, FaultSpec
from simulators.truth import PhysicalEvent


class Rig:
    def __init__(self, seed: int = 0) -> None:
        self.events: list[PhysicalEvent] = []
        self.book = FaultBook(self.events.append, lambda: 12.5, np.random.default_rng(seed))

    def arm(self, **fields: object) -> None:
        self.book.arm(FaultSpec.model_validate({"device": "pump", "fault": "no-reply"} | fields))

    def hits(self, *commands: str, device: str = "pump") -> list[bool]:
        return [self.book.take(device, command) is not None for command in commands]


def test_the_next_command_is_hit_once() -> None:
    rig = Rig()
    rig.arm()
    assert rig.hits("RUN", "RUN") == [True, False]


def test_the_nth_matching_command_is_hit() -> None:
    rig = Rig()
    rig.arm(pattern="RAT*", nth=2)
    assert rig.hits("RUN", "RAT1", "RUN", "RAT2", "RAT3") == [False, False, False, True, False]


def test_a_count_of_nothing_lasts_until_it_is_cleared() -> None:
    rig = Rig()
    rig.arm(count=0)
    assert all(rig.hits(*["RUN"] * 10))
    rig.book.clear("oven")
    assert rig.hits("RUN") == [True]
    rig.book.clear("pump")
    assert rig.hits("RUN") == [False]


def test_another_device_and_another_kind_are_left_alone() -> None:
    rig = Rig()
    rig.arm()
    assert rig.hits("RUN", device="oven") == [False]
    assert rig.book.take("pump", "RUN", PLATFORM_KINDS - {FaultKind.POWER_CYCLE}) is None
    assert rig.hits("RUN") == [True]


def test_chance_is_drawn_from_the_seed() -> None:
    draws = []
    for seed in (4, 4, 5):
        rig = Rig(seed)
        rig.arm(count=0, probability=0.5)
        draws.append(rig.hits(*["RUN"] * 40))
    assert draws[0] == draws[1] != draws[2]
    assert 8 < sum(draws[0]) < 32


def test_arming_and_hitting_are_in_the_truth() -> None:
    rig = Rig()
    rig.arm(fault="byte-flip")
    rig.hits("VER")
    phases = [(event.t, event.device, event.event, event.values["phase"], event.values["command"]) for event in rig.events]
    assert phases == [(12.5, "pump", "fault", "injected", ""), (12.5, "pump", "fault", "triggered", "VER")]


def test_a_flipped_byte_changes_one_bit() -> None:
    frame = b"\x0201SNE1000V3.928\x03"
    flipped = Rig().book.flip(frame)
    assert sum((one ^ other).bit_count() for one, other in zip(frame, flipped, strict=True)) == 1


def test_every_kind_belongs_to_a_device() -> None:
    assert frozenset(FaultKind) == PLATFORM_KINDS | SERIAL_KINDS


@pytest.mark.parametrize("fields", [{"nth": 0}, {"probability": 0.0}, {"probability": 1.5}, {"delay_s": -1.0}, {"fault": "gremlin"}])
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rig().arm(**fields)
