"""What a bench file may say of calls: read with their units, or refused in one line; nothing is started here."""

import ast
import sys
from pathlib import Path

import pytest

from flows.cli.init import Template, scaffold
from flows.plans.admission import admit
from flows.plans.binding import bench_binding
from flows.plans.plan import load_plan
from instruments.bench.called import dry_calls, functions_of
from instruments.bench.file import load_bench
from instruments.bench.lanes import lane_of, lanes_of, wires_of
from instruments.bench.links import refuse_unhonoured
from instruments.bench.safe_state import declared
from instruments.drivers.calls import child
from instruments.drivers.protocol import Limit
from orchestrator.domain.lifecycle import CampaignStatus, StepKind
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from tests.calling import BENCH, FILM, bench_of
from tests.process.test_bench import BENCH as FLOW

PLAIN = BENCH.format(options="", keys="")


def _changed(folder: Path, *changes: tuple[str, str], film: str | None = FILM) -> Path:
    text = PLAIN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    if film is not None:
        (folder / "film.py").write_text(film)
    path = folder / "bench.toml"
    path.write_text(text)
    return path


def test_a_call_is_a_command_and_its_returns_are_channels(tmp_path: Path) -> None:
    driver = bench_of(tmp_path).driver("film")
    command = driver.COMMANDS["cast"]
    assert command.kind is StepKind.PROGRAM
    assert command.by_step
    assert command.arguments["temperature"].limit == Limit(20.0, 90.0)
    assert command.arguments["solvent"].choices == ("DMF", "THF")
    assert {name: one.unit for name, one in driver.CHANNELS.items()} == {"thickness": "nm"}
    assert driver.LINKS == ()


def test_an_instrument_without_a_link_has_a_lane_of_its_own_and_no_lock(tmp_path: Path) -> None:
    spec = bench_of(tmp_path).spec
    assert lanes_of(spec) == {"(film)": ["film"]}
    assert wires_of(spec, [lane_of(spec, "film")]) == []
    flow = load_bench(FLOW).spec
    assert all("(" not in lane for lane in lanes_of(flow))
    assert len(wires_of(flow, lanes_of(flow))) == len(flow.links)


def test_what_is_called_is_ended_by_the_safe_state_though_the_file_says_nothing(tmp_path: Path) -> None:
    assert list(declared(bench_of(tmp_path))) == [("film", "end")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([('function = "film:cast"\n', "")], r'calls.cast: function is missing; expected function = "module:name"'),
        ([('"film:cast"', '"film.cast"')], r"function.*film\.cast"),
        ([('"degC", min', '"degX", min')], r"arguments.temperature: unknown unit 'degX'"),
        ([('min = "20 degC"', 'min = "95 degC"')], r"arguments.temperature: min 95 must be below max 90 degC"),
        ([('default = "DMF"', 'default = "water"')], r"arguments.solvent: default = 'water'; expected DMF or THF"),
        ([('returns.thickness = "nm"', 'returns.thickness = { unit = "text", min = 1 }')], "a text has neither min nor max"),
        ([('returns.thickness = "nm"', 'returns.thickness = "nm"\ncommand = ["a"]')], "driver 'python' reads no 'command' of a call"),
        ([('returns.thickness = "nm"', 'returns.thickness = "nm"\ntime_limit = "0 s"')], "time_limit"),
        ([('returns.thickness = "nm"', 'returns.thickness = "nm"\nrepeatible = true')], "repeatible"),
        (
            [('driver = "python"', 'driver = "python"\nlink = "usb"'), ("[bench]", '[links.usb]\nkind = "own"\ndevice = "x"\n[bench]')],
            "no link",
        ),
        ([('driver = "python"', 'driver = "new-era"')], "instrument film: its driver knows its own commands; it takes no calls"),
        ([('driver = "python"', 'driver = "python"\nsafe_state = ["off"]')], "unknown safe action 'off'; legal: end"),
    ],
)
def test_a_mistake_in_a_declaration_is_one_line(tmp_path: Path, changes: list[tuple[str, str]], said: str) -> None:
    path = _changed(tmp_path, *changes)
    with pytest.raises(BadInput, match=said) as caught:
        load_bench(path)
    assert "\n" not in str(caught.value)


