"""The client keeps the Bench port's promises over a real unix socket."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruments.bench_client import client as client_module
from instruments.bench_client.client import HostClient
from instruments.lab_processes.state_files import HOST, LATCHED, write_state_file
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import RunRequest, Step
from orchestrator.errors import HostError, NeedsPerson
from orchestrator.ports import Bench
from tests.process.conftest import eventually
from tests.process.fake_host import RAW, FakeHost

pytestmark = pytest.mark.slow

STEP = Step(index=0, do="pump_cd.set_flow", kind=StepKind.STATE_SETTING, arguments={"flow": 0.5}, units={"flow": "mL/min"})


def request(key: str) -> RunRequest:
    return RunRequest(key, "id-1", 1, "demo", 3, "ab" * 32, (STEP,), "A1")


@pytest.fixture
def host(tmp_path: Path, lab: Path) -> Iterator[FakeHost]:
    host = FakeHost(tmp_path / "s", lab)
    host.start()
    yield host
    host.stop()


@pytest.fixture
def client(host: FakeHost) -> Iterator[HostClient]:
    with HostClient(host.socket_path, 3, campaign="demo", restart_within=1.0, beats=False) as client:
        yield client


def test_a_run_is_handed_over_whole_and_its_report_comes_back(host: FakeHost, client: HostClient) -> None:
    bench: Bench = client
    report = bench.submit(request("k1"))
    assert (report.run_key, report.status) == ("k1", RunStatus.DISPATCHED)
    method, path, body = host.asked[0]
    assert (method, path) == ("PUT", "/runs/k1")
    assert (body["fence"], body["campaign"], body["position"], body["attempt"]) == (3, "demo", "A1", 1)
    assert [Step.model_validate(step) for step in body["steps"]] == [STEP]


def test_a_report_carries_steps_times_and_evidence(host: FakeHost, client: HostClient) -> None:
    step = {"index": 0, "do": "pump_cd.set_flow", "status": "done", "sent": {"flow": 0.5}, "started_lab": 1.0, "ended_lab": 2.5}
    host.runs["k1"] = {"run_key": "k1", "revision": 7, "status": "completed", "steps": [step], "evidence": {"boot": "x"}}
    report = client.report("k1", after=3, wait=0.1)
    assert report is not None
    assert (report.revision, report.status, report.evidence) == (7, RunStatus.COMPLETED, {"boot": "x"})
    assert (report.steps[0].sent, report.steps[0].ended_lab) == ({"flow": 0.5}, 2.5)
    assert ("GET", "/runs/k1?after=3&wait=0.1", "3") in host.asked


def test_a_run_that_never_arrived_has_no_report(client: HostClient) -> None:
    assert client.report("k9") is None


def test_readings_come_with_their_raw_bytes(client: HostClient) -> None:
    flow, spectrum = client.readings("k1")
    assert (flow.name, flow.value, flow.lab, flow.raw) == ("pump_cd.flow", 0.123, 12.5, RAW)
    assert flow.wall.utcoffset() is not None
    assert (spectrum.array, spectrum.value, spectrum.unit) == ((1.0, 2.5), None, "counts")


def test_raw_bytes_that_changed_on_the_way_are_refused(host: FakeHost, client: HostClient) -> None:
    host.readings[0] = {**host.readings[0], "sha256": "00" * 32}
    with pytest.raises(HostError, match=r"reading 1 of pump_cd.flow: its 10 raw bytes do not have the hash 0000"):
        client.readings("k1")


@pytest.mark.parametrize(
    ("key", "error", "line"),
    [("old-fence", HostError, "fence 1 is older"), ("latched", NeedsPerson, "resume it"), ("silent", HostError, "no supervisor")],
)
def test_a_refusal_keeps_the_hosts_own_line(client: HostClient, key: str, error: type[Exception], line: str) -> None:
    with pytest.raises(error, match=line):
        client.submit(request(key))


def test_the_rest_of_the_port_reaches_the_host(host: FakeHost, client: HostClient) -> None:
    host.runs["k1"] = {"run_key": "k1", "revision": 0, "status": "unknown", "steps": [], "evidence": {}}
    client.stored("k1")
    client.abort("k1", reason="enough")
    report = client.resolve("k1", verdict="discard", reason="looked", by="Ada")
    client.stop(reason="smoke")
    assert report.status is RunStatus.FAILED
    assert [(path, body) for _, path, body in host.asked] == [
        ("/runs/k1/stored", {}),
        ("/runs/k1/abort", {"reason": "enough"}),
        ("/runs/k1/resolve", {"verdict": "discard", "reason": "looked", "by": "Ada"}),
        ("/stop", {"reason": "smoke", "by": "demo"}),
    ]


def test_a_host_that_is_being_started_again_is_waited_for(tmp_path: Path, lab: Path) -> None:
    hosts: list[FakeHost] = []

    def start() -> None:
        hosts.append(FakeHost(tmp_path / "s", lab))
        hosts[0].start()

    late = threading.Timer(0.5, start)
    late.start()
    with HostClient(tmp_path / "s", restart_within=20.0) as client:
        assert client.submit(request("k1")).run_key == "k1"
    late.join()
    hosts[0].stop()


def test_a_host_that_stays_away_is_an_error_that_names_its_socket(tmp_path: Path) -> None:
    with HostClient(tmp_path / "nobody", restart_within=0.0) as client, pytest.raises(HostError, match="nobody cannot be reached"):
        client.report("k1")


def test_nobody_waits_for_the_host_of_a_latched_bench(lab: Path, tmp_path: Path) -> None:
    write_state_file(lab / HOST, {"socket": str(tmp_path / "nobody"), "restart_within": 600.0})
    write_state_file(lab / LATCHED, {"reason": "host died twice", "by": "supervisor"})
    with HostClient.of_lab(lab) as client, pytest.raises(NeedsPerson, match=r"latched .host died twice"):
        client.report("k1")


def test_a_silent_host_is_waited_for_until_it_was_replaced_by_the_latch(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor whose bench file allows a minute replaces a suspended host later than one answer may take."""
    monkeypatch.setattr(client_module, "_ANSWER_SECONDS", 0.2)
    write_state_file(lab / HOST, {"socket": str(tmp_path / "s"), "restart_within": 600.0})
    late = threading.Timer(0.5, write_state_file, (lab / LATCHED, {"reason": "gave no answer for 30 s", "by": "supervisor"}))
    with socket.socket(socket.AF_UNIX) as suspended, HostClient.of_lab(lab) as client:
        suspended.bind(str(tmp_path / "s"))
        suspended.listen()
        late.start()
        with pytest.raises(NeedsPerson, match=r"latched .gave no answer for 30 s"):
            client.report("k1")
    late.join()


def test_a_host_that_stays_silent_is_an_error_that_names_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_ANSWER_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as suspended, HostClient(tmp_path / "s", restart_within=0.0) as client:
        suspended.bind(str(tmp_path / "s"))
        suspended.listen()
        with pytest.raises(HostError, match=r"no answer to GET /runs/k1\?after=-1&wait=0 within 0.1 s"):
            client.report("k1")


def test_a_lab_without_a_host_is_told_in_one_line(lab: Path) -> None:
    with pytest.raises(HostError, match="has no bench host"):
        HostClient.of_lab(lab)


def test_the_heartbeat_goes_on_while_the_campaign_computes(host: FakeHost) -> None:
    with HostClient(host.socket_path, 3, campaign="demo") as client:
        client.submit(request("k1"))
        eventually(lambda: len(host.polled) >= 2)
        submitted = time.monotonic()
        eventually(lambda: host.polled[-1] > submitted)
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_client_of_a_person_has_no_heartbeat(host: FakeHost) -> None:
    with HostClient(host.socket_path) as client:
        client.submit(request("k1"))
        assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
