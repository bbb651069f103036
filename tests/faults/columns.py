"""The columns of the fault table: for each driver a bench of one device, a short procedure, and what a doubtful command looks like."""

import shutil
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from asyncua.ua.object_ids import ObjectIds

from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from tests.crash.beds import ABSORBANCE
from tests.host.test_declared_doses import DECLARED
from tests.plugins.writing import EXAMPLE

HERE: Final = Path(__file__).parent / "benches"
_BENCH: Final = """
[bench]
name = "one"
reduction = "identity/1"

[links.{name}]
kind = "{kind}"
{endpoint}

[instruments.{name}]
link = "{name}"
{keys}

[[procedure.steps]]
do = "read"
channels = ["{channel}"]
"""
Given = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One driver and its device."""

    name: str
    title: str
    kind: str
    """Of the link, in a bench file."""
    keys: str
    """Of the instrument, in a bench file."""
    steps: tuple[Given, ...]
    once: bytes
    """Regular expression of the request that starts what may happen once; of the setting where there is none."""
    read: bytes
    """Regular expression of the question for the channel that the procedure reads."""
    event: str
    """What the ground truth calls what may happen once; empty where there is nothing of the kind."""
    nth: int = 1
    """Which of the requests that match `once` it is."""
    told: float = 0.0
    """What it tells when it is asked for the value that counts, where that is a number of a node."""
    framed: int = 0
    """Bytes that end an answer and are no part of its checksum."""
    files: dict[str, str] = field(default_factory=dict)
    """Beside the bench file: name -> text."""

    @property
    def is_opcua(self) -> bool:
        """Whether it is an OPC-UA server's."""
        return self.kind == "opcua"

    def bench(self, folder: Path) -> Path:
        """Write the bench file and what stands beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        endpoint = 'url = "opc.tcp://device.lab:4840"' if self.is_opcua else 'port = "/dev/serial/by-id/usb-device"'
        channel = next((one["channels"][0] for one in self.steps if "channels" in one), f"{self.name}.state")
        for name, text in self.files.items():
            (folder / name).write_text(text)
        file = folder / "bench.toml"
        file.write_text(_BENCH.format(name=self.name, kind=self.kind, endpoint=endpoint, keys=self.keys, channel=channel))
        return file

    def procedure(self) -> list[Step]:
        """Return the steps of a run."""
        return [Step.model_validate({"index": index, "interrupted": "continue", **one}) for index, one in enumerate(self.steps)]


def _set(do: str, **arguments: float) -> Given:
    return {"do": do, "kind": StepKind.STATE_SETTING, "arguments": arguments}


def _dose(do: str, volume: float) -> Given:
    return {"do": do, "kind": StepKind.DOSING, "arguments": {"volume": volume}}


def _wait(seconds: float) -> Given:
    return {"do": "wait", "kind": StepKind.WAIT, "arguments": {"time": seconds}}


def _read(channel: str) -> Given:
    return {"do": "read", "kind": StepKind.READ, "channels": (channel,)}


def _service(number: int) -> bytes:
    """Match an OPC-UA request by the id of its encoding, behind the headers of message, channel and sequence (OPC 10000-6, 6.7.2)."""
    return rb"^MSGF.{20}\x01\x00" + b"".join(rb"\x%02x" % byte for byte in number.to_bytes(2, "little"))


def _register(function: int, register: int) -> bytes:
    return rb"^\x01" + b"".join(rb"\x%02x" % byte for byte in (function, *register.to_bytes(2, "big")))


_WARM: Final = {"channel": "eurotherm.temperature", "target": 60.0, "within": 3.0, "hold": 0.0, "timeout": 900.0}
_CALL: Final = _service(ObjectIds.CallRequest_Encoding_DefaultBinary)
_ASK: Final = _service(ObjectIds.ReadRequest_Encoding_DefaultBinary)
_BURETTE: Final = 'serial_number = "4711"\nlimits.volume = { min = "0.1 mL", max = "9 mL" }\nsafe_state = ["stop"]'
_FEEDER: Final = 'limits.volume = { min = "0.1 mL", max = "9 mL" }\nsafe_state = ["stop"]'


_RANGED: Final = (EXAMPLE / "burette.py").read_text().replace("@channel()", "@channel(low=0.0, high=4.0)")
"""The example, with the range of its photometer declared."""


def _burette(name: str) -> tuple[Given, ...]:
    return (_set(f"{name}.drain"), _dose(f"{name}.dose", 1.0), _wait(4.0), _read(f"{name}.absorbance"))


def _feeder(name: str) -> tuple[Given, ...]:
    return (_set(f"{name}.set_speed", speed=25.0), _dose(f"{name}.dose", 1.0), _wait(3.0), _read(f"{name}.signal"))


COLUMNS: Final = {
    one.name: one
    for one in (
        Column(
            "lads",
            "LADS",
            "opcua",
            'driver = "lads"\nserial_number = "SP-0042"\nwatchdog = { seconds = 15 }\nsafe_state = ["abort"]\n'
            'options = { device = "SynthesisPlatform", unit = "Analyser", watchdog_node = "WatchdogTimeout", '
            'watchdog_method = "Kick", outcome = "Outcome" }',
            (
                _set("lads.clear"),
                {
                    "do": "lads.run_program",
                    "kind": StepKind.PROGRAM,
                    "arguments": {"template": "Characterise", "integration_time": 0.1},
                },
                _read("lads.state"),
            ),
            _CALL + rb".*Characterise",
            _ASK,
            "start",
            told=0.1,  # the integration time, which the result tells again
        ),
        Column(
            "eurotherm",
            "Eurotherm",
            "serial",
            'driver = "eurotherm-modbus"\naddress = 1\nmodel = "3216"\nlimits.temperature = { min = "20 degC", max = "290 degC" }\n'
            'watchdog = { seconds = 5 }\nsafe_state = ["off"]\n'
            'options = { setpoint = "remote", safe_temperature = "20 degC", decimals = 1 }',
            (
                {**_set("eurotherm.set_temperature", temperature=60.0), "until": _WARM},
                _read("eurotherm.temperature"),
            ),
            _register(6, 26),
            _register(3, 1),
            "",
        ),
        Column(
            "new_era",
            "New Era",
            "serial",
            'driver = "new-era"\naddress = 1\nmodel = "NE1000"\nlimits.flow = { min = "0.02 mL/min", max = "6 mL/min" }\n'
            'limits.volume = { min = "0.01 mL", max = "50 mL" }\nwatchdog = { seconds = 15 }\nsafe_state = ["stop"]',
            (_set("new_era.set_flow", flow=6.0), _read("new_era.flow_setpoint"), _dose("new_era.dose", 0.5), _wait(7.0)),
            rb"RUN",
            rb"RAT[^0-9]*$",
            "dose",
            framed=1,
        ),
        Column(
            "line",
            "declared, lines",
            "serial",
            f'driver = "./line.toml"\n{_BURETTE}',
            _burette("line"),
            rb"DOSE",
            rb"ABS\?",
            "dose",
            files={"line.toml": DECLARED + ABSORBANCE},
        ),
        Column(
            "modbus",
            "declared, Modbus",
            "serial",
            f'driver = "./registers.toml"\naddress = 1\n{_FEEDER}',
            _feeder("modbus"),
            _register(6, 10),
            _register(3, 13),
            "dose",
            files={"registers.toml": (HERE / "registers.toml").read_text()},
        ),
        Column(
            "opcua",
            "declared, OPC-UA",
            "opcua",
            f'driver = "./nodes.toml"\n{_FEEDER}',
            _feeder("opcua"),
            _CALL,
            _ASK,
            "dose",
            nth=2,  # the first one sets the speed
            told=7.5,
            files={"nodes.toml": (HERE / "nodes.toml").read_text()},
        ),
        Column(
            "plugin",
            "plug-in",
            "serial",
            f'driver = "./burette.py:Burette"\n{_BURETTE}',
            _burette("plugin"),
            rb"DOSE",
            rb"ABS\?",
            "dose",
            files={"burette.py": _RANGED},
        ),
    )
}
POSITIONS: Final = (f"{row}{column}" for _ in count() for row in "ABCDEFGH" for column in range(1, 13))


def write_plant(folder: Path) -> str:
    """Put the bodies of all columns into a folder; return the plant file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "bodies.py", folder)
    shutil.copy(EXAMPLE / "burette.py", folder)
    return (HERE / "plant.toml").read_text()
