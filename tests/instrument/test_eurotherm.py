"""The oven driver against a foreign server whose registers are written out by hand, as the front panel has them."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

import pytest

from instruments.drivers import eurotherm
from instruments.drivers.eurotherm import EurothermOven
from instruments.drivers.protocol import Limit, Settings, StepVerdict
from orchestrator.errors import BadInput, DeviceError, LimitError, Sent
from tests.instrument.cases import CLOCK, call, oven_settings
from tests.instrument.modbus_peer import Peer, serving

PANEL: Final[Mapping[int, int]] = {
    1: 1804,  # PV.IN 180.4 degC
    2: 500,  # TG.SP 50.0 degC
    3: 0,  # MAN.OP
    4: 385,  # WRK.OP 38.5 %
    5: 1850,  # WKG.SP 185.0 degC
    15: 0,  # SP.SEL: SP1
    24: 500,  # SP1 50.0 degC
    26: 0,  # Rm.SP
    75: 0,  # StAt
    107: 0x0214,
    111: 2500,  # SP.HI 250.0 degC
    112: 100,  # SP.LO 10.0 degC
    122: 0x3216,
    199: 0,  # IM: operating
    273: 0,  # A-M: automatic
    276: 0,  # L-R: local
}
REMOTE: Final = replace(oven_settings(watchdog=5.0), options={"safe_temperature": "30 degC"})
LOCAL: Final = replace(oven_settings(), options={"setpoint": "local"})
OPTIONAL: Final = (15, 107, 111, 112, 122, 199, 273)
Build = Callable[..., tuple[EurothermOven, Peer]]


@pytest.fixture
def build() -> Iterator[Build]:
    """Make a driver at a peer with the panel's registers, some changed, some (None) missing."""
    with ExitStack() as stack:

        def built(changed: Mapping[int, int | None] | None = None, settings: Settings = REMOTE) -> tuple[EurothermOven, Peer]:
            wanted = {**PANEL, **(changed or {})}
            peer, line = stack.enter_context(serving({address: value for address, value in wanted.items() if value is not None}))
            return EurothermOven(line, settings, CLOCK), peer

        yield built


def test_every_channel_is_the_register_of_the_table(build: Build) -> None:
    driver, _ = build({26: 1850, 276: 1})
    values = {one.channel: (one.value, one.unit, one.quality) for one in driver.read(list(driver.CHANNELS))}
    assert values == {
        "temperature": (180.4, "degC", "good"),
        "setpoint": (185.0, "degC", "good"),
        "working_setpoint": (185.0, "degC", "good"),
        "power": (38.5, "percent", "good"),
        "status": (0.0, "", "good"),
        "retained_writes": (0.0, "", "good"),
    }


def test_the_identity_is_type_and_firmware_and_no_more(build: Build) -> None:
    driver, peer = build()
    identity = driver.identify()
    assert (identity.model, identity.firmware, identity.serial_number, identity.boot_id) == ("3216", "0214", None, None)
    assert {address for _, address, _ in peer.asked} <= {1, 107, 111, 112, 122, 525}


def test_another_model_is_refused_naming_both(build: Build) -> None:
    driver, _ = build(settings=replace(REMOTE, model="3208"))
    with pytest.raises(DeviceError, match="model 3216; the bench file expects 3208"):
        driver.identify()


def test_the_high_limit_is_111_and_the_low_one_112(build: Build) -> None:
    driver, _ = build({111: 2500, 112: 250})
    assert driver.limit("set_temperature", "temperature") == Limit(25.0, 250.0)
    with pytest.raises(LimitError, match="allowed 25 to 250 degC"):
        driver.perform(call("set_temperature", temperature=250.1))


def test_negative_temperatures_are_signed(build: Build) -> None:
    driver, _ = build({1: -125})
    assert driver.read(["temperature"])[0].value == -12.5


@pytest.mark.parametrize(("told", "declared"), [(0, None), (0, 0), (None, 0), (9, 0)])
def test_the_decimals_are_the_controllers_or_else_the_bench_files(build: Build, told: int | None, declared: int | None) -> None:
    said = {} if declared is None else {"decimals": declared}
    settings = replace(REMOTE, options={"safe_temperature": "30 degC", **said})
    driver, peer = build({1: 180, 111: 250, 112: 10, 24: 30, 525: told}, settings)
    driver.identify()
    driver.arm()
    assert driver.perform(call("set_temperature", temperature=120.4)) == {"temperature": 120.0}
    assert peer.now[26] == 120
    assert driver.read(["temperature"])[0].value == 180.0


@pytest.mark.parametrize(
    ("told", "declared", "words"),
    [
        (0, 1, r"oven: it counts temperatures with 0 decimal places \(register 525\); the bench file expects options.decimals = 1"),
        (2, 1, "2 decimal places"),
        (9, None, "oven: register 525 says 9 decimal places; expected 0, 1 or 2, or options.decimals in the bench file"),
    ],
)
def test_decimals_on_which_controller_and_bench_file_disagree_are_refused_and_nothing_is_written(
    build: Build, told: int, declared: int | None, words: str
) -> None:
    said = {} if declared is None else {"decimals": declared}
    driver, peer = build({525: told}, replace(REMOTE, options=said))
    for act in (driver.identify, driver.arm, lambda: driver.perform(call("set_temperature", temperature=180.0))):
        with pytest.raises(DeviceError, match=words) as caught:
            act()
        assert caught.value.sent is Sent.NO
    assert peer.written == []
    driver.make_safe("off")
    assert peer.now[199] == 1


