"""A burette that doses a dye into a cuvette and reads its colour: the driver, and a simulated body to try it on."""

from math import exp

from athanor.devices import Body
from athanor.drivers import Argument, Counted, Identity, LineDriver, channel, command, safe

NUMBER = r"\d+\.\d+"


class Burette(Counted, LineDriver):
    """Doses a dye and reads its absorbance."""

    COUNTERS = {"dose": ("given", "volume")}

    def identify(self):
        model, serial, switched_on = self.ask("ID?", r"(\w+) (\d+) (\d+)").groups()
        return self.expected(Identity(model, serial, None, boot_id=switched_on))

    @command("dosing", volume=Argument("mL", low=0.01, high=10.0, resolution=0.01))
    def dose(self, volume):
        """Dose a volume; the burette ends it by itself."""
        self.ask(f"DOSE {volume:.2f}", "OK")

    @command("state-setting")
    def drain(self):
        self.ask("DRAIN", "OK")

    @safe
    def stop(self):
        """Stop the piston."""
        self.ask("STOP", "OK")

    def cancel(self, call):
        self.stop()

    def is_busy(self):
        return self.ask("BUSY?", "0|1")[0] == "1"

    @channel("mL")
    def given(self):
        return float(self.ask("GIVEN?", NUMBER)[0])

    @channel()
    def absorbance(self):
        return float(self.ask("ABS?", NUMBER)[0])


class BuretteBody(Body):
    """Gives 30 mL/min; its dye is darkest at 4.3 mL."""

    starts = 0

    def switch_on(self):
        self.starts += 1
        self.given = self.left = self.filled = 0.0

    def advance(self, lab_s):
        moved = min(self.left, (lab_s - self.lab_s) * 30 / 60)
        self.given, self.filled, self.left = self.given + moved, self.filled + moved, self.left - moved

    def next_change(self):
        return self.lab_s + self.left * 60 / 30 if self.left else None

    def reply(self, line):
        match line.decode().split():
            case ["DOSE", volume] if not self.left:
                self.left = float(volume)
                self.log("dose", volume_ml=self.left)
            case ["DRAIN" | "STOP" as word]:
                self.left, self.filled = 0.0, self.filled if word == "STOP" else 0.0
            case [question] if question.endswith("?"):
                colour = 0.05 + 1.4 * exp(-(((self.filled - 4.3) / 2) ** 2))
                answers = {"ID?": f"BURETTE 4711 {self.starts}", "BUSY?": f"{self.left > 0:d}"}
                answers |= {"GIVEN?": f"{self.given:.3f}", "ABS?": f"{colour:.4f}"}
                return answers.get(question, "?").encode()
            case _:
                return b"?"
        return b"OK"
