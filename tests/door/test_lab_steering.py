"""A dry run is started, reviewed, paused and read from Python: the same process and the same ledger as by command."""

import os
import shutil
import signal
from pathlib import Path

import pytest

import athanor
from tests.crash.campaigns import make_quick

EXAMPLE = Path(__file__).parents[2] / "examples" / "cdse"
TIMEOUT = 200.0

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> athanor.StartedCampaign:
    """Three experiments, of which a person changes the first and suggests the last."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("bench.toml", "plant.toml"):
        shutil.copyfile(EXAMPLE / name, folder / name)
    shutil.copyfile(EXAMPLE / "campaign.toml", folder / "campaign.toml")
    (folder / "random.py").write_text("raise SystemExit('a module of the user, not of Python')")
    make_quick(folder / "campaign.toml")
    text = (folder / "campaign.toml").read_text().replace("budget = 24", "budget = 3")
    (folder / "campaign.toml").write_text(text.replace('mode = "never"', 'mode = "rules"\nfirst = 1'))
    campaign = athanor.start(folder / "campaign.toml", rate=100, view=False)
    try:
        (request,) = campaign.wait_for_requests(TIMEOUT)
        campaign.pause(by="Ada", reason="a word first")
        assert campaign.status == "paused"
        campaign.resume(by="Ada", reason="said")
        campaign.constrain({"tau": "20..40 s"}, by="Ada", reason="the analysis is slow")
        judged = campaign.edit(request.asked[0].number, {"T": "238.5 degC", "tau": 30}, by="Ada", comment="rather here")
        assert (judged.answer.status, judged.answer.reason) == ("received", None)
        campaign.wait(TIMEOUT)
    finally:
        if campaign.is_running:
            campaign.abort(by="test", reason="it did not end")
            campaign.wait(TIMEOUT)
    return campaign


def test_it_ends_as_by_command(carried: athanor.StartedCampaign) -> None:
    assert carried.status == "finished"
    assert "finished: budget" in carried.log.read_text()
    assert not carried.verify().complaints
    assert carried.report().read_text().startswith("<!")


def test_what_a_person_changed_is_what_was_carried_out(carried: athanor.StartedCampaign) -> None:
    wide = carried.experiments.set_index("experiment")
    first = wide.loc[1]
    assert (first["approved.T [degC]"], first["approved.tau [s]"], first["author"]) == (238.5, 30.0, "Ada")
    assert (first["decided_by"], first["comment"], first["reviewers"]) == ("person Ada", "rather here", "Ada")
    assert first["commanded.oven.set_temperature.temperature [degC]"] == 238.5
    assert wide.attrs["units"]["measured.c_se [mol/L]"] == "mol/L"
    assert wide["proposed.tau [s]"][2:].between(20, 40).all()
    assert (wide["started"] < wide["ended"]).all()


def test_each_experiment_has_its_spectrum(carried: athanor.StartedCampaign) -> None:
    done = carried.experiments.query("state == 'completed'")["experiment"]
    assert len(done)
    for number in done:
        found = carried.spectra(int(number))
        assert found.loc[found["channel"] == "Sample", "axis"].is_monotonic_increasing


def test_a_campaign_that_has_ended_takes_no_suggestion(carried: athanor.StartedCampaign) -> None:
    with pytest.raises(athanor.BadInput, match="has ended"):
        carried.suggest({"T": 240.0, "tau": 90.0, "c_se": 0.01, "ratio": 2.0}, by="Ada")


def test_a_data_folder_is_named_from_where_the_caller_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "barrel").mkdir()
    shutil.copyfile(EXAMPLE.parent / "recorded" / "crossed_barrel" / "campaign.toml", tmp_path / "barrel" / "campaign.toml")
    monkeypatch.chdir(tmp_path)
    campaign = athanor.start("barrel/campaign.toml", dry=False, data="tables", view=False)
    with pytest.raises(athanor.BadInput, match=str(tmp_path / "tables")):
        campaign.wait(TIMEOUT)


def test_what_an_earlier_process_said_is_not_why_this_one_ended(tmp_path: Path) -> None:
    shutil.copyfile(EXAMPLE / "campaign.toml", tmp_path / "campaign.toml")
    first = athanor.start(tmp_path / "campaign.toml", view=False)
    with pytest.raises(athanor.BadInput, match=r"bench\.toml"):
        first.wait(TIMEOUT)
    second = athanor.start(tmp_path / "campaign.toml", view=False)
    os.kill(second.pid, signal.SIGKILL)
    with pytest.raises(athanor.AthanorError, match="its process ended with code -9; log: "):
        second.wait(TIMEOUT)


def test_what_cannot_start_says_why_when_it_is_waited_for(carried: athanor.StartedCampaign) -> None:
    again = athanor.start(carried.log.parent / "campaign.toml", dry=False, lab=carried.lab.path, view=False)
    with pytest.raises(athanor.BadInput, match="is dry; this command needs a live one"):
        again.wait(TIMEOUT)
