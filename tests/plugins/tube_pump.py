"""A pump of other people's that feeds the plant's tube: it takes lines, where the shipped ones take packets."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from athanor.devices import Body, TruthValue
from athanor.drivers import Argument, Call, Counted, Identity, LineDriver, channel, command, safe

NUMBER = r"\d+\.\d+"


class Pump(Counted, LineDriver):
    """Pumps volumes at flows."""

    COUNTERS: ClassVar[Mapping[str, tuple[str, str]]] = {"dose": ("given", "volume")}

    @override
    def identify(self) -> Identity:
        model, boot = self.ask("ID?", r"(\w+) (\d+)").groups()
        return self.expected(Identity(model, None, None, boot))

    @command("state-setting", flow=Argument("mL/min", 0.001, 20.0, 0.001))
    def set_flow(self, flow: float) -> None:
        self.ask(f"FLOW {flow:.3f}", "OK")

    @command("dosing", volume=Argument("mL", 0.001, 100.0, 0.001))
    def dose(self, volume: float) -> None:
        self.ask(f"DOSE {volume:.3f}", "OK")

    @safe
    def stop(self) -> None:
        self.ask("STOP", "OK")

    @override
    def cancel(self, call: Call) -> None:
        self.stop()

    @override
    def is_busy(self) -> bool:
        return float(self.ask("NOW?", NUMBER)[0]) > 0

    @channel("mL/min")
    def flow(self) -> float:
        return float(self.ask("NOW?", NUMBER)[0])

    @channel("mL")
    def given(self) -> float:
        return float(self.ask("GIVEN?", NUMBER)[0])


class PumpBody(Body):
    """Runs out of nothing."""

    starts = 0

    @override
    def switch_on(self) -> None:
        self.starts += 1
        self.rate, self.left, self.total = 1.0, 0.0, 0.0
        self.pour(0.0)

    @override
    def advance(self, lab_s: float) -> None:
        moved = min(self.left, (lab_s - self.lab_s) * self.rate / 60)
        self.total, self.left = self.total + moved, self.left - moved
        if moved and self.left < 1e-9:
            self.lab_s, self.left = self.lab_s + moved * 60 / self.rate, 0.0
            self.pour(0.0)

    @override
    def next_change(self) -> float | None:
        return self.lab_s + self.left * 60 / self.rate if self.left else None

    @override
    def describe(self) -> dict[str, TruthValue]:
        return {"left_ml": self.left, "given_ml": self.total}

    @override
    def reply(self, line: bytes) -> bytes:
        match line.decode().split():
            case ["FLOW", rate]:
                self.rate = float(rate)
            case ["DOSE", volume]:
                self.left = float(volume)
                self.pour(self.rate)
                self.log("dose", volume_ml=self.left)
            case ["STOP"]:
                self.left = 0.0
                self.pour(0.0)
            case [question]:
                now = self.rate if self.left else 0.0
                return {"ID?": f"PUMP {self.starts}", "NOW?": f"{now:.3f}", "GIVEN?": f"{self.total:.3f}"}.get(question, "?").encode()
        return b"OK"
