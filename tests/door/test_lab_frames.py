"""Labs from Python: frames of the golden labs are the exported tables, and reading writes nothing."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import athanor
from tests.golden.frozen import LABS, thaw, typed


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, athanor.LabHandle]:
    """The golden labs on disk again, by name, the first of several; later ones by day and name."""
    folder = tmp_path_factory.mktemp("golden")
    found: dict[str, athanor.LabHandle] = {}
    for one in LABS:
        day = one.parent.name
        found[f"{day}-{one.name}" if one.name in found else one.name] = athanor.open_lab(thaw(one, folder / day / one.name))
    return found


def test_every_golden_campaign_opens_as_frames(labs: dict[str, athanor.LabHandle]) -> None:
    for lab in labs.values():
        assert not lab.verify().complaints
        for name in lab.campaigns:
            campaign = lab.campaign(name)
            runs, wide = campaign.runs, campaign.experiments
            assert set(wide["run_key"]) <= set(runs["run_key"])
            assert campaign.status in ("draft", "running", "paused", "finished", "aborted")


def test_frames_are_the_tables_that_are_exported(labs: dict[str, athanor.LabHandle], tmp_path: Path) -> None:
    campaign = labs["wired"].campaign()
    typed("export", "--lab", str(labs["wired"].path), "--out", str(tmp_path), "--parquet", "--spectra")
    frames = {name: campaign.table(name) for name in ("experiments", "runs", "proposals", "measurements", "decisions", "events")}
    frames["spectra"] = campaign.spectra()
    for name, frame in frames.items():
        stored = pd.read_parquet(tmp_path / f"{name}.parquet")
        plain = dict.fromkeys((head for head, dtype in frame.dtypes.items() if dtype == "category"), "str")
        pd.testing.assert_frame_equal(frame.astype(plain), stored.astype(plain), check_exact=True)
        assert stored.attrs["units"] == frame.attrs["units"]
        read = pd.read_csv(tmp_path / f"{name}.csv")
        assert list(read) == list(frame)
        for head in frame.select_dtypes("float64"):
            assert [repr(one) for one in read[head].astype("float64")] == [repr(one) for one in frame[head]]
        for head in frame.select_dtypes("datetimetz"):
            assert pd.to_datetime(read[head], utc=True).tolist() == frame[head].tolist()


def test_a_runs_moments_lie_where_its_events_do(labs: dict[str, athanor.LabHandle]) -> None:
    for name in ("wired", "killed"):
        runs = labs[name].campaign().runs.dropna(subset=["started", "ended"])
        assert len(runs)
        assert (runs["queued"] <= runs["started"]).all()
        assert (runs["started"] < runs["ended"]).all()
        rate = labs[name].campaign().record.snapshot["rate"]
        seconds = (runs["ended"] - runs["started"]).dt.total_seconds()
        assert (rate * seconds).tolist() == pytest.approx((runs["ended_lab [s]"] - runs["started_lab [s]"]).tolist(), rel=0.05)


def test_refused_answers_signatures_and_edits_are_in_the_tables(labs: dict[str, athanor.LabHandle]) -> None:
    asked = labs["desk"].campaign("asked")
    answers, signatures, proposals = asked.table("answers"), asked.table("signatures"), asked.proposals
    assert answers.loc[answers["status"] == "refused", "refused_because"].notna().all()
    assert set(signatures["content_hash"]) <= set(proposals["content_hash"])
    assert {"Ada", "Dee"} <= set(signatures["person"])
    old = proposals[proposals["superseded"].astype(bool)]
    assert len(old)
    assert asked.table("restrictions")["restriction"].str.contains("degC").any()


def test_a_correction_stands_beside_what_it_corrects(labs: dict[str, athanor.LabHandle]) -> None:
    measured = labs["desk"].campaign("plain").measurements
    assert {True, False} == set(measured["superseded"])
    assert (measured.loc[measured["revision"] > 1, "recorded"] > measured["recorded"].min()).all()


def test_a_lab_that_may_only_be_read_is_left_as_it_was(labs: dict[str, athanor.LabHandle]) -> None:
    folder = labs["prior"].path
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    folder.chmod(0o555)
    try:
        trust = labs["prior"].campaign().table("adaptations")
    finally:
        folder.chmod(0o755)
    assert trust["n"].tolist() == [1, 2, 3, 4, 5]
    assert trust["trust"].between(0, 1).all()
    assert {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if not path.name.endswith(("-shm", "-wal"))
    }.items() <= before.items()


def test_what_is_not_there_is_said_in_one_line(labs: dict[str, athanor.LabHandle], tmp_path: Path) -> None:
    campaign = labs["wired"].campaign()
    with pytest.raises(athanor.BadInput, match="no lab in"):
        athanor.open_lab(tmp_path)
    with pytest.raises(athanor.BadInput, match="has no campaign 'x'; it has cdse-600"):
        labs["wired"].campaign("x")
    with pytest.raises(athanor.BadInput, match="there is no table 'x'"):
        campaign.table("x")
    with pytest.raises(athanor.BadInput, match="no run or experiment 9; it has experiments 1 to 5"):
        campaign.spectra(9)
    with pytest.raises(athanor.BadInput, match="rate does not belong to a live run"):
        athanor.start(labs["prior"].path / "campaign.toml", dry=False, rate=300)
    with pytest.raises(athanor.BadInput, match="T = None: expected a number, or a text with a unit"):
        campaign.constrain({"T": None}, by="Ada")  # type: ignore[dict-item]
    (tmp_path / "lab.json").write_text('{"kind": ["dry"]}')
    with pytest.raises(athanor.BadInput, match=r"kind = \['dry'\]; expected live or dry"):
        athanor.open_lab(tmp_path)


def test_looking_into_a_lab_loads_no_model_no_prefect_and_no_instrument_library() -> None:
    text = "import sys, athanor; athanor.open_lab; print(sorted({'torch', 'prefect', 'asyncua'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
