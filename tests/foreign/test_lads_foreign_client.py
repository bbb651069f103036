"""Our LADS server, used by node-opcua: programs, states by subscription, results, the lamp, the unit's lock."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.foreign import MODULES, NODE, last_object, need
from tests.simulator.plant_process import PlantProcess

pytestmark = [pytest.mark.slow, pytest.mark.foreign]

LIMIT = 120.0
STOPPED, RUNNING, STOPPING, ABORTING, ABORTED, CLEARING = 5085, 5099, 5100, 5159, 5160, 5143
"""Numbers of the states' nodes in the published LADS nodeset."""


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    need(MODULES / "node-opcua")
    running = PlantProcess.start(tmp_path_factory.mktemp("plant"), rate=60.0)
    yield running
    assert running.stop() == b""


@pytest.fixture(scope="module")
def said(plant: PlantProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client saw on its way through the device."""
    words = [str(need(Path(shutil.which("node") or "node"))), "lads_client.mjs", plant.url]
    own = os.environ | {"HOME": str(tmp_path_factory.mktemp("home"))}  # node-opcua keeps certificates there
    done = subprocess.run(words, cwd=NODE, env=own, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return last_object(done.stdout)


def test_a_foreign_client_finds_a_lads_device_and_who_made_it(said: dict[str, Any]) -> None:
    device = said["device"]
    assert device["type"] == f"ns={said['index']['lads']};i=1002"
    assert device["plate"]["SerialNumber"] == device["identification"] == "SP-0042"
    assert device["plate"]["Model"] == "SynthesisPlatform"
    assert (device["templates"], device["state"]) == (["Rinse", "Characterise"], "Operate")


def test_it_starts_a_program_with_the_published_structures_and_only_one(said: dict[str, Any], plant: PlantProcess) -> None:
    assert said["start"]["status"] == "Good"
    assert said["second"]["status"] == "BadInvalidState"
    template = said["active"]
    assert (template["name"]["text"], template["nodeId"]) == (
        "Characterise",
        f"ns={said['index']['own']};s=SynthesisPlatform/FunctionalUnitSet/Analyser/ProgramManager/ProgramTemplateSet/Characterise",
    )
    started = [line["run_key"] for line in plant.truth("platform", "start")]
    assert started == ["foreign 1", "foreign 3"]


def test_a_subscription_sees_every_state_of_the_published_machine(said: dict[str, Any]) -> None:
    order = [STOPPED, RUNNING, STOPPING, STOPPED, RUNNING, ABORTING, ABORTED, CLEARING, STOPPED]
    assert said["states"] == [f"ns={said['index']['lads']};i={state}" for state in order]


def test_it_reads_a_result_with_its_template_structures_spectra_and_units(said: dict[str, Any]) -> None:
    result = said["result"]
    assert result["type"] == f"ns={said['index']['lads']};i=1021"
    assert (result["template"], result["task"], result["application"]) == ("Characterise", "foreign 1", "urn:witness:one")
    assert result["properties"] == [{"key": "integration_time", "value": "0.1"}]
    assert [(one["sampleId"], one["position"]) for one in result["samples"]] == [("s", "H1")]
    assert not result["stopped"].startswith("1601")
    variables = result["variables"]
    assert isinstance(variables["Outcome"]["value"], str)
    assert variables["Wavelength"] == {"value": 351, "unit": ["nm", int.from_bytes(b"C45", "big")]}


def test_it_aborts_and_clears(said: dict[str, Any]) -> None:
    assert said["abort"]["status"] == said["clear"]["status"] == "Good"
    assert said["refused"]["status"] == "BadInvalidState"
    assert said["state"] == "Stopped"


def test_a_lamp_burns_while_its_function_runs(said: dict[str, Any]) -> None:
    assert said["lampStart"]["status"] == said["lampStop"]["status"] == "Good"
    assert said["lamp"] == [False, True, False]


def test_a_locked_unit_takes_nothing_from_others_but_abort(said: dict[str, Any]) -> None:
    assert said["lock"] == {"status": "Good", "output": [0]}
    assert said["lockAgain"] == {"status": "Good", "output": [-1]}
    assert said["locked"] == [True, "urn:witness:one"]
    assert (said["otherStart"]["status"], said["otherWrite"]) == ("BadLocked", "BadLocked")
    assert said["otherRenew"]["status"] == "BadUserAccessDenied"
    assert said["otherAbort"]["status"] == "Good"
    assert said["renew"]["output"] == said["exit"]["output"] == said["otherLock"]["output"] == said["breakLock"]["output"] == [0]
