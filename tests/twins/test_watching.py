"""What a watch for drifts says where it cannot look."""

from pathlib import Path

import pytest

from flows.plans.lab import Lab
from flows.studies.twins.watching import drift_watch
from tests.twins.films import history_of_films, plan_of
from tests.twins.test_bench import FILM

DRIFT = "\n[twin.drift]\nlearn = 8\n"


def test_a_twin_that_fails_ends_no_campaign_and_is_said_to_watch_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_of(tmp_path, DRIFT, FILM.replace("    order =", '    raise OSError("no licence")\n    order ='))
    watch = drift_watch(plan, Lab(tmp_path, "live"))
    assert watch is not None
    assert watch.alarm(history_of_films(plan, [{}], [()])) is None
    assert not caplog.messages, "nothing was measured, and nothing is asked"
    assert watch.alarm(history_of_films(plan, [{"conductivity": 300.0}], [()])) is None
    (said,) = caplog.messages
    assert said.startswith("campaign films: no drift is watched for: twin film/1 failed")
    assert said.endswith("OSError: no licence")
