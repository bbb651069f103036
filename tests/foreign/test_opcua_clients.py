"""Our secured LADS server, used by two more stacks that nobody here wrote: open62541 (by `o6`) and FreeOpcUa's `opcua`."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instruments.lab_processes.plant_process import ensure_plant, shutdown_plant
from instruments.trust.certificates import Certificate, make_certificate
from instruments.trust.folder import TrustFolder
from instruments.trust.secret import write_private
from tests.foreign import BIN, last_object, need
from tests.foreign.test_lads_foreign_client import ABORTED, ABORTING, CLEARING, RUNNING, STOPPED, STOPPING
from tests.simulator.plant_process import EXAMPLE

pytestmark = [pytest.mark.slow, pytest.mark.foreign]

LIMIT = 120.0
URI = "urn:witness:stack"
VIALS = {"open62541": ("H1", "H2"), "freeopcua": ("H3", "H4")}
NANOMETRE = int.from_bytes(b"C45", "big")
"""Its common code [UNECE Recommendation 20]."""


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Where the platform is, what it asks of its clients, and a certificate that it trusts."""
    lab = tmp_path_factory.mktemp("lab")
    asked = {"policy": "Basic256Sha256", "mode": "SignAndEncrypt", "user": "ada"}
    ensure_plant(lab, EXAMPLE, bench_sha256="ab" * 32, seed=1, rate=60.0, secured={"platform": asked})
    try:
        plant = TrustFolder(lab / "plant" / "pki")
        key, certificate = make_certificate("a client", application_uri=URI, hosts=("localhost",))
        plant.trust(Certificate.parse(certificate, what="the client's"))
        write_private(lab / "key.pem", key)
        write_private(lab / "certificate.der", certificate)
        files = {"key": str(lab / "key.pem"), "certificate": str(lab / "certificate.der"), "server": str(plant.own)}
        url = json.loads((lab / "plant" / "endpoints.json").read_text())["endpoints"]["platform"]["url"]
        password = (lab / "plant" / "pki" / "password").read_text().strip()
        yield {**asked, **files, "url": url, "uri": URI, "password": password, "truth": str(lab / "plant" / "ground-truth.jsonl")}
    finally:
        shutdown_plant(lab)


def talk(stack: str, link: dict[str, Any], **changes: str) -> subprocess.CompletedProcess[str]:
    words = [str(need(BIN / "python")), "lads_client.py", stack]
    line = json.dumps({**link, "vials": VIALS[stack], **changes})
    folder = Path(__file__).parent / "stacks"
    return subprocess.run(words, cwd=folder, input=line, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.fixture(scope="module", params=sorted(VIALS))
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def said(stack: str, link: dict[str, Any]) -> dict[str, Any]:
    done = talk(stack, link)
    assert done.returncode == 0, done.stderr
    return last_object(done.stdout)


def test_it_finds_the_device_and_starts_a_program_with_arguments_by_name(said: dict[str, Any], stack: str, link: dict[str, Any]) -> None:
    assert (said["model"], said["templates"]) == ("SynthesisPlatform", ["Characterise", "Rinse"])
    assert (said["start"][0], said["second"]) == ("Good", "BadInvalidState")
    truth = [json.loads(line) for line in Path(link["truth"]).read_text().splitlines()]
    started = [line["run_key"] for line in truth if line["event"] == "start"]
    assert [key for key in started if key.startswith(stack)] == [f"{stack} 1", f"{stack} 3"]
    place = "SynthesisPlatform/FunctionalUnitSet/Analyser/ProgramManager/ProgramTemplateSet/Characterise"
    assert said["active"] == {"Name": "Characterise", "NodeId": place}


def test_its_subscription_sees_every_state_of_the_published_machine(said: dict[str, Any]) -> None:
    order = [STOPPED, RUNNING, STOPPING, STOPPED, RUNNING, ABORTING, ABORTED, CLEARING, STOPPED]
    assert said["states"] == [str(state) for state in order]
    assert said["ended"] == ["Good", "Good", "Good"]


def test_it_decodes_the_structures_of_a_result(said: dict[str, Any], stack: str) -> None:
    result = said["result"]
    assert (result["task"], result["template"], result["application"], result["user"]) == (f"{stack} 1", "Characterise", URI, "ada")
    assert result["properties"] == [{"Key": "integration_time", "Value": "0.1"}]
    assert result["samples"] == [{"ContainerId": "rack", "SampleId": "s", "Position": VIALS[stack][0], "CustomData": ""}]
    assert (result["points"], result["unit"]) == (351, ["nm", NANOMETRE])


def test_it_lets_the_lamp_burn(said: dict[str, Any]) -> None:
    assert said["lamp"] == ["Good", "Good", True, "Good", False]


def test_a_guessed_password_is_refused(stack: str, link: dict[str, Any]) -> None:
    done = talk(stack, link, password="guessed")
    assert done.returncode != 0
    assert "BadUserAccessDenied" in done.stderr or str(0x801F0000) in done.stderr  # o6 tells the number alone [OPC 10000-6, A.2]