def test_an_instrument_without_a_call_and_two_returns_of_one_name_are_refused(tmp_path: Path) -> None:
    head, _, tail = PLAIN.partition("[instruments.film.calls.cast]")
    (tmp_path / "bench.toml").write_text(head + "[[procedure" + tail.partition("[[procedure")[2])
    with pytest.raises(BadInput, match="instrument film: it has nothing to do"):
        load_bench(tmp_path / "bench.toml")
    more = '\n[instruments.film.calls.weigh]\nfunction = "film:weigh"\nreturns.thickness = "mg"\n[[procedure.steps]]'
    with pytest.raises(BadInput, match="two of its calls return 'thickness', in 'nm' and 'mg'"):
        load_bench(_changed(tmp_path, ("\n[[procedure.steps]]", more)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('command = ["cat", "{temperature}"]', r"command uses \{solvent\} nowhere"),
        ('command = ["cat", "{temperature}{solvent}{speed}"]', r"\{speed\} in command is no argument; declared: temperature, solvent"),
        ('command = ["cat", "{temperature}{solvent}{output}"]', "output names no file"),
        ('command = ["cat", "{temperature}{solvent}"]\noutput = "a.txt"', "output = 'a.txt'; expected"),
        ('command = ["cat", "{temperature}{solvent}{"]', "a curly bracket that is meant stands twice"),
        ('command = ["cat", "{temperature.real}{solvent}"]', r"\{temperature.real\} in command; expected an argument's name"),
    ],
)
def test_a_mistake_in_a_command_line_is_one_line(tmp_path: Path, words: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_bench(_changed(tmp_path, ('driver = "python"', 'driver = "command"'), ('function = "film:cast"', words)))


def test_a_program_that_is_not_there_is_told_before_a_run(tmp_path: Path) -> None:
    words = 'command = ["no-such-program", "{temperature}{solvent}"]'
    path = _changed(tmp_path, ('driver = "python"', 'driver = "command"'), ('function = "film:cast"', words))
    with pytest.raises(BadInput, match="there is no program 'no-such-program', on PATH or by its path"):
        load_bench(path).check_instruments()


def test_an_interpreter_that_is_not_there_is_told_before_a_run(tmp_path: Path) -> None:
    path = _changed(tmp_path, ('driver = "python"', 'driver = "python"\noptions = { interpreter = "none/python" }'))
    with pytest.raises(BadInput, match=r"options.interpreter = 'none/python'; there is no program .*none/python"):
        load_bench(path).check_instruments()


def test_a_changed_function_is_another_bench(tmp_path: Path) -> None:
    before = bench_of(tmp_path)
    after = bench_of(tmp_path, film=FILM + "\n# slower\n")
    assert before.beside.keys() == {"film.py"}
    assert before.sha256 != after.sha256
    assert bench_binding(before) != bench_binding(after)
    assert before.text == after.text


def test_what_a_function_imports_from_its_folder_is_part_of_the_bench_however_far_it_lies(tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    files = {
        "helper.py": "from kit import deep\nimport os, numpy, film\n",
        "kit/__init__.py": "",
        "kit/deep.py": "from . import deeper\nfrom .deeper import *\n",
        "kit/deeper.py": "FACTOR = 2\n",
        "stranger.py": "raise RuntimeError('nobody imports it')\n",
    }
    for path, content in files.items():
        (tmp_path / path).write_text(content)
    film = FILM.replace("import os, time", "import os, time, helper")
    before = bench_of(tmp_path, film=film)
    assert before.beside.keys() == {"film.py", *files} - {"stranger.py"}
    (tmp_path / "kit" / "deeper.py").write_text("FACTOR = 3\n")
    assert bench_of(tmp_path, film=film).sha256 != before.sha256
    assert before.files["kit/deeper.py"] == b"FACTOR = 2\n"


def test_a_dry_run_carries_out_what_is_harmless_or_stands_in_its_place_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"calls\.cast: a dry run cannot carry it out.*pure = true.*simulated"):
        dry_calls(bench_of(tmp_path))
    pure = bench_of(tmp_path, keys="pure = true")
    assert dry_calls(pure).settings("film").calls["cast"].function == "film:cast"
    other = bench_of(tmp_path, keys='simulated = "model:cast"')
    assert dry_calls(other).settings("film").calls["cast"].function == "model:cast"
    assert other.settings("film").calls["cast"].function == "film:cast"
    assert dry_calls(other).sha256 == other.sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    ("film", "said"),
    [
        (None, f"its module cannot be imported by {sys.executable}: ModuleNotFoundError: No module named 'film'"),
        ("def cast(temperature:\n    pass\n", r"SyntaxError: .*\(film.py, line 1\)"),
        ("raise OSError('no licence')\n", r"OSError: no licence \(film.py, line 1\)"),
        ("import sys\nsys.exit(0)\n", r"SystemExit: 0 \(film.py, line 2\)"),
        ("import os\nos._exit(0)\n", "its process ended while its module was imported"),
        ("def coat(temperature, solvent):\n    pass\n", "module film has no 'cast'; it has coat"),
        ("cast = 3\n", "film:cast is 3; expected a function"),
        ("def cast(temperature):\n    pass\n", r"film:cast\(temperature\) cannot be called with temperature, solvent"),
        ("def cast(temperature, solvent, speed):\n    pass\n", "missing a required argument: 'speed'"),
        ("async def cast(temperature, solvent):\n    pass\n", "film:cast is asynchronous; expected a plain function"),
    ],
)
def test_what_is_wrong_with_a_function_is_told_by_check_without_calling_it(tmp_path: Path, film: str | None, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        refuse_unhonoured(load_bench(_changed(tmp_path, film=film)))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "bench.toml") in str(caught.value)


