"""A wire's error says which link and which instrument it is about, whoever was at the wire."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from typing_extensions import override

from instruments.bench.connect import connect
from instruments.bench.file import parse_bench
from instruments.bench.link_names import LinkName
from instruments.bench.wires import Wire
from instruments.bench_client.identify import read_identities
from instruments.drivers.protocol import Driver, Settings
from orchestrator.clock import LiveClock
from orchestrator.errors import BadInput, DeviceError, InstrumentError, LinkError, ProtocolError, Sent

BENCH = Path(__file__).parents[2] / "examples" / "cdse" / "bench.toml"
PORT = "/dev/ttyUSB0"
PUMPS = LinkName("pumps", PORT)


class Mute:
    """A driver whose device says nothing, or nothing that is an answer."""

    HAS_WATCHDOG = False

    def __init__(self, error: InstrumentError, *, after: int = 0) -> None:
        self.settings = Settings("pump_se")
        self._error, self._left = error, after

    def identify(self) -> str:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return "a pump"

    def arm(self) -> None:
        """Nothing to arm."""

    def close(self) -> None:
        """Nothing to close."""


def wire(driver: Mute) -> Wire:
    drivers = cast("Mapping[str, Driver]", {"pump_se": driver})
    made = Wire(PUMPS, lambda: drivers, lambda: True)
    made.start()
    return made


SILENT = LinkError(f"{PORT}: no reply to b'02VER' within 1 s; heard nothing", sent=Sent.MAYBE)
SAID = "link pumps (/dev/ttyUSB0), pump_se: no reply to b'02VER' within 1 s; heard nothing"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SILENT, SAID),
        (
            LinkError(f"{PORT} was lost before sending: gone", sent=Sent.NO),
            "link pumps (/dev/ttyUSB0), pump_se: was lost before sending: gone",
        ),
        (ProtocolError("pump_se: 0xff is no reply", sent=Sent.MAYBE), "link pumps (/dev/ttyUSB0), pump_se: 0xff is no reply"),
        (DeviceError("pump_se answered ?OOR", sent=Sent.YES), "pump_se answered ?OOR"),
    ],
)
def test_an_error_of_the_wire_names_link_port_and_instrument_once_and_keeps_its_kind(error: InstrumentError, said: str) -> None:
    opening = wire(Mute(error))
    with pytest.raises(type(error)) as at_start:
        opening.open()
    working = wire(Mute(error, after=1))
    working.open()
    with pytest.raises(type(error)) as later:
        working.call("pump_se", lambda driver: driver.identify())
    with pytest.raises(type(error)) as urgent:
        working.attempt("pump_se", lambda driver: driver.identify(), seconds=5)
    assert [str(caught.value) for caught in (at_start, later, urgent)] == [said] * 3
    assert {caught.value.sent for caught in (at_start, later, urgent)} == {error.sent}
    for each in (opening, working):
        each.close()


def test_a_port_that_cannot_be_opened_is_named_with_its_link(tmp_path: Path) -> None:
    text = BENCH.read_text().replace("/dev/serial/by-id/", f"{tmp_path}/")
    bench = parse_bench(text, BENCH)
    with pytest.raises(LinkError, match=rf"^link pumps \({tmp_path}/usb-pumps\): cannot open ") as caught:
        connect(bench, "pumps", LiveClock())
    assert caught.value.sent is Sent.NO
    with pytest.raises(BadInput, match=rf"^bench.toml: link oven \({tmp_path}/usb-oven\): cannot open "):
        read_identities(bench, tmp_path)


def test_a_name_that_was_said_is_not_said_again() -> None:
    def twice() -> Any:
        with PUMPS.prefixing_errors(), PUMPS.prefixing_errors("pump_se"):
            raise SILENT

    with pytest.raises(LinkError) as caught:
        twice()
    assert str(caught.value) == SAID


class Locked(Mute):
    """A driver whose device is the right one and is in another client's hands."""

    def __init__(self) -> None:
        super().__init__(DeviceError("locked by another", sent=Sent.NO), after=99)
        self.safe: list[str] = []
        self.closed = 0

    @override
    def arm(self) -> None:
        raise self._error

    def make_safe(self, action: str) -> None:
        self.safe.append(action)

    @override
    def close(self) -> None:
        self.closed += 1


def test_a_device_that_cannot_be_armed_takes_no_command_and_is_made_safe_all_the_same() -> None:
    driver = Locked()
    wire = Wire(PUMPS, lambda: cast(Mapping[str, Driver], {"pump_se": driver}), lambda: True)
    wire.start()
    try:
        for ask in (wire.open, lambda: wire.call("pump_se", lambda one: one.read(["flow"]))):
            with pytest.raises(DeviceError, match="locked by another"):
                ask()
        wire.attempt("pump_se", lambda one: one.make_safe("stop"), seconds=5.0)
        assert driver.safe == ["stop"]
    finally:
        wire.close()
    assert driver.closed == 3  # once for each time that it was opened