def test_a_temperature_is_a_remote_setpoint_over_a_safe_local_one(build: Build) -> None:
    driver, peer = build({199: 1, 273: 1})
    driver.identify()
    driver.arm()
    assert (peer.now[24], peer.now[26], peer.now[276]) == (300, 300, 1)
    driver.perform(call("set_temperature", temperature=180.0))
    assert peer.written == [(24, 300), (26, 300), (276, 1), (26, 1800), (199, 0), (273, 0)]
    assert driver.reconcile(call("set_temperature", temperature=180.0), {}).verdict is StepVerdict.FINISHED


def test_the_eeprom_is_written_once_however_long_a_campaign_lasts(build: Build) -> None:
    driver, peer = build()
    for temperature in (180.0, 200.0, 220.0):
        driver.arm()
        driver.perform(call("set_temperature", temperature=temperature))
        for _ in range(5):
            driver.refresh()
        driver.make_safe("off")
    assert [one for one in peer.written if one[0] in (2, 24, 25)] == [(24, 300)]
    assert peer.written.count((26, 2000)) >= 6


def test_after_off_the_safe_temperature_is_refreshed_and_not_the_last_one(build: Build) -> None:
    driver, peer = build()
    driver.arm()
    driver.perform(call("set_temperature", temperature=180.0))
    driver.make_safe("off")
    driver.refresh()
    assert (peer.now[199], peer.now[26]) == (1, 300)


def test_a_remote_setpoint_that_is_followed_is_kept_when_the_host_begins_anew_and_that_of_an_oven_that_is_off_is_not(build: Build) -> None:
    driver, peer = build({26: 600, 276: 1})
    driver.arm()
    assert peer.now[26] == 600
    for changed in ({276: 0}, {199: 1}, {273: 1}):
        idle, other = build({26: 600, 276: 1, **changed})
        idle.arm()
        assert other.now[26] == 300


@pytest.mark.parametrize("bit", [5, 6, 10])
def test_with_a_fault_nothing_is_heated_and_no_reading_is_good(build: Build, bit: int) -> None:
    driver, peer = build({75: 1 << bit})
    driver.arm()
    before = len(peer.written)
    with pytest.raises(DeviceError, match="not heated") as caught:
        driver.perform(call("set_temperature", temperature=180.0))
    assert caught.value.sent is Sent.NO
    assert len(peer.written) == before
    assert {one.channel: one.quality for one in driver.read(["temperature", "power", "status"])} == {
        "temperature": "bad",
        "power": "bad",
        "status": "good",
    }


def test_a_fault_is_told_once_when_the_watchdog_is_fed(build: Build) -> None:
    driver, _ = build({75: 1 << 5})
    driver.arm()
    with pytest.raises(DeviceError, match="sensor is broken"):
        driver.refresh()
    driver.refresh()


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 4, 7, 8, 9, 11, 12, 13, 15])
def test_other_bits_of_the_status_forbid_nothing(build: Build, bit: int) -> None:
    driver, peer = build({75: 1 << bit})
    driver.arm()
    driver.perform(call("set_temperature", temperature=180.0))
    assert peer.now[26] == 1800
    assert driver.read(["temperature"])[0].quality == "good"


def test_a_remote_setpoint_that_stays_failed_heats_nothing(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eurotherm, "_CLEARS", 0.1)
    driver, peer = build({75: 1 << 14, 199: 1, 276: 1})
    for act in (driver.arm, lambda: driver.perform(call("set_temperature", temperature=180.0))):
        with pytest.raises(DeviceError, match="remote setpoint fail"):
            act()
    assert peer.now[199] == 1
    assert driver.read(["temperature"])[0].quality == "bad"
    local, other = build({75: 1 << 14, 199: 1}, LOCAL)
    local.perform(call("set_temperature", temperature=180.0))
    assert (other.now[2], other.now[199]) == (1800, 0)
    assert local.read(["temperature"])[0].quality == "good"


def test_off_begins_with_a_command_and_not_with_a_question(build: Build) -> None:
    driver, peer = build()
    driver.make_safe("off")
    assert peer.asked[0] == (6, 199, (1,))
    assert driver.read(["power"])[0].value == 0.0  # whatever register 4 holds


@pytest.mark.parametrize("there", [{199: 0}, {3: 385, 273: 0}])
def test_off_needs_no_register_but_its_own(build: Build, there: dict[int, int]) -> None:
    driver, peer = build({**dict.fromkeys(PANEL), **there})
    driver.make_safe("off")
    assert peer.now == ({199: 1} if 199 in there else {3: 0, 273: 1})