@pytest.mark.slow
def test_a_module_that_python_has_already_is_not_taken_for_the_one_beside_the_file(tmp_path: Path) -> None:
    path = _changed(tmp_path, ('"film:cast"', '"json:cast"'), film=None)
    (tmp_path / "json.py").write_text(FILM)
    with pytest.raises(BadInput, match=r"json:cast: json.py is hidden by .*json/__init__.py; give it another name"):
        refuse_unhonoured(load_bench(path))


@pytest.mark.slow
def test_a_function_of_a_package_is_known_by_the_hash_of_its_source(tmp_path: Path) -> None:
    path = _changed(tmp_path, ('"film:cast"', '"colorsys:rgb_to_hsv"'), ("temperature =", "r ="), ("solvent =", "g ="), film=None)
    path.write_text(path.read_text().replace("returns.thickness", 'arguments.b = ""\nreturns.thickness'))
    (found,) = functions_of(load_bench(path))
    assert found.what == "function colorsys:rgb_to_hsv"
    assert found.source.endswith("colorsys.py")
    assert len(found.sha256) == 64


@pytest.mark.slow
def test_the_scaffold_of_a_function_is_sound_and_measures_what_the_function_returns(tmp_path: Path) -> None:
    scaffold(tmp_path, Template.FUNCTION)
    plan = load_plan(tmp_path / "campaign.toml")
    assert [step.do for step in plan.recipe.expand(plan.sample[0])] == ["film.cast"]
    assert "film.py" in "".join(plan.snapshot["files"])
    campaign = tmp_path / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('name = "conductivity"', 'name = "conductance"'))
    with pytest.raises(BadInput, match=r"target conductance: the calls of bench.toml return only conductivity, thickness"):
        load_plan(campaign)
    campaign.write_text(campaign.read_text().replace('name = "conductance"', 'name = "conductance"\nfrom = "later"'))
    assert load_plan(campaign).objective.later == {"conductance": None}


def test_a_target_in_a_unit_that_what_is_read_does_not_have_is_refused_and_one_that_converts_is_not(tmp_path: Path) -> None:
    scaffold(tmp_path, Template.FUNCTION)
    campaign = tmp_path / "campaign.toml"
    written = campaign.read_text()
    campaign.write_text(written.replace('name = "conductivity"\nunit = "S/cm"', 'name = "conductivity"\nunit = "mL"'))
    with pytest.raises(
        BadInput, match=r"target conductivity is in mL, bench.toml has \w+.conductivity in S/cm; expected units that convert"
    ):
        admit(None, load_plan(campaign))
    unfinished = CampaignRecord(name="c", status=CampaignStatus.RUNNING, snapshot=load_plan(campaign).snapshot)
    assert admit(unfinished, load_plan(campaign)) is unfinished  # as it began
    campaign.write_text(written.replace('name = "conductivity"\nunit = "S/cm"', 'name = "conductivity"\nunit = "S/m"'))
    plan = load_plan(campaign)
    assert admit(None, plan) is None
    assert plan.objective.units["conductivity"] == "S/m"


def test_the_childs_side_is_of_the_standard_library_alone_and_reads_as_python_3_8() -> None:
    tree = ast.parse(Path(child.__file__).read_text(), feature_version=(3, 8))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {one.partition(".")[0] for one in named} <= sys.stdlib_module_names
