"""A logger beside a bench, by its files alone: what its stand-in says, what is refused, and a campaign on its wire with kills."""

import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Final

import pytest

from flows.plans.description import described
from flows.plans.plan import load_plan
from flows.plans.simulated import simulated
from instruments.bench.environment import environment_channels, passive_instruments
from orchestrator.domain.environment import EnvironmentChannel
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput
from simulators.responses import ResponseSection, Room
from tests.faults.laboratory import Laboratory, eventually
from tests.stand_ins.benches import BATH, SCALE, STEPS, bench_of
from tests.stand_ins.test_dry_runs import template

PROFILE: Final = r"""
[profile]
name = "logger"
driver = "line"
sources = ["made for a test"]

[line]
terminator = "\n"

[channels.rh]
unit = "%"
query = "RH?"
reply = '(?P<value>\d+\.\d+) %RH'
"""
LOGGER: Final = """
[links.logger]
kind = "serial"
port = "/dev/serial/by-id/usb-logger"

[instruments.logger]
driver = "./logger.toml"
link = "logger"
"""
RH: Final = '[environment.rh]\nchannel = "logger.rh"\nreference = "40 %"\n'
DAY: Final = 86400.0


# ---------------------------------------------------------------------- the bench file


def declared(folder: Path, *tables: str) -> tuple[EnvironmentChannel, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logger.toml").write_text(PROFILE)
    return environment_channels(bench_of(folder, BATH, SCALE, LOGGER, *tables, STEPS))


def test_a_channel_has_the_unit_of_its_instrument_and_is_read_every_thirty_seconds(tmp_path: Path) -> None:
    (rh, bath) = declared(tmp_path, RH, '[environment.bath]\nchannel = "bath.temperature"\nreference = "295.15 K"\nevery = "2 min"\n')
    assert rh == EnvironmentChannel(name="rh", channel="logger.rh", unit="%", reference=40.0, every=30.0)
    assert (bath.unit, bath.every) == ("degC", 120.0)
    assert bath.reference == pytest.approx(22.0)
    assert declared(tmp_path) == ()


SERVICED: Final = '[instruments.logger]\ndriver = "./logger.toml"\nlink = "logger"\nserviced = 2026-11-01\n'
SELENIUM: Final = '[stocks.se]\nspecies = { Se = "0.2 mol/L" }\nlot = "SE-09"\nvolume = "200 mL"\n'


def test_lots_and_days_of_service_are_taken_from_the_bench_file(tmp_path: Path) -> None:
    tables = '[environment.selenium]\nlot = "stocks.se"\n[environment.age]\nsince = "logger.serviced"\nreference = "1 week"\n'
    logger = LOGGER.partition("[instruments")[0] + SERVICED
    (tmp_path / "logger.toml").write_text(PROFILE)
    selenium, age = environment_channels(bench_of(tmp_path, BATH, SCALE, logger, SELENIUM, tables, STEPS))
    assert (selenium.lot, selenium.channel, selenium.read) == ("SE-09", "stocks.se", False)
    assert (age.since, age.unit, age.reference, age.read) == (1793491200.0, "day", 7.0, False)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('lot = "stocks.cd"', "[environment] one: the bench has no stock 'stocks.cd'; it has none"),
        (
            'since = "logger.serviced"',
            "is no day of service; expected serviced = 2026-11-01, or whatever day it was, at [instruments.logger]",
        ),
        ('since = "oven.serviced"', "[environment] one: 'oven.serviced' is no day of service; the bench has none"),
        ('lot = "stocks.se"\nsince = "logger.serviced"', "lot and since is given; expected one of them"),
        ('reference = "40 %"', "none of channel, lot and since is given; expected one of them"),
        ('channel = "logger.rh"', "reference is missing; expected where the goals hold"),
        ('lot = "stocks.se"\nreference = "3"', "a lot has no reference"),
        ('lot = "stocks.se"\nevery = 5', "every is for a channel; a lot is not read"),
    ],
)
def test_sources_that_there_are_not_are_one_line(table: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        declared(tmp_path, f"[environment.one]\n{table}\n")


@pytest.mark.parametrize("day", ["0", "86400", '"20261101"', '"1 November"', "2026-11-01T00:00:00Z", "true"])
def test_a_day_of_service_is_a_date_and_no_number_or_hour(day: str, tmp_path: Path) -> None:
    (tmp_path / "logger.toml").write_text(PROFILE)
    logger = LOGGER.partition("[instruments")[0] + SERVICED.replace("2026-11-01", day)
    with pytest.raises(BadInput, match=re.escape("instruments.logger.serviced") + ".*expected a day, as 2026-11-01"):
        bench_of(tmp_path, BATH, SCALE, logger, STEPS)


def test_a_lot_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape("stocks.se.lot = ''")):
        bench_of(tmp_path, BATH, SCALE, SELENIUM.replace("SE-09", ""), STEPS)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (RH.replace("logger.rh", "logger.light"), "[environment] rh: the bench has no channel 'logger.light'; it has bath.running"),
        (RH.replace("40 %", "40 degC"), "[environment] rh, reference: '40 degC' has the wrong unit; expected one that converts to %"),
        (RH.replace("40 %", "damp"), "[environment] rh, reference: 'damp'"),
    ],
)
def test_a_channel_that_there_is_not_and_a_reference_of_another_unit_are_refused(table: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        declared(tmp_path, table)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('[environment.rh]\nchannel = "logger.rh"\n', "environment.rh: reference is missing"),
        (RH + 'evry = "5 s"\n', "unknown key environment.rh.evry; legal here: channel, lot, since, reference, every"),
        (RH + "every = 0\n", "environment.rh.every"),
    ],
)
def test_what_is_no_table_of_the_environment_is_refused_with_its_place(table: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        declared(tmp_path, table)


def test_what_a_call_returns_is_brought_and_never_asked_for(tmp_path: Path) -> None:
    call = '[instruments.f]\ndriver = "python"\n[instruments.f.calls.go]\nfunction = "math:sqrt"\nreturns = { y = "g" }\n'
    (found,) = declared(tmp_path, call, '[environment.rh]\nchannel = "f.y"\nreference = "1 g"\n')
    assert found.brought


def test_a_parameter_is_no_environment(tmp_path: Path) -> None:
    file = with_logger(tmp_path)
    bench = file.parent / "bench.toml"
    bench.write_text(bench.read_text().replace("[environment.rh]", "[environment.antisolvent]"))
    with pytest.raises(BadInput, match=re.escape("[environment] antisolvent: a parameter has this name; what is set is no environment")):
        load_plan(file)


def test_only_links_on_which_nothing_is_set_are_opened_beside_a_run(tmp_path: Path) -> None:
    (tmp_path / "logger.toml").write_text(PROFILE)
    assert passive_instruments(bench_of(tmp_path, BATH, SCALE, LOGGER, RH, STEPS)) == {"logger", "scale"}
    shared = LOGGER.replace('link = "logger"', 'link = "bath"\naddress = 7')
    assert passive_instruments(bench_of(tmp_path, BATH, SCALE, shared, RH, STEPS)) == {"scale"}


# ---------------------------------------------------------------------- its stand-in


def test_a_response_of_kind_daily_changes_from_day_to_day_and_not_with_what_is_set() -> None:
    room = Room(3, {}, declared={"logger.rh": ResponseSection(kind="daily", mean=40.0, day_sd=4.0, noise=0.0)})
    days = [room.answer("logger.rh", "%", DAY * n) for n in range(4000)]
    assert abs(fmean(days) - 40.0) < 4.0 * 4.0 * 3.0 / 4000.0**0.5  # of an AR(1) of 0.8: sd of the mean 3 sd / sqrt(n)
    assert 3.6 < stdev(days) < 4.4
    kept = fmean((a - 40.0) * (b - 40.0) for a, b in pairwise(days)) / stdev(days) ** 2
    assert 0.75 < kept < 0.85
    assert room.answer("logger.rh", "%", DAY * 0.5) == pytest.approx((days[0] + days[1]) / 2.0)
    room.set("bath.set.T", 60.0)
    assert room.answer("logger.rh", "%", DAY * 7.0) == days[7]
    assert Room(4, {}, declared=room.declared).answer("logger.rh", "%", 0.0) != days[0]


def test_a_response_of_kind_daily_says_its_mean_and_its_spread() -> None:
    with pytest.raises(ValueError, match="needs mean and day_sd"):
        ResponseSection(kind="daily", mean=40.0)


def test_a_recorded_channel_without_a_word_in_the_plant_file_is_about_its_reference(tmp_path: Path) -> None:
    (tmp_path / "logger.toml").write_text(PROFILE)
    made = simulated(bench_of(tmp_path, BATH, SCALE, LOGGER, RH, STEPS)).stand_ins.document
    channels = made["instruments"]["logger"]["channels"]
    assert (channels["rh"]["about"], channels["rh"]["measured"]) == (40.0, True)
    assert "about" not in made["instruments"]["scale"]["channels"]["weight"]
    value = Room(0, {}, surroundings={"logger.rh": 40.0}).answer("logger.rh", "%", 0.0)
    assert 40.0 - 4.0 * 2.0 < value < 40.0 + 4.0 * 2.0


# ---------------------------------------------------------------------- a campaign


def with_logger(folder: Path) -> Path:
    """Make files of three devices and a logger; return the campaign file."""
    file = template(folder / "lab")
    text = file.read_text().replace("budget = 8", "budget = 3")
    file.write_text(text + '\n[policy]\nkind = "sobol"\n')
    (file.parent / "logger.toml").write_text(PROFILE)
    bench = file.parent / "bench.toml"
    fill = '[[procedure.steps]]\ndo = "pump.fill"\nwith = { volume = "antisolvent" }\n\n'  # has no evidence: a kill in it ends unknown
    text = bench.read_text().replace(fill, "").replace('time = "5 min"', 'time = "90 s"')
    steps = re.sub(r"^do = .*", r'\g<0>\ninterrupted = "continue"', text, flags=re.MULTILINE)
    bench.write_text(steps + LOGGER + RH + 'every = "5 s"\n')
    plant = file.parent / "plant.toml"
    quick = plant.read_text().replace("failures = 0.03", "dose_s = 5\nfailures = 0").replace("lag_s = 120", "lag_s = 5")
    plant.write_text(quick + '\n[responses."logger.rh"]\nkind = "daily"\nmean = 45\nday_sd = 3\n')
    return file


def test_check_tells_what_is_recorded(tmp_path: Path) -> None:
    (told,) = described(load_plan(with_logger(tmp_path)))["environment"]
    assert told == {"name": "rh", "channel": "logger.rh", "unit": "%", "reference": 40.0, "every": 5.0, "brought": False}


@pytest.fixture
def laboratory(tmp_path: Path) -> Iterator[Laboratory]:
    file = with_logger(tmp_path)
    made = Laboratory(file, file.parent / ".athanor-dry", rate=20.0, campaign="crystals")
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_humidity_is_recorded_for_every_run_of_a_campaign_on_its_wire_and_a_kill_costs_coverage_alone(laboratory: Laboratory) -> None:
    command = laboratory.dry_run()
    eventually(lambda: any(one["values"]["phase"] == "start" for one in laboratory.truth("pump", "dose")), "the first dose")
    time.sleep(1.0)  # 20 s of lab time within the wait that follows
    laboratory.kill("campaign", "supervisor", "host")
    command.wait(timeout=60)
    ended = laboratory.ended(laboratory.dry_run())
    assert ended.code == 0, ended.err
    runs = sorted(laboratory.runs(), key=lambda run: run.started_lab or 0.0)
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * 3, [run.reason for run in runs]
    (killed,), *others = (run.environment for run in runs)
    assert 36.0 < (killed.mean or 0.0) < 54.0
    assert killed.samples > 4
    assert killed.coverage < 0.9
    for (one,) in others:
        assert 36.0 < (one.mean or 0.0) < 54.0
        assert one.coverage > 0.9, one
        assert (one.unit, one.reference, one.message) == ("%", 40.0, None)
    assert "% covered" in Path(json.loads(laboratory.type("report").out.strip().join('""'))).read_text()
