"""Finding a plug-in: by an entry point or a file, once, its hash; every way to fail is one line, and costs nobody else anything."""

import hashlib
import sys
import time
from pathlib import Path

import pytest

from instruments.drivers.registry import driver_plugin, find_driver
from instruments.reductions.registry import find_reduction, reduce
from orchestrator import plugins
from orchestrator.errors import BadInput
from tests.plugins.writing import BURETTE, EXAMPLE, HANGS, RAISES, example, install

REDUCTIONS = """
from athanor.reductions import Reduced, Reduction

COLOUR = Reduction("colour/1", frozenset({"colour"}), lambda readings: (Reduced("colour", 2.0, "", 0.1, None, ()),))
BROKEN = Reduction("broken/1", None, lambda readings: 1 / 0)
NONE = 3
"""
HEAD = "from athanor.drivers import Argument, Driver, command, safe\n\n\n"


def refusal(folder: Path, source: str, name: str = "./pump.py:Pump", seconds: float = 5.0) -> str:
    (folder / "pump.py").write_text(source)
    with pytest.raises(BadInput) as caught:
        find_driver(name, folder, seconds=seconds)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_beside_the_bench_file_is_loaded_once_and_hashed(tmp_path: Path) -> None:
    example(tmp_path)
    found = driver_plugin(BURETTE, tmp_path)
    assert found is not None
    assert found.sha256 == hashlib.sha256((EXAMPLE / "burette.py").read_bytes()).hexdigest()
    assert find_driver(BURETTE, tmp_path) is found.thing
    assert sorted(found.thing.COMMANDS) == ["dose", "drain"]
    assert {"stop"} == found.thing.SAFE_ACTIONS


def test_a_changed_file_is_another_plug_in(tmp_path: Path) -> None:
    example(tmp_path)
    before = driver_plugin(BURETTE, tmp_path)
    with (tmp_path / "burette.py").open("a") as file:
        file.write("\n# a note\n")
    after = driver_plugin(BURETTE, tmp_path)
    assert before is not None
    assert after is not None
    assert (before.sha256, before.thing) != (after.sha256, after.thing)


