"""Deaths at every stage of a call, judged by what the function itself has noted: nothing lost, nothing twice, nothing guessed."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from instruments.drivers.calls.device import CalledDevice
from instruments.drivers.calls.kept import KeptCall, holder_of, is_held
from instruments.drivers.protocol import Driver, Progress, StepVerdict
from instruments.lab_processes.process_identity import Process
from instruments.supervisor import safe_state_without_host
from orchestrator.errors import DeviceError, LinkError
from tests.calling import BENCH, FILM, awaited, bench_of, call, ended, in_hand, oracle, settled

pytestmark = pytest.mark.slow
REPEATABLE = "repeatable = true"
COMMAND = BENCH.replace('"python"', '"command"').replace(
    'function = "film:cast"', 'command = ["./analyse.sh", "{{temperature}}", "{{solvent}}"]'
)


def _child(driver: Driver) -> Process:
    assert isinstance(driver, CalledDevice)
    assert driver._child is not None
    return driver._child.process


def _kept(folder: Path, key: str = "r1") -> KeptCall:
    return KeptCall.of(folder / "lab" / "calls", call(key))


def _begin(driver: Driver, folder: Path) -> None:
    """Let a call begin and hold it there."""
    (folder / "hold").touch()
    driver.perform(call())
    awaited(folder / "oracle.log", "begin 60")


@pytest.mark.parametrize("keys", ["", REPEATABLE])
def test_a_child_that_dies_before_it_begins_has_not_executed(tmp_path: Path, keys: str) -> None:
    slow = "import time\ntime.sleep(0.4)\n" + FILM
    with in_hand(bench_of(tmp_path, keys=keys, film=slow)) as driver:
        driver.perform(call())  # it is still importing
        _child(driver).kill()
        finding = driver.reconcile(call(), {})
        assert finding.verdict is StepVerdict.MAY_REPEAT
        assert finding.evidence["begun"] is False
        with pytest.raises(LinkError, match="its process ended without a word of cast"):
            driver.outcome(call(), {})
        driver.perform(call())
        assert ended(driver, call()).progress is Progress.FINISHED
    assert oracle(tmp_path) == {"begin 60": 1, "done 60": 1}


def test_a_child_that_dies_in_a_call_is_undecidable_and_never_runs_again(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    with in_hand(bench) as driver:
        _begin(driver, tmp_path)
        _child(driver).kill()
        assert driver.reconcile(call(), {}).verdict is StepVerdict.UNDECIDABLE
        with pytest.raises(LinkError):
            driver.outcome(call(), {})
        (tmp_path / "hold").unlink()
        driver.perform(call())  # whoever asks again, on a guess
        with pytest.raises(DeviceError, match="begun before, and is not repeatable"):
            ended(driver, call())
    with in_hand(bench) as driver:
        assert driver.reconcile(call(), {}).verdict is StepVerdict.UNDECIDABLE
    assert oracle(tmp_path) == {"begin 60": 1}


def test_a_repeatable_call_may_run_again_after_its_childs_death(tmp_path: Path) -> None:
    with in_hand(bench_of(tmp_path, keys=REPEATABLE)) as driver:
        _begin(driver, tmp_path)
        _child(driver).kill()
        assert driver.reconcile(call(), {}).verdict is StepVerdict.MAY_REPEAT
        (tmp_path / "hold").unlink()
        driver.perform(call())
        assert ended(driver, call()).readings[0].value == 120.0
    assert oracle(tmp_path) == {"begin 60": 2, "done 60": 1}


@pytest.mark.parametrize("keys", ["", REPEATABLE])
def test_a_result_on_the_disk_is_adopted_whoever_has_died_since(tmp_path: Path, keys: str) -> None:
    bench = bench_of(tmp_path, keys=keys)
    with in_hand(bench) as driver:
        driver.perform(call())
        awaited(_kept(tmp_path).result, "returns")
        _child(driver).kill()
        assert driver.reconcile(call(), {}).verdict is StepVerdict.FINISHED
        driver.perform(call())  # asked again, it gives what it gave
        assert ended(driver, call()).readings[0].value == 120.0
    with in_hand(bench) as driver:
        finding = driver.reconcile(call(), {})
        assert finding.outcome is not None
        assert finding.outcome.readings[0].value == 120.0
    assert oracle(tmp_path) == {"begin 60": 1, "done 60": 1}


@pytest.mark.parametrize("keys", ["", REPEATABLE])
def test_a_call_outlives_its_host_and_the_next_one_attaches(tmp_path: Path, keys: str) -> None:
    bench = bench_of(tmp_path, keys=keys)
    with in_hand(bench) as driver:
        _begin(driver, tmp_path)
        orphan = _child(driver)
    with in_hand(bench) as driver:  # the next life of the host
        assert orphan.alive
        assert driver.identify().firmware is None  # no second one is started beside it
        assert driver.reconcile(call(), {}).verdict is StepVerdict.RUNNING
        with pytest.raises(LinkError, match="a process of it from before has not left yet"):
            driver.perform(call("r2"))
        (tmp_path / "hold").unlink()
        assert ended(driver, call()).readings[0].value == 120.0
        assert orphan.wait(5.0)
        driver.perform(call("r2", temperature=30.0))
        assert ended(driver, call("r2")).readings[0].value == 60.0
    assert oracle(tmp_path) == {"begin 60": 1, "done 60": 1, "begin 30": 1, "done 30": 1}


def test_a_request_that_an_orphan_has_not_read_yet_is_not_called_not_executed(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    with in_hand(bench) as driver:
        driver.identify()
        orphan = _child(driver)
        orphan.signal(signal.SIGSTOP)
        driver.perform(call())
        assert isinstance(driver, CalledDevice)
        assert driver._child is not None
        driver._child._line.close()  # the host is gone; its process would end here
        driver._child = None
    with in_hand(bench) as driver:
        assert driver.reconcile(call(), {}).verdict is StepVerdict.RUNNING
        orphan.signal(signal.SIGCONT)
        assert settled(driver, call()).verdict is StepVerdict.FINISHED
    assert oracle(tmp_path) == {"begin 60": 1, "done 60": 1}


@pytest.mark.parametrize("keys", ["", REPEATABLE])
def test_deaths_at_any_moment_lose_nothing_and_repeat_nothing_on_a_guess(tmp_path: Path, keys: str) -> None:
    film = FILM.replace('note("done"', 'time.sleep(0.004)\n    note("done"')
    bench = bench_of(tmp_path, keys=keys, film=film)
    wanted, undecidable = set(), set()
    with in_hand(bench) as driver:
        for number in range(12):
            asked = call(f"r{number}", temperature=20.0 + number)
            for attempt in range(20):
                driver.perform(asked)
                if attempt < 2:
                    _kill_after(driver, 0.03 + 0.001 * number if number % 2 else 0.0005 * number)
                finding = settled(driver, asked)
                if finding.verdict is not StepVerdict.MAY_REPEAT:
                    break
            if finding.verdict is StepVerdict.UNDECIDABLE:
                undecidable.add(number)
            else:
                assert finding.verdict is StepVerdict.FINISHED
                wanted.add(number)
    seen = oracle(tmp_path)
    for number in wanted:
        begun, done = seen[f"begin {20 + number}"], seen[f"done {20 + number}"]
        assert done >= 1
        assert begun == 1 or keys, f"run {number} was begun {begun} times"
    for number in undecidable:
        assert seen.get(f"begin {20 + number}", 0) <= 1
    assert not undecidable or not keys


def _kill_after(driver: Driver, seconds: float) -> None:
    time.sleep(seconds)
    _child(driver).kill()


def test_a_command_that_outlives_its_childs_death_is_still_in_hand(tmp_path: Path) -> None:
    script = tmp_path / "analyse.sh"
    script.write_text(
        '#!/bin/sh\necho begin >> "$(dirname "$0")/oracle.log"\nwhile [ -e hold ]; do sleep 0.02; done\necho \'{"thickness": 1}\'\n'
    )
    script.chmod(0o755)
    text = (
        bench_of(tmp_path)
        .text.replace('"python"', '"command"')
        .replace('function = "film:cast"', 'command = ["./analyse.sh", "{temperature}", "{solvent}"]')
    )
    bench = bench_of(tmp_path, text=text.replace("{", "{{").replace("}", "}}"))
    (tmp_path / "hold").touch()
    with in_hand(bench) as driver:
        driver.perform(call())
        awaited(tmp_path / "oracle.log", "begin")
        _child(driver).kill()
        assert driver.reconcile(call(), {}).verdict is StepVerdict.RUNNING
        (tmp_path / "hold").unlink()
        assert settled(driver, call()).verdict is StepVerdict.UNDECIDABLE  # what it said went with its child
    assert oracle(tmp_path) == {"begin": 1}


def test_what_a_function_forks_does_not_hold_its_locks(tmp_path: Path) -> None:
    film = (
        "import os, time\ndef cast(temperature, solvent):\n    pid = os.fork()\n    if pid == 0:\n        time.sleep(5)\n"
        "        os._exit(0)\n    open('forked.pid', 'w').write(str(pid))\n    return 1.0\n"
    )
    with in_hand(bench_of(tmp_path, film=film)) as driver:
        driver.perform(call())
        assert ended(driver, call()).progress is Progress.FINISHED
        _child(driver).kill()
        held = [one.name for one in (tmp_path / "lab" / "calls").glob("*.lock") if is_held(one)]
    os.kill(int((tmp_path / "forked.pid").read_text()), signal.SIGKILL)
    assert not held


def test_a_lock_tells_who_executes(tmp_path: Path) -> None:
    with in_hand(bench_of(tmp_path)) as driver:
        _begin(driver, tmp_path)
        assert holder_of(_kept(tmp_path).lock) is not None
        assert getattr(holder_of(_kept(tmp_path).lock), "pid", None) == _child(driver).pid
        (tmp_path / "hold").unlink()
        ended(driver, call())


def test_stop_ends_a_call_whose_host_is_dead_and_needs_no_declared_safe_action(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = bench_of(tmp_path)
    with in_hand(bench) as driver:
        _begin(driver, tmp_path)
        orphan = _child(driver)
    assert orphan.alive
    assert safe_state_without_host.main(["--lab", str(tmp_path / "lab"), "--bench", str(bench.path)]) == 0
    assert json.loads(capsys.readouterr().out)["actions"] == [{"instrument": "film", "action": "end", "done": True, "reason": None}]
    assert not orphan.alive
    with in_hand(bench) as driver:
        assert ended(driver, call()).reason == "it was stopped"
    assert oracle(tmp_path) == {"begin 60": 1}
