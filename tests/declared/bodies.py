"""Simulated devices behind the shipped profiles, written from their manuals' words and not from the profiles."""

import re
from functools import reduce
from operator import xor
from typing import ClassVar

from typing_extensions import override

from athanor.devices import Body


class JulaboBody(Body):
    """A circulator: commands are not answered, a value outside its limits is ignored without a word."""

    TERMINATOR: ClassVar[bytes] = b"\r"

    @override
    def switch_on(self) -> None:
        self.setpoint, self.running, self.bath = 20.0, 0, 22.0

    @override
    def advance(self, lab_s: float) -> None:
        if self.running:
            self.bath += max(-1.0, min(1.0, self.setpoint - self.bath)) * min(1.0, lab_s - self.lab_s)

    @override
    def reply(self, line: bytes) -> bytes | None:
        match line.decode().lower().split():
            case ["version"]:
                return b"JULABO MAGIO MS-1000F VERSION 1.1.2\r\n"
            case ["status"]:
                return b"03 REMOTE START\r\n" if self.running else b"02 REMOTE STOP\r\n"
            case ["in_pv_00"]:
                return f"{self.bath:.2f}\r\n".encode()
            case ["in_sp_00"]:
                return f"{self.setpoint:.2f}\r\n".encode()
            case ["in_mode_05"]:
                return f"{self.running}\r\n".encode()
            case ["out_sp_00", number] if -50.0 <= float(number) <= 200.0:
                self.setpoint = float(number)
                self.log("setpoint", degc=self.setpoint)
            case ["out_mode_05", ("0" | "1") as number]:
                self.running = int(number)
        return None


class HotplateBody(Body):
    """An IKA hotplate: commands are not answered, but the watchdog's is; silence switches heater and stirrer off."""

    @override
    def switch_on(self) -> None:
        self.setpoints = {"1": 20.0, "4": 100.0}
        self.on = {"1": False, "4": False}
        self.temperature, self.watchdog, self.heard = 22.0, 0.0, 0.0

    @override
    def advance(self, lab_s: float) -> None:
        if self.watchdog and lab_s - self.heard > self.watchdog:
            self.on, self.watchdog = {"1": False, "4": False}, 0.0
            self.log("safe-state")
        if self.on["1"]:
            self.temperature += min(1.0, lab_s - self.lab_s) * max(-1.0, min(1.0, self.setpoints["1"] - self.temperature))

    @override
    def reply(self, line: bytes) -> bytes | None:
        text = line.decode().strip()
        if found := re.fullmatch(r"OUT_SP_([14]) (\d+\.?\d*)", text):
            self.setpoints[found[1]] = float(found[2])
        elif found := re.fullmatch(r"(START|STOP)_([14])", text):
            self.on[found[2]] = found[1] == "START"
        elif found := re.fullmatch(r"OUT_WD1@(\d+)", text):
            self.watchdog, self.heard = float(found[1]), self.lab_s
            return f"{self.watchdog:.1f} ".encode()
        elif text == "IN_NAME":
            return b"RET control-visc "
        elif found := re.fullmatch(r"IN_PV_([1247])", text):
            return f"{self._process_value(found[1]):.1f} {found[1]} ".encode()
        elif found := re.fullmatch(r"IN_SP_([14])", text):
            return f"{self.setpoints[found[1]]:.1f} {found[1]} ".encode()
        return None

    def _process_value(self, channel: str) -> float:
        if channel == "4":
            return self.setpoints["4"] if self.on["4"] else 0.0
        return self.temperature


class BalanceBody(Body):
    """An MT-SICS balance with 12.3456 g on it; `unsettled` swings, `overload` has too much on it."""

    @override
    def switch_on(self) -> None:
        self.load, self.tare, self.unit, self.unsettled, self.overload = 12.3456, 0.0, "g", False, False

    @override
    def reply(self, line: bytes) -> bytes | None:
        match line.decode():
            case "I2":
                return b'I2 A "XP205 Standard 220.00900 g"'
            case "I4":
                return b'I4 A "0123456789"'
            case "S" | "SI" if self.overload:
                return b"S +"
            case "SI":
                return f"S {'D' if self.unsettled else 'S'} {self.load - self.tare:10.4f} {self.unit}".encode()
            case "S":
                return b"S I" if self.unsettled else f"S S {self.load - self.tare:10.4f} {self.unit}".encode()
            case "T" if not self.unsettled:
                self.tare = self.load
                return f"T S {self.tare:10.4f} {self.unit}".encode()
            case "Z" if not self.unsettled:
                return b"Z A"
            case ("T" | "Z") as word:
                return f"{word} I".encode()
        return b"ES"


