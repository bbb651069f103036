"""A prior survives its file bit for bit, and a file that is no prior is refused before anything of it runs."""

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typing_extensions import override

from models.inputs.encoding import Encoding
from models.meta_learning.audit import mark
from models.meta_learning.checkpoint import PriorFile, TaskColumn, load_prior, save_prior, task_vector
from models.meta_learning.packing import Flat, flat_hash, pack, unpack
from models.tasks import Scale, TaskData
from orchestrator.domain.objective import Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from tests.metatraining.learner import BellPrior, restore

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=100, max=300),
        CategoricalParameter(name="solvent", categories=("water", "DMF")),
    )
)
YIELD = Target(name="yield", goal="maximise")


def some_task(name: str = "a", *, seed: int = 1, rows: int = 6) -> TaskData:
    generator = torch.Generator().manual_seed(seed)
    X = Encoding(SPACE).encode([{"T": 110.0 + 20 * index, "solvent": ("water", "DMF")[index % 2]} for index in range(rows)])
    return TaskData(name, X, torch.rand(rows, generator=generator, dtype=torch.float64), group="g", fidelity="simulated")


def some_prior() -> PriorFile:
    tasks = (some_task("a"), some_task("b", seed=2))
    state = BellPrior(Scale(0.4, 0.3), torch.tensor(0.5, dtype=torch.float64)).state()
    return PriorFile(
        name="small",
        space=SPACE,
        targets=(YIELD,),
        tasks={"yield": tasks},
        trained={"bell": {"yield": state}},
        descriptors={"solvent": {"water": [78.4, 1.0], "DMF": [36.7, 3.8]}},
        task_columns=(TaskColumn("pKa", 2.0, 6.0), TaskColumn("halide", categories=("Br", "Cl"))),
        marks={"yield": tuple(mark(task) for task in tasks)},
        card={"targets": {}, "notes": ["a note"]},
        versions={"torch": "2"},
        seed=3,
        restore=restore,
    )


def test_a_prior_comes_back_from_its_file_bit_for_bit(tmp_path: Path) -> None:
    before = some_prior()
    sha256 = save_prior(tmp_path / "deep" / "small.pt", before)
    after = load_prior(tmp_path / "deep" / "small.pt", restore=restore)
    assert after.sha256 == sha256
    assert (after.name, after.space, after.targets, after.marks, after.seed) == (before.name, SPACE, (YIELD,), before.marks, 3)
    assert (after.task_columns, after.descriptors, after.card) == (before.task_columns, before.descriptors, before.card)
    for old, new in zip(before.tasks["yield"], after.tasks["yield"], strict=True):
        assert (old.name, old.group, old.fidelity) == (new.name, new.group, new.fidelity)
        assert torch.equal(old.X, new.X)
        assert torch.equal(old.Y, new.Y)
        assert new.Yvar is None
    assert save_prior(tmp_path / "again.pt", after) == sha256
    X = torch.rand(4, 3, dtype=torch.float64)
    pair = [one.prior("yield").adapt(TaskData("new", X, X[:, 0]), generator=torch.Generator()) for one in (before, after)]
    assert torch.equal(*(one.posterior(X.unsqueeze(-2)).mean for one in pair))


def test_the_hash_is_of_the_content_and_not_of_the_file(tmp_path: Path) -> None:
    assert save_prior(tmp_path / "one.pt", some_prior()) == save_prior(tmp_path / "another.pt", some_prior())
    assert (tmp_path / "one.pt").read_bytes() != (tmp_path / "another.pt").read_bytes()
    assert save_prior(tmp_path / "third.pt", replace(some_prior(), seed=4)) != load_prior(tmp_path / "one.pt").sha256


def test_the_hash_sees_names_types_shapes_and_values() -> None:
    base: Flat = {"a": torch.zeros(4), "b": "text"}
    others: list[Flat] = [
        {"c": torch.zeros(4), "b": "text"},
        {"a": torch.zeros(4, dtype=torch.int32), "b": "text"},
        {"a": torch.zeros(2, 2), "b": "text"},
        {"a": torch.tensor([0.0, 0.0, 0.0, -0.0]), "b": "text"},
        {"a": torch.zeros(4), "b": "texts"},
    ]
    assert len({flat_hash(one) for one in (base, *others)}) == 6
    assert flat_hash(base) == flat_hash(dict(reversed(base.items())))


