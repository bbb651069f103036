"""Simulated devices that are declared: a feeder of registers and one of nodes. Both dose 1 mL in a lab second and count.

Beside them what the LADS platform needs to have something to analyse: a feed that never ends, and a dye that always shows.
"""

from collections.abc import Mapping
from typing import Any

from asyncua import ua
from typing_extensions import override

from athanor.chemistries import Observation, Passage, Product, SimulatedFamily
from athanor.devices import Body, TruthValue


class Feed(Body):
    """Fills the tube."""

    @override
    def switch_on(self) -> None:
        self.pour(6.0)

    @override
    def reply(self, line: bytes) -> None:
        """Say nothing."""


class Dye:
    """Shows whatever was mixed."""

    species = frozenset({"L"})

    def __init__(self, seed: int | None) -> None:
        self.seed = seed

    def synthesise(self, _recipe: Passage) -> Product:
        return Product("completed", 1.0, 500.0, 20.0, 0.5, 0.1)


def draw(tasks: int, rows: int, _seed: int) -> Any:
    return tuple((f"dye {task}", tuple(Observation({"x": 0.1 * row}, {"y": 0.2}) for row in range(rows))) for task in range(tasks))


DYES = SimulatedFamily(draw, {"x": "", "y": ""}, ("x",), lambda _: None, lambda _: {}, chemistry=Dye)


class Feeder(Body):
    """Doses, counts what it gave, and has a speed that is only a number."""

    SIGNAL = 7.5
    """What it measures."""
    starts = 0

    @override
    def switch_on(self) -> None:
        self.starts += 1
        self.given = self.left = self.speed = 0.0

    @override
    def advance(self, lab_s: float) -> None:
        moved = min(self.left, lab_s - self.lab_s)
        self.given, self.left = self.given + moved, self.left - moved
        if self.left < 1e-9:
            self.left = 0.0

    def dose(self, volume: float) -> None:
        self.left = volume
        self.log("dose", volume_ml=volume)

    def set_speed(self, speed: float) -> None:
        self.speed = speed
        self.log("setpoint", speed=speed)

    @override
    def describe(self) -> Mapping[str, TruthValue]:
        return {"given_ml": self.given, "left_ml": self.left, "speed": self.speed}


class RegisterFeeder(Feeder):
    """1 boot, 2 speed in tenths, 10 dose in hundredths of a mL, 11 given in thousandths, 12 busy, 13 signal in hundredths."""

    @property
    @override
    def registers(self) -> Mapping[int, int]:
        given = round(1000 * self.given) & 0xFFFF
        return {1: self.starts, 2: round(10 * self.speed), 10: 0, 11: given, 12: int(self.left > 0), 13: round(100 * self.SIGNAL)}

    @override
    def write(self, register: int, word: int) -> bool:
        if register == 2 and word <= 1000:
            self.set_speed(word / 10)
            return True
        if register == 10 and not (self.left and word):
            self.left = 0.0
            if word:
                self.dose(word / 100)
            return True
        return False


class NodeFeeder(Feeder):
    """The same as nodes, doses by a method."""

    @override
    async def build(self, server: Any) -> None:
        index = await server.register_namespace("urn:feeder")
        feeder = await server.nodes.objects.add_object(index, "Feeder")
        self.nodes = {name: await feeder.add_variable(index, name, value) for name, value in self.values().items()}
        argument = ua.Argument(Name="Value", DataType=ua.NodeId(ua.Int32(ua.object_ids.ObjectIds.Double)), ValueRank=ua.Int32(-1))
        await feeder.add_method(index, "Dose", self.on_dose, [argument], [])
        await feeder.add_method(index, "SetSpeed", self.on_speed, [argument], [])
        await feeder.add_method(index, "Stop", self.on_stop, [], [])

    def values(self) -> dict[str, Any]:
        return {"Boot": str(self.starts), "Speed": self.speed, "Given": self.given, "Busy": int(self.left > 0), "Signal": self.SIGNAL}

    async def on_dose(self, _parent: Any, volume: Any) -> Any:
        self.catch_up()
        if self.left:
            return ua.StatusCode(ua.UInt32(ua.status_codes.StatusCodes.BadInvalidState))
        self.dose(volume.Value)
        await self.show()
        return []

    async def on_speed(self, _parent: Any, speed: Any) -> Any:
        self.catch_up()
        self.set_speed(speed.Value)
        await self.show()
        return []

    async def on_stop(self, _parent: Any) -> Any:
        self.catch_up()
        self.left = 0.0
        await self.show()
        return []

    @override
    async def show(self) -> None:
        self.catch_up()
        for name, value in self.values().items():
            await self.nodes[name].write_value(value)
