"""The package of the second chemistry: what it imports, what it offers, and its bench, without processes."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lipid_mixing.balance import SETTLES, BalanceBody
from lipid_mixing.family import LNP, PARAMETERS, UNITS, chemistry, configurations, draw_lipid, flows
from lipid_mixing.measuring import FULL, Habits, Seen, encapsulation_of, pdi_of, room, size_of
from lipid_mixing.mixing import COMPLETED, Lipid, Mixture, mix
from lipid_mixing.sizer import EMPTY, SizerBody
from lipid_mixing.sizing import SIZING
from lipid_mixing.stream import stretches

from athanor.devices import Body, Feed, Order, Surroundings, Trace
from athanor.reductions import Reading
from flows.studies.families import FAMILIES
from flows.studies.family import find_family
from instruments.bench.file import load_bench
from instruments.bench.procedure import Procedure
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.parameters import ContinuousParameter
from simulators.clock import Moment
from simulators.truth import PhysicalEvent
from tests.plugins.writing import install

PACKAGE = Path(__file__).parents[2] / "examples" / "lnp"
BENCH = PACKAGE / "bench"
PUBLIC = {"athanor", "athanor.chemistries", "athanor.devices", "athanor.drivers", "athanor.reductions", "athanor.twins"}
FOREIGN = {"numpy", "typing_extensions", "lipid_mixing"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield str(node.module)


def test_the_package_imports_public_modules_alone() -> None:
    sources = sorted((PACKAGE / "lipid_mixing").glob("*.py"))
    assert len(sources) >= 7
    private = {
        (path.name, name)
        for path in sources
        for name in imports(path)
        if name not in PUBLIC and name.partition(".")[0] not in {*FOREIGN, *sys.stdlib_module_names}
    }
    assert private == set()


def test_what_it_takes_from_public_modules_is_offered_there() -> None:
    for path in (PACKAGE / "lipid_mixing").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in PUBLIC:
                offered = sys.modules[node.module].__all__
                assert {one.name for one in node.names} <= set(offered), path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["entry-points"]
    monkeypatch.syspath_prepend(str(install(tmp_path, "lipid-entry-points", "", groups)))
    return groups


def test_its_entry_points_are_found_by_their_names(installed: dict[str, dict[str, str]], tmp_path: Path) -> None:
    assert find_family(FAMILIES, "lnp", tmp_path) is LNP
    assert set(installed) == {"athanor.chemistries", "athanor.devices", "athanor.reductions", "athanor.twins"}


def test_the_familys_rows_are_what_the_example_bench_can_do(installed: dict[str, dict[str, str]]) -> None:
    file = load_campaign(BENCH / "campaign.toml")
    procedure = Procedure(load_bench(BENCH / "bench.toml"), file.space())
    ranges = {one.name: (one.min, one.max) for one in file.space().parameters if isinstance(one, ContinuousParameter)}
    assert ranges == dict(PARAMETERS)
    space = file.space(more_constraints=procedure.reachable())
    assert space.units == {name: UNITS[name] for name in PARAMETERS}
    for row in configurations(40, 3):
        steps = {step.do: step for step in procedure.expand(row)}
        for stream, flow in flows(row).items():
            assert steps[f"pump_{stream}.set_flow"].arguments["flow"] == pytest.approx(flow)


# ---------------------------------------------------------------------- the family


def test_tasks_are_the_same_under_a_seed_and_carry_their_classes() -> None:
    both = LNP.draw(2, 16, 5)
    assert both == LNP.draw(2, 16, 5)
    assert both[:1] == LNP.draw(1, 16, 5)
    assert LNP.draw(1, 16, 6)[0] != both[0]
    name, rows = both[0]
    assert LNP.group(name) == "/".join(map(str, LNP.describe(name).values()))
    assert 6 < len(rows) <= 16
    assert all(set(one.values) == {"size", "pdi", "encapsulation"} and set(one.configuration) == set(PARAMETERS) for one in rows)


def test_the_familys_settings_fill_the_reachable_space_evenly() -> None:
    rows = np.array([[row[name] for name in PARAMETERS] for row in configurations(512, 1)])
    low, high = np.array(list(PARAMETERS.values())).T
    unit = (rows - low) / (high - low)
    assert ((unit >= 0.0) & (unit <= 1.0)).all()
    for column in unit.T[[0, 3]]:  # nothing of these is cut off
        assert np.histogram(column, bins=8, range=(0.0, 1.0))[0] == pytest.approx(64, abs=16)
    assert len({tuple(row) for row in rows}) == 512


def test_kin_are_more_alike_than_strangers() -> None:
    drawn = [draw_lipid(np.random.default_rng([9, index])) for index in range(400)]
    kinds: dict[str, list[float]] = {}
    for one in drawn:
        kinds.setdefault(one.ionisable, []).append(one.pka)
    assert len(kinds) == 3
    within = np.mean([np.std(values) for values in kinds.values()])
    assert within < 0.5 * np.std([one.pka for one in drawn])


def test_a_plant_without_a_seed_has_the_familys_centre() -> None:
    assert chemistry(None).lipid == Lipid()
    assert chemistry(5) == chemistry(5) != chemistry(6)


# ---------------------------------------------------------------------- instruments


def test_what_is_recorded_scatters_about_what_is_there_as_the_reduction_says() -> None:
    habits, seen, generator = replace(Habits(3), outliers=0.0), Seen(80.0, 0.12, 0.85), np.random.default_rng(1)
    raws = [habits.record(seen, 0.0, generator) for _ in range(600)]
    sizes, inside = [size_of(raw) for raw in raws], [encapsulation_of(raw) for raw in raws]
    assert np.mean([one.value for one in sizes]) == pytest.approx(80.0 * (1.0 + habits.gain) + habits.drift(0.0) * 1.3, abs=0.15)
    assert np.std([one.value for one in sizes]) == pytest.approx(np.mean([one.uncertainty for one in sizes]), rel=0.25)
    found = [one for one in inside if one is not None]
    assert len(found) == 600
    assert np.mean([one.value for one in found]) == pytest.approx(0.85, abs=0.001)
    assert np.std([one.value for one in found]) == pytest.approx(np.mean([one.uncertainty for one in found]), rel=0.35)


def test_exact_instruments_show_what_is_there() -> None:
    raw = Habits(3, noise=False).record(Seen(80.0, 0.12, 0.85), 1e6, np.random.default_rng(1))
    assert (size_of(raw).value, pdi_of(raw).value) == (80.0, 0.12)
    inside = encapsulation_of(raw)
    assert inside is not None
    assert inside.value == pytest.approx(0.85)


def test_without_rna_there_is_no_encapsulation() -> None:
    empty = {"Intact": [400.0, 410.0, 395.0], "Lysed": [405.0, 398.0, 402.0], "Blank": [400.0, 399.0, 404.0]}
    assert encapsulation_of(empty) is None


def test_the_room_remembers_yesterday() -> None:
    days = np.array([[room(seed, 86_400.0 * day).kelvin for day in range(300)] for seed in range(8)])
    centred = days - days.mean()
    assert days.std() == pytest.approx(1.5, rel=0.2)
    assert (centred[:, 1:] * centred[:, :-1]).mean() / centred.var() == pytest.approx(0.8, abs=0.1)
    assert room(1, 0.0, still=True).kelvin == 295.15


def reading(channel: str, array: tuple[float, ...], quality: str = "good") -> Reading:
    return Reading(0, "sizer", channel, "", quality, datetime(2026, 1, 1, tzinfo=UTC), 0.0, array=array, sha256=channel)  # type: ignore[arg-type]  # legal


def test_the_reduction_says_what_is_missing_or_bad() -> None:
    whole = {"Intact": (6400.0, 6390.0, 6410.0), "Lysed": (40400.0, 40300.0, 40500.0), "Blank": (400.0, 401.0, 399.0)}
    optics = {"ZAverage": (80.0, 81.0, 79.0), "PolydispersityIndex": (0.1, 0.11, 0.09)}
    found = {one.target: one for one in SIZING.apply([reading(name, values) for name, values in {**whole, **optics}.items()])}
    assert found["size"].value == 80.0
    assert found["encapsulation"].value == pytest.approx(1.0 - 6000.0 / FULL)
    assert all(one.reason is None for one in found.values())
    lacking = {one.target: one for one in SIZING.apply([reading(name, values) for name, values in whole.items()])}
    assert lacking["size"].value is None
    assert lacking["size"].reason == "no recordings of ZAverage, PolydispersityIndex"
    broad = {**whole, "ZAverage": (80.0, 81.0), "PolydispersityIndex": (0.7, 0.72)}
    judged = {one.target: one for one in SIZING.apply([reading(name, values, "uncertain") for name, values in broad.items()])}
    assert judged["size"].reason is not None
    assert "polydispersity above 0.5" in judged["size"].reason
    assert "ZAverage is not of good quality" in judged["size"].reason


# ---------------------------------------------------------------------- bodies


def feed(times: list[float], values: list[float], **species: float) -> Feed:
    return Feed(Trace(times, values), species)


FEEDS = {
    "rna": feed([10.0, 70.0], [3.0, 0.0], phosphate=0.0025),
    "buffer": feed([12.0, 72.0], [1.0, 0.0]),
    "lipid": feed([14.0, 74.0], [1.0, 0.0], lipid=0.0125, peg=0.0001875),
}


def placed(body: Body, lab_s: float) -> Body:
    body.now = lambda: Moment(lab_s, 0.0)
    body.live(Moment(lab_s, 0.0))
    return body


def test_only_what_comes_while_every_stream_flows_is_collected() -> None:
    (found,) = stretches(FEEDS, 0.0, 100.0)
    assert (found.since, found.until) == (14.0, 70.0)
    assert found.volume == pytest.approx(5.0 * 56.0 / 60.0)
    assert stretches({}, 0.0, 100.0) == []


def test_the_balance_weighs_what_was_collected_and_waits_for_the_last_drop() -> None:
    body = BalanceBody("balance", {"serial_number": "B1"}, lambda _: None, np.random.default_rng(0))
    body.feeds, body.surroundings = FEEDS, Surroundings(noise=False)
    assert placed(body, 40.0).reply(b"T") == b"T I"
    assert (body.reply(b"SI") or b"").startswith(b"S D ")
    weighed = placed(body, 70.0 + SETTLES).reply(b"S")
    assert weighed is not None
    assert float(weighed.split()[2]) == pytest.approx(11.8 + (4.0 * 0.997 + 1.0 * 0.785) * 56.0 / 60.0, abs=1e-3)
    assert (body.reply(b"T") or b"").startswith(b"T S ")
    assert (body.reply(b"S") or b"").split() == [b"S", b"S", b"0.0000", b"g"]
    assert body.reply(b"I4") == b'I4 A "B1"'
    assert body.reply(b"FOO") == b"ES"


def test_the_sizer_measures_what_the_streams_have_made_once() -> None:
    told: list[PhysicalEvent] = []
    body = SizerBody("sizer", {"serial_number": "PS1"}, told.append, np.random.default_rng(0))
    body.feeds, body.surroundings, body.chemistry = FEEDS, Surroundings(noise=False), chemistry(None)
    placed(body, 100.0)
    outcome, variables = body.run(Order("Size", (("hold", "1"),), "c", "run-1", ()))()
    assert outcome == COMPLETED
    expected = mix(Mixture.of(5.0, 4.0, 12.5, 0.5 * 0.0125 / (3.0 * 0.0025), 1.5, kelvin=295.15), Lipid())
    assert variables["ZAverage"] == pytest.approx([float(expected.diameter[0])] * 5)
    assert [(one.event, one.run_key) for one in told] == [("sample", "run-1"), ("measured", "run-1")]
    assert body.run(Order("Size", (("hold", "1"),), "c", "run-2", ()))() == (EMPTY, {})