def test_an_installed_package_offers_a_driver_by_name_and_is_hashed_over_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (EXAMPLE / "burette.py").read_text()
    install(tmp_path, "acme-burette", source, {"athanor.drivers": {"acme": "acme_burette:Burette"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_burette", raising=False)
    found = driver_plugin("acme", Path())
    assert found is not None
    assert (found.source, found.sha256) == ("acme-burette 1.2", hashlib.sha256(source.encode()).hexdigest())
    assert plugins.installed(plugins.DRIVERS) == {"acme": "acme-burette 1.2"}
    with pytest.raises(BadInput, match=r"unknown driver 'acne'; known: acme, .*new-era"):
        find_driver("acne", Path())


def test_two_packages_that_offer_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("acme-one", "acme-two"):
        install(tmp_path, name, HEAD, {"athanor.drivers": {"twice": f"{name.replace('-', '_')}:Pump"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadInput, match=r"driver 'twice' is offered by acme-one 1.2 and acme-two 1.2; expected one of them"):
        find_driver("twice", Path())


def test_only_what_is_named_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "acme-broken", RAISES, {"athanor.drivers": {"broken": "acme_broken:Pump"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_driver("new-era", tmp_path).LINKS == ("serial",)
    assert "acme_broken" not in sys.modules
    with pytest.raises(
        BadInput, match=r"driver 'broken' \(acme-broken 1.2, acme_broken:Pump\) cannot be loaded at .*acme_broken.py, line 3: ValueError"
    ):
        find_driver("broken", tmp_path)


def test_an_import_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, RAISES)
    assert (
        said
        == f"driver './pump.py:Pump' ({tmp_path}/pump.py) cannot be loaded at {tmp_path}/pump.py, line 3: ValueError: math domain error"
    )
    assert "cannot be loaded at" in refusal(tmp_path, "x = = 1\n")
    assert "SystemExit: 3" in refusal(tmp_path, "raise SystemExit(3)\n")
    assert "ModuleNotFoundError: No module named 'acme_sdk'" in refusal(tmp_path, "import acme_sdk\n")


def test_an_import_that_hangs_is_given_up_and_named_with_the_line_that_it_stands_at(tmp_path: Path) -> None:
    began = time.monotonic()
    said = refusal(tmp_path, HANGS, seconds=0.3)
    assert time.monotonic() - began < 3.0
    assert said.endswith(f"its import did not end within 0.3 s; it stands at {tmp_path}/pump.py, line 3")
    example(tmp_path)
    assert find_driver(BURETTE, tmp_path).LINKS == ("serial",)


def test_a_slow_import_that_ends_after_all_is_found_by_whoever_asks_again(tmp_path: Path) -> None:
    source = "import time\n" + HEAD + "time.sleep(0.6)\n\n\nclass Pump(Driver):\n    pass\n"
    assert "did not end within 0.05 s" in refusal(tmp_path, source, seconds=0.05)
    assert find_driver("./pump.py:Pump", tmp_path).__name__ == "Pump"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("class Pomp:\n    pass\n", "cannot be loaded: it has no 'Pump'; its classes are Pomp"),
        ("class Pump:\n    pass\n", "expected a subclass of athanor.drivers.Driver"),
        ("Pump = 3\n", "is 3; expected a subclass of athanor.drivers.Driver"),
        (
            HEAD + 'class Pump(Driver):\n    @command("doing")\n    def go(self): ...\n',
            "pump.py, line 5: command go: kind 'doing'; expected dosing, program, state-setting",
        ),
        (
            HEAD + 'class Pump(Driver):\n    @command("state-setting", rate=Argument("mL/min"))\n    def go(self, flow): ...\n',
            "command go: the method takes flow; declared: rate",
        ),
        (
            HEAD + 'class Pump(Driver):\n    @command("state-setting", rate=Argument("furlongs?"))\n    def go(self, rate): ...\n',
            "command go, argument rate: unknown unit 'furlongs?'",
        ),
        (
            HEAD + 'class Pump(Driver):\n    @command("state-setting", rate=Argument("mL/min", 5, 1))\n    def go(self, rate): ...\n',
            "command go, argument rate: low = 5, high = 1; expected low below high",
        ),
        (
            HEAD + 'class Pump(Driver):\n    @command("dosing")\n    def dose(self): ...\n',
            "Pump has the dosing command 'dose' but no method 'outcome'",
        ),
    ],
)
def test_a_class_that_is_no_driver_is_refused_in_one_line(tmp_path: Path, source: str, said: str) -> None:
    assert said in refusal(tmp_path, source)


@pytest.mark.parametrize("name", ["../pump.py:Pump", "/pump.py:Pump", "./pump.py", "./a/../../pump.py:Pump", "pump.py:Pump"])
def test_a_file_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"expected './FILE.py:NAME', a file beside the file that names it or in a folder below"):
        find_driver(name, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"driver './none.py:Pump': .*/none.py cannot be read: No such file"):
        find_driver("./none.py:Pump", tmp_path)


def test_a_reduction_beside_the_bench_file_reduces_and_its_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "colour.py").write_text(REDUCTIONS)
    assert find_reduction("./colour.py:COLOUR", tmp_path).targets == frozenset({"colour"})
    assert [one.value for one in reduce("./colour.py:COLOUR", (), tmp_path)] == [2.0]
    with pytest.raises(BadInput, match=r"reduction './colour.py:BROKEN' failed: ZeroDivisionError: division by zero; mend it and go on"):
        reduce("./colour.py:BROKEN", (), tmp_path)
    with pytest.raises(BadInput, match=r"is 3; expected an athanor.reductions.Reduction"):
        find_reduction("./colour.py:NONE", tmp_path)
