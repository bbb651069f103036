"""The balance below the vial, as an MT-SICS device: the driver is a profile that comes with Athanor."""

from typing import Final

from typing_extensions import override

from athanor.devices import Body, TruthValue
from lipid_mixing.stream import stretches, weight

VIAL: Final = 11.8
"""g, the empty vial."""
NOISE: Final = 0.0005
"""g, standard deviation of a weight."""
SETTLES: Final = 3.0
"""Lab s that the display needs after the last drop."""


class BalanceBody(Body):
    """Weighs what the chip gives while every stream flows."""

    @override
    def switch_on(self) -> None:
        self.collected, self.tare, self.last_drop = 0.0, 0.0, -SETTLES

    @override
    def advance(self, lab_s: float) -> None:
        for one in stretches(self.feeds, self.lab_s, lab_s):
            self.collected += weight(self.feeds, one)
            self.last_drop = one.until

    @override
    def describe(self) -> dict[str, TruthValue]:
        return {"collected_g": self.collected, "tare_g": self.tare}

    @property
    def is_stable(self) -> bool:
        """Whether nothing has dropped for a while."""
        return self.now().lab - self.last_drop >= SETTLES

    @property
    def shown(self) -> str:
        """What the display shows."""
        noise = self.random.normal(0.0, NOISE) if self.surroundings.noise else 0.0
        return f"{VIAL + self.collected - self.tare + noise:10.4f} g"

    @override
    def reply(self, line: bytes) -> bytes | None:
        match line.decode("ascii", "replace"):
            case "I2":
                answer = f'I2 A "{self.options.get("model", "MS204S Standard 220.0000 g")}"'
            case "I4":
                answer = f'I4 A "{self.options.get("serial_number", "B000000001")}"'
            case "SI":
                answer = f"S {'S' if self.is_stable else 'D'} {self.shown}"
            case "S" | "T" | "Z" as word if not self.is_stable:
                answer = f"{word} I"
            case "S":
                answer = f"S S {self.shown}"
            case "T":
                self.tare = VIAL + self.collected
                self.log("tare", collected_g=self.collected)
                answer = f"T S {self.tare:10.4f} g"
            case "Z":
                answer = "Z A"
            case _:
                answer = "ES"
        return answer.encode()
