"""The engine of Modbus devices, against pymodbus's server with registers that are written out by hand."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from pymodbus import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from instruments.drivers.declared.device import declared_driver
from instruments.drivers.declared.profiles import parse_profile
from instruments.drivers.declared.registers import number_in, registers_of
from instruments.drivers.protocol import Call, Driver, Limit, Settings
from instruments.drivers.registry import build_driver
from instruments.transport.opening import open_link
from orchestrator.errors import BadInput, DeviceError, LimitError, LinkError, Sent
from tests.instrument.cases import CLOCK, call
from tests.instrument.conformance import DriverConformance

PROFILE = """
[profile]
name = "thing"
driver = "modbus"
sources = ["none: a thing of these tests"]

[modbus]
{modbus}

[channels.pressure]
unit = "bar"
register = 20
type = "float32"

[channels.count]
register = 30
type = "uint32"

[channels.below_zero]
register = 40
scale = 0.1

[channels.measured]
register = 7
table = "input"

[channels.alarm]
register = 50
bit = 3

[commands.set_pressure]
kind = "state-setting"
register = 20
type = "float32"
argument.pressure = {{ unit = "bar", min = 0, max = 10 }}
readback = {{ channel = "pressure", within = 0.001 }}

[commands.set_below]
kind = "state-setting"
register = 40
argument.below = {{ scale = 0.1 }}

[commands.set_missing]
kind = "state-setting"
register = 999
value = 1