class FlowBody(Body):
    """An Alicat controller of 10 standard litres per minute; it answers its own letter alone."""

    TERMINATOR: ClassVar[bytes] = b"\r"

    @override
    def switch_on(self) -> None:
        self.setpoint = 0.0

    @override
    def is_addressed(self, line: bytes) -> bool:
        return line[:1].upper() == b"A"

    @override
    def reply(self, line: bytes) -> bytes | None:
        command = line.decode().upper()[1:]
        if command == "VE":
            return b"A   10v20.0-R24 Nov 10 2022,12:00:00"
        if command == "R122":  # what is controlled: 37 is the mass flow, as the public client `alicat` has it
            return b"A   122 = 37"
        if command.startswith("S"):
            if not 0.0 <= float(command[1:]) <= 10.0:
                return b"?"
            self.setpoint = float(command[1:])
            self.log("setpoint", l_min=self.setpoint)
        over = " MOV" if self.setpoint > 9.9 else ""
        return f"A +014.70 +025.00 +{self.setpoint:06.2f} +{self.setpoint:06.2f} {self.setpoint:06.2f}     Air{over}".encode()


class CavroBody(Body):
    """A Cavro XLP 6000 with a 1 mL syringe in the OEM protocol: 600 steps a second; blocks end in ETX and a checksum."""

    @override
    def switch_on(self) -> None:
        self.position, self.target, self.initialisations, self.error, self.speed = 0.0, 0.0, 0, 7, 1400
        self.last: tuple[str, bytes] = ("", b"")

    @override
    def advance(self, lab_s: float) -> None:
        left = self.target - self.position
        self.position += max(-600.0 * (lab_s - self.lab_s), min(600.0 * (lab_s - self.lab_s), left))

    @override
    def next_change(self) -> float | None:
        left = abs(self.target - self.position)
        return self.lab_s + left / 600.0 if left else None

    def block(self, request: bytes) -> bytes | None:
        """Answer a whole block, from STX to the checksum."""
        if request[:2] != b"\x02" + b"1" or reduce(xor, request) != 0:
            return None
        number, command = request[2], request[3:-2].decode()
        if number & 0x08 and self.last[0] == chr(number & ~0x08):
            return self.last[1]
        data = self._data(command)
        status = (0x60 if self.position == self.target else 0x40) | self.error
        body = b"\x02" + bytes((0x30, status)) + data + b"\x03"
        self.last = (chr(number & ~0x08), body + bytes((reduce(xor, body),)))
        return self.last[1]

    def _data(self, command: str) -> bytes:
        self.error = 0 if self.initialisations or command.startswith(("Z", "?")) else 7
        reports = {"?": f"{self.position:.0f}", "?2": f"{self.speed}", "?15": f"{self.initialisations}", "?23": "734237-C"}
        if command in reports:
            return reports[command].encode()
        if found := re.fullmatch(r"V(\d+)R", command):
            self.speed = int(found[1])
            return b""
        if command == "ZR":
            self.initialisations, self.target = self.initialisations + 1, 0.0
        elif command == "T":
            self.target = self.position
        elif self.position != self.target and command != "Q":
            self.error = 15
        elif (found := re.fullmatch(r"IA(\d+)R", command)) and not self.error:
            self.target = float(found[1])
        elif (found := re.fullmatch(r"OD(\d+)R", command)) and not self.error:
            self._dispense(float(found[1]))
        return b""

    def _dispense(self, steps: float) -> None:
        if steps > self.position:
            self.error = 3
            return
        self.target = self.position - steps
        self.log("dose", steps=steps)