def test_a_state_of_all_kinds_comes_back() -> None:
    state = {"a": [1, 2.5, None, True, "x"], "b": {"c": torch.eye(2, dtype=torch.float64)}, "d": float("-inf"), "e": (1, 2)}
    back = unpack("s", pack("s", state))
    assert torch.equal(back.pop("b")["c"], torch.eye(2, dtype=torch.float64))
    assert back == {"a": [1, 2.5, None, True, "x"], "d": float("-inf"), "e": [1, 2]}
    with pytest.raises(TypeError, match="s/f: a object cannot be kept"):
        pack("s", {"f": object()})


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: str) -> None:
        self.place = place

    @override
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path, whole: bool) -> None:
    trap = tmp_path / "executed"
    save_prior(tmp_path / "good.pt", some_prior())
    content = torch.load(tmp_path / "good.pt", weights_only=True)
    evil = Malicious(str(trap)) if whole else {**content, "card": Malicious(str(trap))}
    torch.save(evil, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(evil))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(BadInput, match=r"is no prior: .*nothing of it was run") as caught:
            load_prior(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not trap.exists()
    torch.load(tmp_path / "evil.pt", weights_only=False)  # the trap is a real one
    assert trap.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"athanor-prior": "2"}, "has schema 2, this Athanor reads 1; a newer Athanor made it"),
        ({"athanor-prior": "x"}, "schema 'x' is no number"),
        ({"audit": None}, "'audit' is missing"),
        ({"surprise": "{}"}, "unknown part 'surprise'"),
        ({"card": '{"notes":[],"targets":{"other":1}}'}, "was altered"),
        ({"space": 3}, "'space' is neither tensor nor text"),
    ],
)
def test_a_file_with_a_wrong_part_is_refused_in_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    save_prior(tmp_path / "small.pt", some_prior())
    content = torch.load(tmp_path / "small.pt", weights_only=True)
    torch.save({name: value for name, value in {**content, **change}.items() if value is not None}, tmp_path / "bad.pt")
    with pytest.raises(BadInput, match=message) as caught:
        load_prior(tmp_path / "bad.pt")
    assert "\n" not in str(caught.value)


def test_one_changed_number_is_seen(tmp_path: Path) -> None:
    save_prior(tmp_path / "small.pt", some_prior())
    content = torch.load(tmp_path / "small.pt", weights_only=True)
    name = next(name for name, value in content.items() if isinstance(value, torch.Tensor) and value.numel())
    content[name].view(-1)[0] += 1e-12
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(BadInput, match="was altered"):
        load_prior(tmp_path / "bad.pt")


def test_what_was_never_a_prior_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("not a prior")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    for name, message in (("text.pt", "is no prior"), ("other.pt", "has no 'athanor-prior'"), ("none.pt", "there is no prior")):
        with pytest.raises(BadInput, match=message):
            load_prior(tmp_path / name)


def test_consistent_parts_that_make_no_sense_together_are_refused(tmp_path: Path) -> None:
    save_prior(tmp_path / "small.pt", some_prior())
    content = torch.load(tmp_path / "small.pt", weights_only=True)
    content["space"] = '{"parameters":[]}'
    content["sha256"] = flat_hash({name: value for name, value in content.items() if name != "sha256"})
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(BadInput, match="cannot be understood") as caught:
        load_prior(tmp_path / "bad.pt")
    assert "\n" not in str(caught.value)


def test_what_is_known_of_a_task_is_scaled_by_the_sources() -> None:
    prior = some_prior()
    assert prior.task_vector({"pKa": 5.0, "halide": "Cl"}).tolist() == [0.75, 0.0, 1.0]
    assert prior.task_vector({}).shape == (0,)
    refused: tuple[tuple[dict[str, float | str], str], ...] = (
        ({"pKa": 1.0}, "'halide' is missing"),
        ({"pKa": 1.0, "halide": "I"}, "none of Br, Cl"),
        ({"pKa": "x", "halide": "Br"}, "is not a number"),
        ({"size": 1.0}, "no task descriptor 'size'"),
    )
    for known, message in refused:
        with pytest.raises(BadInput, match=message):
            prior.task_vector(known)
    assert task_vector((), {}, what="x").shape == (0,)


def test_an_unknown_target_or_learner_is_named() -> None:
    with pytest.raises(BadInput, match="knows no target 'fwhm'; it knows yield"):
        some_prior().prior("fwhm")
    with pytest.raises(BadInput, match="not trained with learner 'anil'; it has bell"):
        some_prior().prior("yield", "anil")


def test_where_it_comes_from_is_said() -> None:
    measured = replace(some_task("m"), fidelity="measured")
    assert some_prior().origin == "simulated"
    assert replace(some_prior(), tasks={"yield": (measured,)}).origin == "measured"
    assert replace(some_prior(), tasks={"yield": (measured, some_task())}).origin == "mixed"
