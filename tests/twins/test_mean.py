"""`[surrogate] mean = "twin"`: what a campaign begins from, what is kept and bound of it, and what is refused in a line."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from athanor import Optimizer
from flows.plans.plan import Plan, load_plan, stored_plan
from flows.plans.policy import policy_of
from flows.plans.surrogate import refuse_silent
from flows.plans.twins.table import KEPT
from orchestrator.domain.records import BEGINS, CampaignRecord
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.errors import BadInput
from orchestrator.history import Knowledge, Observation
from tests.twins.test_bench import BY_T, FILM, film
from tests.twins.test_table import COUNTING, calls

TWIN = "\n[twin]\n" + BY_T
MEAN = '\n[surrogate]\nmean = "twin"\n'


def plan_of(folder: Path, surrogate: str = MEAN, *, section: str = TWIN, code: str = FILM) -> Plan:
    return load_plan(campaign(folder, surrogate, section=section, code=code))


def campaign(folder: Path, surrogate: str = MEAN, *, section: str = TWIN, code: str = FILM) -> Path:
    file = film(folder, section, code)
    file.write_text(file.read_text() + surrogate)
    return file


def known(plan: Plan, *temperatures: float) -> Knowledge:
    """Return what the twin would have been right about, but for its best temperature, which lies 3 degC higher."""
    rows = [{"T": one, "speed": 1500.0} for one in temperatures]
    values = [480.0 * 2.718281828 ** (-(((row["T"] - 66.0) / 18.0) ** 2)) for row in rows]
    assert plan.objective.names == ("conductivity",)
    return Knowledge(observations=tuple(Observation(row, {"conductivity": value}) for row, value in zip(rows, values, strict=True)))


def test_the_first_proposal_is_where_the_twin_expects_most(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.policy.settings["initial"] == 0
    (first,) = policy_of(plan).propose(Knowledge(), count=1, seed=0)
    assert float(first.configuration["T"]) == pytest.approx(63.0, abs=4.0)
    assert first.details["prior"] == plan.prior_identity
    assert first.details["fit"]["conductivity"]["weights"] == {"prior": 0.5, "fresh": 0.5}


def test_runs_correct_the_constant(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    policy = policy_of(plan)
    (expected,) = policy.predict(known(plan, 45.0, 55.0, 75.0, 60.0), [{"T": 80.0, "speed": 1500.0}])
    real = known(plan, 80.0).observations[0].values["conductivity"]
    assert expected["conductivity"].mean == pytest.approx(real, abs=25.0)


def test_a_campaign_that_is_taken_up_again_proposes_the_same_and_asks_the_twin_no_more(tmp_path: Path) -> None:
    plan, lab = plan_of(tmp_path, code=COUNTING), tmp_path / "lab"
    learnt = known(plan, 45.0, 75.0)
    (before,) = policy_of(plan, lab=lab).propose(learnt, count=1, seed=3)
    asked = calls(tmp_path)
    assert len(list((lab / KEPT).iterdir())) == 1
    (after,) = policy_of(load_plan(tmp_path / "campaign.toml"), lab=lab).propose(learnt, count=1, seed=3)
    assert calls(tmp_path) == asked
    (elsewhere,) = policy_of(plan, plan.policy.settings).propose(learnt, count=1, seed=3)
    assert before == after == elsewhere


def test_a_batch_holds_different_experiments(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    batch = policy_of(plan).propose(Knowledge(), count=3, seed=0)
    assert len({tuple(one.configuration.items()) for one in batch}) == 3


def test_candidates_are_chosen_from_as_an_open_space_is(tmp_path: Path) -> None:
    file = campaign(tmp_path)
    temperatures = [40.0 + 2.0 * step for step in range(20)]
    (tmp_path / "rows.csv").write_text("T,speed\n" + "".join(f"{one},1500\n" for one in temperatures))
    file.write_text(file.read_text() + '\n[candidates]\nfile = "rows.csv"\n')
    (first,) = policy_of(load_plan(file)).propose(Knowledge(), count=1, seed=0)
    assert first.configuration["T"] in (62.0, 64.0)


# ---------------------------------------------------------------------- what is kept


def test_the_ledger_says_what_a_campaign_began_from_and_approvals_are_bound_to_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a")
    assert plan.prior_identity is not None
    assert (plan.prior_identity["name"], plan.prior_identity["origin"]) == ("twin film/1", "simulated")
    assert plan.snapshot["prior"] == plan.prior_identity
    assert plan.recipe.binding["twin file"] == f"sha256:{plan.prior_identity['sha256']}"
    again = stored_plan(CampaignRecord(name="film", snapshot={**plan.snapshot, **BEGINS}))
    assert again.prior_identity == plan.prior_identity
    assert again.policy.settings["initial"] == 0


@pytest.mark.parametrize(
    ("more", "code"),
    [("constants.best = { value = 64 }\n", FILM), ("", FILM.replace("18.0", "19.0")), ("constants.best = { sd = 3 }\n", FILM)],
)
def test_another_twin_is_another_identity(tmp_path: Path, more: str, code: str) -> None:
    one, other = plan_of(tmp_path / "a"), plan_of(tmp_path / "b", section=TWIN + more, code=code)
    assert one.prior_identity != other.prior_identity


def test_without_the_key_nothing_of_the_twin_is_bound_or_proposed_by(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "")
    assert plan.mean is None
    assert plan.prior_identity is None
    assert "prior" not in plan.snapshot
    assert "twin file" not in plan.recipe.binding
    assert plan.policy.settings["initial"] > 0
    assert "mean" not in SurrogateSpec(kind="gp").model_dump()


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("surrogate", "told"),
    [
        ('kind = "gp"\nmean = "twin"', 'got kind = "gp" beside it'),
        ('prior = "some.prior"\nmean = "twin"', "got prior beside it"),
        ('mean = "twins"', "'level' or 'twin'"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, surrogate: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        plan_of(tmp_path, f"\n[surrogate]\n{surrogate}\n")


def test_a_bench_without_a_twin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r'surrogate.mean = "twin": bench.toml declares no \[twin\]; expected a bench file with \[twin\]'):
        plan_of(tmp_path, section="")


def test_who_asks_and_tells_has_no_twin(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r'surrogate.mean = "twin" belongs to a campaign that a bench with'):
        Optimizer.from_file(campaign(tmp_path))


def test_a_twin_that_predicts_next_to_nothing_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, code=FILM.replace("> 85.0", "> 24.0"))
    with pytest.raises(BadInput, match=r"of 64 configurations twin film/1 predicts \d; expected 8 or more"):
        refuse_silent(plan.file, plan.mean, plan.sample)
    whole = plan_of(tmp_path / "whole")
    refuse_silent(whole.file, whole.mean, whole.sample)


def test_a_policy_that_asks_no_model_is_refused(tmp_path: Path) -> None:
    file = campaign(tmp_path)
    file.write_text(file.read_text().replace("[policy]", "").replace("[surrogate]", '[policy]\nkind = "sobol"\n[surrogate]'))
    with pytest.raises(BadInput, match="asks no model"):
        load_plan(file)


def test_the_specification_alone_is_legal() -> None:
    assert SurrogateSpec(mean="twin").kind == "default"
    with pytest.raises(ValidationError, match="expected prior = FILE"):
        SurrogateSpec()