def test_off_takes_the_output_away_even_where_the_mode_cannot_be_set_and_says_so(build: Build) -> None:
    driver, peer = build({**dict.fromkeys(PANEL), 3: 385})
    with pytest.raises(DeviceError, match="273"):
        driver.make_safe("off")
    assert peer.now == {3: 0}


def test_a_model_without_the_optional_registers_works_all_the_same(build: Build) -> None:
    driver, peer = build(dict.fromkeys(OPTIONAL))
    assert driver.identify().firmware is None
    driver.arm()
    driver.perform(call("set_temperature", temperature=180.0))
    driver.refresh()
    assert (peer.now[24], peer.now[26], peer.now[276]) == (300, 1800, 1)
    assert driver.limit("set_temperature", "temperature") == Limit(20.0, 280.0)
    assert driver.reconcile(call("set_temperature", temperature=180.0), {}).verdict is StepVerdict.FINISHED


@pytest.mark.parametrize("missing", [24, 26, 276])
def test_a_model_without_a_remote_setpoint_is_named_with_the_way_out(build: Build, missing: int) -> None:
    driver, _ = build({missing: None})
    with pytest.raises(DeviceError, match=rf'{missing}.*no remote setpoint; expected options.setpoint = "local"'):
        driver.arm()


def test_an_oven_with_a_local_setpoint_is_written_when_it_changes_and_needs_no_remote_one(build: Build) -> None:
    driver, peer = build({24: None, 26: None, 276: None}, LOCAL)
    driver.arm()
    for _ in range(3):
        driver.perform(call("set_temperature", temperature=180.0))
        driver.refresh()
    assert peer.written == [(2, 1800)]
    assert [one.value for one in driver.read(["setpoint", "retained_writes"])] == [180.0, 1.0]


def test_a_local_setpoint_is_in_force_only_when_the_remote_one_is_not(build: Build) -> None:
    driver, peer = build({276: 1}, LOCAL)
    driver.perform(call("set_temperature", temperature=180.0))
    assert peer.written == [(2, 1800), (276, 0)]


def test_the_second_local_setpoint_is_not_taken_for_the_safe_one(build: Build) -> None:
    driver, peer = build({15: 1})
    driver.arm()
    assert (peer.now[15], peer.now[24]) == (0, 300)


def test_a_safe_temperature_outside_the_controllers_limits_is_refused(build: Build) -> None:
    driver, peer = build({112: 400})
    with pytest.raises(LimitError, match="safe_temperature = 30 degC; allowed 40 to 250 degC"):
        driver.arm()
    assert peer.written == []


def test_without_a_declared_safe_temperature_it_is_the_lowest_legal_one(build: Build) -> None:
    driver, peer = build(settings=replace(REMOTE, options={}))
    driver.arm()
    assert peer.now[24] == 200


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"serial_number": "20417"}, "serial_number = '20417', but a Eurotherm controller has no register for one"),
        ({"watchdog": 15.0}, "a watchdog of 15 s, but a remote setpoint always runs out after 5 s"),
        ({"watchdog": None}, "no watchdog, but a remote setpoint always runs out after 5 s"),
        ({"options": {"setpoint": "local"}}, 'with setpoint = "local" leave `watchdog` out'),
        ({"options": {"setpoint": "distant"}}, 'options.setpoint = \'distant\'; expected "remote" or "local"'),
        ({"options": {"decimals": 3}}, "options.decimals = 3; expected 0, 1 or 2"),
        ({"options": {"decimals": 1.0}}, "options.decimals = 1.0; expected 0, 1 or 2"),
        ({"options": {"safe_temperature": "400 degC"}}, "safe_temperature = 400 degC; allowed 20 to 280 degC"),
        ({"options": {"safe_temperature": "30 bar"}}, "safe_temperature"),
        ({"address": None}, "address None"),
    ],
)
def test_what_the_controller_cannot_keep_is_refused_before_any_wire_is_opened(changed: dict[str, Any], words: str) -> None:
    with pytest.raises((BadInput, LimitError)) as caught:
        EurothermOven.check_settings(replace(REMOTE, **changed))
    assert words in str(caught.value)
    assert str(caught.value).startswith("oven")


def test_the_two_ways_of_a_setpoint_are_both_accepted() -> None:
    for settings in (REMOTE, LOCAL):
        EurothermOven.check_settings(settings)


def test_an_old_bench_file_does_not_keep_the_heater_on(build: Build) -> None:
    driver, peer = build(settings=replace(REMOTE, serial_number="20417", watchdog=15.0))
    driver.make_safe("off")
    assert peer.now[199] == 1
    with pytest.raises(DeviceError, match="20417"):
        driver.identify()


def test_a_temperature_that_no_register_can_hold_is_refused(build: Build) -> None:
    options = {"decimals": 2, "safe_temperature": "30 degC"}
    driver, _ = build({111: None, 112: None}, Settings("oven", address=1, watchdog=5.0, options=options))
    limit = driver.limit("set_temperature", "temperature")
    assert limit is not None
    assert math.isclose(limit.high, 327.67)