[safe.off]
register = 40
value = 0
function = 16
"""
MAP = {20: 0x4020, 21: 0x0000, 30: 0x0001, 31: 0x0002, 40: 0xFFF6, 50: 0b1000}
"""2.5 as IEEE 754, high word first; 65538; -10; bit 3."""


class Peer:
    """Serves unit 1; what is not written out does not exist."""

    def __init__(self, holding: Mapping[int, int], framer: FramerType) -> None:
        self.asked: list[tuple[int, int, tuple[int, ...]]] = []
        data = [SimData(address, values=value, datatype=DataType.REGISTERS) for address, value in sorted(holding.items())]
        self._device = SimDevice(
            1,
            (
                [SimData(0, values=0, datatype=DataType.BITS)],
                [SimData(0, values=0, datatype=DataType.BITS)],
                data,
                [SimData(7, values=42, datatype=DataType.REGISTERS)],
            ),
        )
        self._framer = framer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: Any = None

    def _note(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending:
            self.asked.append((pdu.function_code, pdu.address, tuple(pdu.registers)))
        return pdu

    def start(self) -> str:
        self._thread.start()
        return f"tcp://127.0.0.1:{asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10.0)}"

    async def _serve(self) -> int:
        self._server = ModbusTcpServer(self._device, framer=self._framer, address=("127.0.0.1", 0), trace_pdu=self._note)
        await self._server.serve_forever(background=True)
        return int(self._server.transport.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        await asyncio.sleep(0.05)  # a connection that nobody spoke on may still wait to be accepted
        await self._server.shutdown()
        await asyncio.sleep(0.05)  # and what was closed is let go before the loop is

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


@contextmanager
def serving(framer: FramerType, holding: Mapping[int, int] = MAP) -> Iterator[tuple[Peer, str]]:
    peer = Peer(holding, framer)
    try:
        yield peer, peer.start()
    finally:
        peer.stop()


@pytest.fixture(params=["tcp", "rtu"])
def frame(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def peer(frame: str) -> Iterator[tuple[Peer, str]]:
    with serving(FramerType.SOCKET if frame == "tcp" else FramerType.RTU) as one:
        yield one


@pytest.fixture
def driver(peer: tuple[Peer, str], frame: str) -> Iterator[Driver]:
    profile = parse_profile(PROFILE.format(modbus=f'frame = "{frame}"'), "profile thing")
    driver = declared_driver(profile)(open_link(kind="tcp", url=peer[1]), Settings("thing", address=1), CLOCK)
    yield driver
    driver.close()


def test_every_type_is_read_as_it_was_put_in_by_hand(driver: Driver, peer: tuple[Peer, str]) -> None:
    told = {one.channel: one.value for one in driver.read(list(driver.CHANNELS))}
    assert told == {"pressure": 2.5, "count": 65538.0, "below_zero": pytest.approx(-1.0), "measured": 42.0, "alarm": 1.0}
    assert {code for code, _, _ in peer[0].asked} == {3, 4}


def test_a_value_in_two_registers_is_written_with_function_16_and_one_in_one_with_6(driver: Driver, peer: tuple[Peer, str]) -> None:
    assert driver.perform(call("set_pressure", pressure=7.25)) == {"pressure": 7.25}
    driver.perform(call("set_below", below=-2.5))
    driver.make_safe("off")
    written = [(code, address, values) for code, address, values in peer[0].asked if code in (6, 16)]
    assert written == [(16, 20, struct.unpack(">2H", struct.pack(">f", 7.25))), (6, 40, (0xFFE7,)), (16, 40, (0,))]


def test_a_register_that_is_not_there_is_told_and_a_number_that_does_not_fit_never_sent(driver: Driver, peer: tuple[Peer, str]) -> None:
    with pytest.raises(DeviceError, match=r"thing refused register 999 = 1: exception 2 \(illegal address\)"):
        driver.perform(call("set_missing"))
    peer[0].asked.clear()
    with pytest.raises(LimitError, match="register 40: 99990 does not fit int16"):
        driver.perform(call("set_below", below=9999.0))
    assert peer[0].asked == []


def test_words_are_ordered_as_the_profile_says() -> None:
    for kind, value in (("int32", -70000), ("uint32", 3_000_000_000), ("float32", 1.5)):
        high_first = registers_of(value, kind, "big")
        assert registers_of(value, kind, "little") == high_first[::-1]
        assert number_in(high_first, kind, "big") == value == number_in(high_first[::-1], kind, "little")
    assert registers_of(-1, "int16", "big") == [0xFFFF]
    with pytest.raises(ValueError, match="65536 does not fit uint16"):
        registers_of(65536, "uint16", "big")


def test_a_unit_without_an_address_is_refused() -> None:
    driver = declared_driver(parse_profile(PROFILE.format(modbus=""), "profile thing"))
    with pytest.raises(BadInput, match="thing: address is missing"):
        driver.check_settings(Settings("thing"))
    with pytest.raises(BadInput, match="address = 300; expected 1 to 247"):
        driver.check_settings(Settings("thing", address=300))
    assert driver.LINKS == ("serial", "tcp")
    assert declared_driver(parse_profile(PROFILE.format(modbus='frame = "tcp"'), "profile thing")).LINKS == ("tcp",)


def test_the_reply_to_an_earlier_request_is_not_taken_for_this_one(frame: str) -> None:
    """Ours is the second reply: the first has another transaction number, or comes while the line is still quarantined."""
    late = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            first = client.recv(100)
            late.wait(5.0)
            client.sendall(_reply(frame, first, 111))
            second = client.recv(100)
            client.sendall(_reply(frame, second, 222))
            client.recv(100)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        profile = parse_profile(PROFILE.format(modbus=f'frame = "{frame}"\ntimeout = 0.3'), "profile thing")
        driver = declared_driver(profile)(
            open_link(kind="tcp", url=f"tcp://127.0.0.1:{listener.getsockname()[1]}"), Settings("thing", address=1), CLOCK
        )
        with pytest.raises(LinkError) as caught:
            driver.read(["measured"])
        assert caught.value.sent is Sent.MAYBE
        late.set()
        assert driver.read(["measured"])[0].value == 222.0
        driver.close()
        thread.join()


def _reply(frame: str, request: bytes, value: int) -> bytes:
    body = bytes((1, 4, 2)) + value.to_bytes(2, "big")
    if frame == "tcp":
        return request[:4] + len(body).to_bytes(2, "big") + body
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return body + crc.to_bytes(2, "little")


EUROTHERM = {1: 2231, 2: 1500, 3: 384, 5: 1500, 75: 0, 107: 0x0310, 122: 0x2480, 199: 0, 273: 0, 276: 0, 485: 200}
"""223.1 degC at one decimal, as a person would put it in; register map of HA026230, chapter 5."""


class TestEurotherm2400(DriverConformance):
    SETTLED = "not-executed"
    PROFILE: ClassVar[str] = "eurotherm-2400"
    REMOTE: ClassVar[int] = 485

    @pytest.fixture
    def driver(self) -> Iterator[Driver]:
        limits, options = {"temperature": Limit(0.0, 400.0)}, {"resolution": 0.1}
        with serving(FramerType.RTU, {self.REMOTE if number == 485 else number: word for number, word in EUROTHERM.items()}) as (
            self.peer,
            url,
        ):
            settings = Settings("oven", address=1, limits=limits, options=options)
            driver = build_driver(self.PROFILE, open_link(kind="tcp", url=url), settings, CLOCK)
            yield driver
            driver.close()

    @pytest.fixture
    def setting(self) -> Call:
        return call("set_temperature", temperature=180.0)

    def test_decimals_are_those_of_the_bench_file_and_a_value_that_stands_is_not_written(self, driver: Driver) -> None:
        told = {one.channel: one.value for one in driver.read(["temperature", "setpoint", "sensor_break"])}
        assert told == {"temperature": pytest.approx(223.1), "setpoint": pytest.approx(150.0), "sensor_break": 0.0}
        driver.perform(call("set_temperature", temperature=150.0))
        assert [one for one in self.peer.asked if one[0] == 6] == []
        driver.perform(call("set_temperature", temperature=180.04))
        driver.make_safe("off")
        assert [one for one in self.peer.asked if one[0] == 6] == [(6, 2, (1800,)), (6, 199, (1,))]

    def test_a_temperature_that_changes_often_goes_to_the_remote_setpoint_and_spares_the_memory(self, driver: Driver) -> None:
        for temperature in (180.0, 200.0, 220.0):
            driver.perform(call("set_remote_temperature", temperature=temperature))
            driver.perform(call("follow_remote"))
        written = [(register, words[0]) for function, register, words in self.peer.asked if function == 6]
        assert written == [(self.REMOTE, 1800), (276, 1), (self.REMOTE, 2000), (self.REMOTE, 2200)]
        told = {one.channel: one.value for one in driver.read(["remote_setpoint", "remote", "output", "manual"])}
        assert told == {"remote_setpoint": pytest.approx(220.0), "remote": 1.0, "output": pytest.approx(38.4), "manual": 0.0}
        driver.perform(call("follow_local"))
        assert driver.read(["remote"])[0].value == 0.0


class TestEurotherm2200(TestEurotherm2400):
    PROFILE = "eurotherm-2200"
    REMOTE = 26
