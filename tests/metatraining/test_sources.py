"""Sources in their own names and units become tasks of one space, or are refused in one line."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flows.plans.lab import make_lab
from flows.studies.family import SimulatedFamily
from flows.studies.metatraining.card import card_markdown, summary
from flows.studies.metatraining.matching import match
from flows.studies.metatraining.spec import load_meta_file
from flows.studies.metatraining.tasks import read_tasks
from flows.studies.metatraining.training import Workshop, train
from flows.studies.metatraining.trust import Case, assess
from models.inputs.elements import element_properties, element_symbol
from models.meta_learning.audit import mark, overlaps, refuse_if_seen
from models.meta_learning.checkpoint import PriorFile, save_prior
from models.tasks import Scale
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.events import EventKind
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Observation
from orchestrator.store.sql import SqlStore
from tests.metatraining.learner import BellLearner, restore
from tests.metatraining.test_checkpoint import some_task
from tests.store import cases

HEAD = """
[prior]
name = "p"
[[parameters]]
name = "T"
kind = "continuous"
unit = "degC"
min = 0
max = 400
{more}
[[targets]]
name = "y"
unit = "mL"
goal = "maximise"
[train]
learners = ["bell"]
[[sources]]
{source}
"""
SOLVENT = '[[parameters]]\nname = "s"\nkind = "categorical"\ncategories = ["a", "b"]\n'
METALS = '[[parameters]]\nname = "m"\nkind = "composition"\ncomponents = ["Ni", "Fe"]\n'
CAMPAIGN = """
[campaign]
name = "{name}"
bench = "bench.toml"
budget = 3
[[parameters]]
name = "T"
kind = "continuous"
unit = "kelvin"
min = 273.15
max = 673.15
{more}
[[targets]]
name = "wavelength"
unit = "nm"
goal = "maximise"
"""


def made(
    folder: Path, source: str, tables: Mapping[str, str], *, more: str = "", families: Mapping[str, SimulatedFamily] | None = None
) -> PriorFile:
    for name, text in tables.items():
        (folder / name).write_text(text)
    (folder / "meta.toml").write_text(HEAD.format(more=more, source=source))
    return train(load_meta_file(folder / "meta.toml"), Workshop({"bell": BellLearner}, restore, families or {}, card=False))


def refused(folder: Path, source: str, tables: Mapping[str, str], message: str, *, more: str = "") -> None:
    with pytest.raises(BadInput, match=message) as caught:
        made(folder, source, tables, more=more)
    assert "\n" not in str(caught.value)


def rows(prior: PriorFile, task: str = "t") -> tuple[list[list[float]], list[float]]:
    found = next(one for one in prior.tasks["y"] if one.name == task)
    return found.X.tolist(), found.Y.tolist()


def test_names_and_units_of_a_table_become_the_spaces_own(tmp_path: Path) -> None:
    source = 'files = ["t.csv"]\nrename = { T = "temp", y = "out" }\nunits = { temp = "kelvin", out = "L" }'
    X, Y = rows(made(tmp_path, source, {"t.csv": "temp,out\n273.15,0.001\n373.15,0.002\n"}))
    assert [[pytest.approx(0.0)], [pytest.approx(0.25)]] == X
    assert [pytest.approx(1.0), pytest.approx(2.0)] == Y


def test_a_source_whose_target_is_constant_is_named_on_the_card(tmp_path: Path) -> None:
    tables = {"t.csv": "T,y\n0,1e-12\n100,3e-12\n", "u.csv": "T,y\n0,5e-12\n100,5e-12\n"}
    prior = made(tmp_path, 'files = ["t.csv", "u.csv"]', tables)
    assert summary(prior)["targets"]["y"]["spread"] == pytest.approx(1.66e-12, rel=0.01)
    (note,) = summary(prior)["notes"]
    assert "task u: y is constant: 2 values of 5e-12 mL" in note
    assert f"- Note: {note}" in card_markdown(prior)


def test_a_parameter_that_a_source_does_not_have_needs_a_constant(tmp_path: Path) -> None:
    table = {"t.csv": "y\n1\n2\n"}
    refused(tmp_path, 'files = ["t.csv"]', table, "source files t.csv, task t: it has no 'T'; .*give T a value in constants")
    X, _ = rows(made(tmp_path, 'files = ["t.csv"]\nconstants = { T = "473.15 kelvin" }', table))
    assert [[pytest.approx(0.5)]] * 2 == X


def test_a_category_that_nobody_has_seen_needs_descriptors(tmp_path: Path) -> None:
    source, table = 'files = ["t.csv"]', {"t.csv": "T,s,y\n0,a,1\n100,c,2\n"}
    refused(tmp_path, source, table, "task t: s = 'c' is no category of the space; give s a file of descriptors", more=SOLVENT)
    refused(tmp_path, source, {"t.csv": "T,s,y\n0,a,1\n9,a,2\n"}, "parameter s: no source has category 'b'", more=SOLVENT)
    described = SOLVENT + '[descriptors]\ns = "d.csv"\n'
    prior = made(tmp_path, source, {**table, "d.csv": "name,eps\na,1\nb,2\nc,5\n"}, more=described)
    assert prior.encoding.width == 4
    assert prior.family("y").features(prior.tasks["y"][0].X).tolist() == [[0.0, 0.0], [0.25, 1.0]]
    refused(tmp_path, source, {"d.csv": "name,eps\na,1\nb,2\n"}, "parameter s: no descriptors of 'c'", more=described)
    refused(tmp_path, source, {"d.csv": "name,eps\na,1\na,2\n"}, "line 3, column 'name': 'a' is described twice", more=described)
    refused(tmp_path, source, {"d.csv": 'name,eps\na,"1,5"\n'}, "line 2, column 'eps': '1,5' is not a number: a comma", more=described)


def test_a_category_that_a_past_campaign_might_have_tried_needs_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("T,s,y\n0,a,1\n9,a,2\n")
    (tmp_path / "meta.toml").write_text(HEAD.format(more=SOLVENT, source='files = ["t.csv"]'))
    file = load_meta_file(tmp_path / "meta.toml")
    (task,) = read_tasks(file, {})
    with pytest.raises(BadInput, match="no source has category 'b'"):
        match(file, [task])
    matched = match(file, [replace(task, categories={"s": ("a", "b", "never tried")})])
    assert matched.space.parameters[1].kind == "categorical"
    assert matched.space.parameters[1].categories == ("a", "b")


def test_compositions_are_united_and_described_by_their_elements(tmp_path: Path) -> None:
    source = 'files = ["t.csv", "u.csv"]\ncolumns = { m = "*_load" }'
    tables = {"t.csv": "T,ni_load,fe_load,y\n0,0.4,0.6,1\n9,1,0,2\n", "u.csv": "T,ni_load,cu_load,y\n0,0.4,0.6,1\n9,0,1,3\n"}
    prior = made(tmp_path, source, tables, more=METALS)
    assert prior.space.columns == ("T", "m.Ni", "m.Fe", "m.Cu")
    assert rows(prior, "u")[0][0] == [0.0, 0.4, 0.0, 0.6]
    assert prior.descriptors["m"]["Cu"] == element_properties(["Cu"])["Cu"]
    percent = {"t.csv": "T,ni_load,fe_load,y\n0,40,60,1\n9,100,0,2\n"}
    refused(tmp_path, source, percent, "fractions of m sum to 100; expected 1", more=METALS)
    refused(tmp_path, 'files = ["u.csv"]', {}, "no column is a component of 'm'", more=METALS)


def test_components_that_are_no_elements_stay_plain_fractions(tmp_path: Path) -> None:
    more = METALS.replace('["Ni", "Fe"]', '["P3HT", "D1"]')
    prior = made(tmp_path, 'files = ["t.csv"]', {"t.csv": "T,m.P3HT,m.D1,y\n0,0.4,0.6,1\n9,1,0,2\n"}, more=more)
    assert "m" not in prior.descriptors


def test_symbols_are_read_however_they_are_written_and_unknown_properties_are_refused() -> None:
    assert [element_symbol(name) for name in ("ni", "FE", "xx", "P3HT")] == ["Ni", "Fe", None, None]
    with pytest.raises(BadInput, match="element He: nobody knows its electronegativity"):
        element_properties(["He"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('files = ["none.csv"]', "there is no .*none.csv"),
        ('files = ["t.csv"]\ntask = "batch"', "has no column 'batch'; it has T, y"),
        ('files = ["t.csv"]\nwithout = ["u"]', "has no task 'u'; it has t"),
        ('files = ["t.csv"]\nrename = { P = "T" }', "'P' is neither parameter nor target"),
        ('files = ["t.csv"]\nunits = { T = "mL" }', "T is in mL; it cannot be expressed in degC"),
        ('files = ["t.csv"]\nfamily = "x"\ntasks = 1\nrows = 3', "this one has family and files"),
        ('family = "x"\ntasks = 1\nrows = 3', "family 'x' is unknown; known: none"),
        ('family = "x"\ntasks = 1\nrows = 3\nfidelity = "measured"', "it cannot count as measured"),
        ('files = ["t.csv"]\nrandomise = true', "randomise belongs to simulated sources"),
        ('files = ["t.csv"]\ncolour = "red"', "unknown key .*colour; legal here: campaigns"),
    ],
)
def test_a_source_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, source: str, message: str) -> None:
    refused(tmp_path, source, {"t.csv": "T,y\n0,1\n9,2\n"}, message)


def test_tasks_and_groups_are_columns_and_simulated_ones_say_so(tmp_path: Path) -> None:
    prior = made(tmp_path, 'files = ["t.csv"]\ntask = "k"\ngroup = "g"', {"t.csv": "k,g,T,y\na,G,0,1\nb,H,1,2\na,G,2,3\nb,H,3,4\n"})
    assert [(task.name, task.group, task.fidelity) for task in prior.tasks["y"]] == [("a", "G", "measured"), ("b", "H", "measured")]

    def draw(count: int, size: int, seed: int) -> tuple[tuple[str, tuple[Observation, ...]], ...]:
        return tuple((f"c/{n}", tuple(Observation({"T": 300.0 + k}, {"y": 1.0 * k + n + seed}) for k in range(size))) for n in range(count))

    family = SimulatedFamily(draw, {"T": "kelvin"}, ("T",), lambda task: task.partition("/")[0], lambda task: {"kind": task[0]})
    prior = made(tmp_path, 'family = "f"\ntasks = 2\nrows = 3\nseed = 1\ndescribe = true', {}, families={"f": family})
    assert [(task.name, task.group, task.fidelity) for task in prior.tasks["y"]] == [("c/0", "c", "simulated"), ("c/1", "c", "simulated")]
    assert prior.origin == "simulated"
    drawn = made(tmp_path, 'family = "f"\ntasks = 2\nrows = 3\nseed = 1\ndescribe = true\nrandomise = true', {}, families={"f": family})
    assert [one.X.equal(other.X) for one, other in zip(drawn.tasks["y"], prior.tasks["y"], strict=True)] == [True, True]
    assert not any(one.Y.allclose(other.Y) for one, other in zip(drawn.tasks["y"], prior.tasks["y"], strict=True))
    assert prior.task_vector({"kind": "c"}).tolist() == [1.0]


def told_lab(folder: Path, *, more: str = "", kind: str = "dry") -> None:
    """A lab whose campaign proposed 240.5 and measured 240.4, in kelvin."""
    lab = make_lab(folder / "lab", beside=folder / "x.toml", kind="dry" if kind == "dry" else "live")
    with closing(SqlStore.open(lab.ledger)) as store:
        text = CAMPAIGN.format(name=cases.CAMPAIGN, more=more)
        record = CampaignRecord(name=cases.CAMPAIGN, snapshot={"files": {"campaign": text}, "path": str(folder / "x.toml")})
        store.create_campaign(record, by=cases.BY, now=cases.at(0))
        store.update_campaign(record.evolve(status="running"), kind=EventKind.RUNNING, by=cases.BY, now=cases.at(1))
        for number in (1, 2):
            cases.tell_experiment(store, number)


def test_a_past_campaign_teaches_what_was_measured_and_not_what_was_proposed(tmp_path: Path) -> None:
    told_lab(tmp_path)
    source = 'campaigns = ["*"]\nlab = "lab"\nrename = { y = "wavelength" }\n'
    refused(tmp_path, source, {}, "wavelength is in nm; it cannot be expressed in mL")
    text = HEAD.format(more="", source=source).replace('unit = "mL"', 'unit = "um"')
    (tmp_path / "meta.toml").write_text(text)
    workshop = Workshop({"bell": BellLearner}, restore, card=False)
    with pytest.raises(BadInput, match="values are all"):
        train(load_meta_file(tmp_path / "meta.toml"), workshop)  # both runs measured the same
    (tmp_path / "t.csv").write_text("T,y\n0,1\n9,2\n")
    (tmp_path / "meta.toml").write_text(text + '[[sources]]\nfiles = ["t.csv"]\n')
    prior = train(load_meta_file(tmp_path / "meta.toml"), workshop)
    task = next(one for one in prior.tasks["y"] if one.name == cases.CAMPAIGN)
    assert task.X.flatten().tolist() == [pytest.approx((240.4 - 273.15) / 400)] * 2
    assert task.Y.tolist() == [pytest.approx(0.5125)] * 2
    assert task.Yvar is not None
    assert task.Yvar.tolist() == [pytest.approx(1e-8)] * 2
    assert (task.fidelity, prior.origin) == ("simulated", "mixed")


def test_a_parameter_of_a_past_campaign_is_not_overlooked_and_a_dry_lab_is_not_measured(tmp_path: Path) -> None:
    told_lab(tmp_path, more='[[parameters]]\nname = "tau"\nkind = "continuous"\nunit = "s"\nmin = 1\nmax = 2\n')
    source = 'campaigns = ["dots"]\nlab = "lab"\nrename = { y = "wavelength" }\n'
    refused(tmp_path, source, {}, "it varied 'tau', which the space does not have")
    refused(tmp_path, source + 'fidelity = "measured"', {}, "is dry; it cannot count as measured")
    refused(tmp_path, source.replace("dots", "nope"), {}, "has no campaign 'nope'; it has dots")


TABLES = {f"t{index}.csv": "T,y\n" + "".join(f"{25 * n},{(n - index) ** 2 / 10 + index}\n" for n in range(16)) for index in range(3)}


def test_the_same_file_gives_the_same_prior_bit_for_bit_and_its_card_says_what_it_holds(tmp_path: Path) -> None:
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "meta.toml").write_text(HEAD.format(more="", source=f"files = {[*TABLES]}".replace("'", '"')))
    lines: list[str] = []
    workshop = Workshop({"bell": BellLearner}, restore, say=lines.append)
    pair = [train(load_meta_file(tmp_path / "meta.toml"), workshop) for _ in range(2)]
    assert save_prior(tmp_path / "a.pt", pair[0]) == save_prior(tmp_path / "b.pt", pair[1])
    assert "y: bell learns from 3 tasks, 48 rows" in lines
    page, card = card_markdown(pair[0]), summary(pair[0])
    assert "contains the sources' rows" in page
    assert "| t1 | – | 16 | measured |" in page
    facts = card["targets"]["y"]
    assert facts["curves"]["bell"][0]["held_out_loss"] == 1.25
    assert {row["learner"] for row in facts["shots"]} == {"scratch", "pooled", "fine-tuned", "bell"}
    assert facts["record"]["bell"]["tasks"] == 3
    judged = pair[0].card["targets"]["y"]["judged"]
    ratio = {row["learner"]: row["rmse"] for row in judged if (row["task"], row["shots"]) == ("t0", 5)}
    worst = {(row["task"], row["shots"]) for row in facts["hurt"]["bell"]}
    assert (("t0", 5) in worst) == (ratio["bell"] > 1.05 * ratio["scratch"])


def test_what_a_prior_saw_it_is_not_scored_on() -> None:
    task, other = some_task("a"), some_task("b", seed=2)
    marks, scale = [mark(task)], Scale(0.5, 0.3)
    for name, group in ((" A ", None), (None, "G")):
        with pytest.raises(BadInput, match="prior p was trained on task a"):
            refuse_if_seen(marks, prior="p", name=name, group=group)
    shuffled = some_task("renamed").rows([3, 1, 0, 2])
    with pytest.raises(BadInput, match="holds 4 of the 4 measurements"):
        refuse_if_seen(marks, prior="p", name="renamed", group="h", judged=shuffled)
    refuse_if_seen(marks, prior="p", name="b", group="h", judged=other)  # the same configurations, other values
    (shared,) = overlaps(other, [task], scale)
    assert (shared.same, shared.near, shared.places, shared.copied) == (0, 0, 6, False)
    rounded = task.rows(torch.arange(6))
    rounded.Y.add_(1e-5)
    (near,) = overlaps(rounded, [some_task("a")], scale)
    assert (near.same, near.near, near.copied) == (0, 6, True)


def test_a_prior_is_matched_before_the_first_experiment_and_after_some(tmp_path: Path) -> None:
    prior = made(tmp_path, f"files = {[*TABLES]}".replace("'", '"'), TABLES)
    save_prior(tmp_path / "p.pt", prior)
    text = CAMPAIGN.format(name="new", more="").replace('"wavelength"\nunit = "nm"', '"y"\nunit = "L"')
    (tmp_path / "c.toml").write_text(text)
    file = load_campaign(tmp_path / "c.toml")
    space = SearchSpace(parameters=file.spec.parameters)
    before = assess(tmp_path / "p.pt", Case(file, space), restore)
    assert (before.fits, before.trust, before.measurements) == (True, {"y": None}, 0)
    assert "audit: it has not seen this campaign" in before.reasons
    kin, alien = (
        assess(tmp_path / "p.pt", Case(file, space, (Observation({"T": 373.15}, {"y": value}),)), restore).trust["y"]
        for value in (0.006, 9.0)
    )
    assert kin is not None
    assert alien is not None
    assert alien < 0.1 < kin
    (tmp_path / "d.toml").write_text(text.replace("max = 673.15", "max = 1073.15"))
    wide = load_campaign(tmp_path / "d.toml")
    verdict = assess(tmp_path / "p.pt", Case(wide, SearchSpace(parameters=wide.spec.parameters)), restore)
    assert any("T: 53% of the range is beyond" in reason for reason in verdict.reasons)
    assert not assess(tmp_path / "none.pt", Case(file, space), restore).fits
