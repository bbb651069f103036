from collections.abc import Sequence

import pytest

from orchestrator.catalogue import Column
from orchestrator.datasets import RecordedRow, Table, load_table
from orchestrator.domain.campaign import load_campaign
from orchestrator.domain.constraints import LinearConstraint
from orchestrator.domain.objective import Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter, Parameter
from orchestrator.errors import BadInput
from orchestrator.recorded import RecordedPool, recorded_pool, recorded_space
from tests.recorded.tables import EXAMPLES, data_dir, small_table

X_IN_CM = DiscreteParameter(name="x", unit="cm", values=(0.1, 0.2, 0.3))
Y = Target(name="y", unit="", goal="maximise")


def example_pool(name: str) -> RecordedPool:
    spec = load_campaign(EXAMPLES / name / "campaign.toml").spec
    assert spec.recorded is not None
    table = load_table(spec.recorded.table, data_dir(), spec.recorded.task)
    return recorded_pool(table, spec.parameters, spec.targets, columns=spec.recorded.columns)


@pytest.mark.parametrize(
    ("name", "configurations", "replicates"),
    [("crossed_barrel", 600, 3), ("cn_coupling_s1", 240, 1), ("oer_plate_3496", 2121, 1)],
)
def test_the_examples_build_the_pools_of_their_tables(name: str, configurations: int, replicates: int) -> None:
    pool = example_pool(name)
    assert len(pool.candidates) == configurations
    assert {len(rows) for rows in pool.replicates.values()} == {replicates}
    assert all(pool.space.complaint(row) is None for row in pool.candidates)


def test_numbers_are_converted_to_the_campaigns_units() -> None:
    pool = recorded_pool(small_table(), [X_IN_CM], [Y])
    assert [row["x"] for row in pool.candidates] == pytest.approx([0.1, 0.2, 0.3])
    assert [one.values["y"] for one in pool.recorded({"x": 0.1})] == pytest.approx([0.10, 0.11, 0.12])
    assert [one.number for one in pool.recorded({"x": 0.1})] == [1, 2, 4]


def test_a_candidate_is_worth_the_mean_of_its_replicates() -> None:
    pool = recorded_pool(small_table(), [X_IN_CM], [Y])
    assert pool.mean({"x": 0.1}) == pytest.approx({"y": 0.11})
    assert pool.mean({"x": 0.2}) == pytest.approx({"y": 0.205})


def test_what_nobody_measured_has_no_recorded_experiments() -> None:
    pool = recorded_pool(small_table(), [X_IN_CM], [Y])
    assert pool.recorded({"x": 0.25}) == ()
    assert pool.recorded({"z": 1.0}) == ()


def test_a_row_outside_the_space_is_named() -> None:
    narrow = DiscreteParameter(name="x", unit="mm", values=(1.0, 2.0))
    with pytest.raises(BadInput, match=r"row 3: x = 3.0 is none of 1, 2 mm"):
        recorded_space(small_table(), [narrow])


def test_a_row_that_breaks_a_constraint_is_named() -> None:
    with pytest.raises(BadInput, match=r"row 3: constraint '1 x' = 0.3; expected at most 0.2"):
        recorded_space(small_table(), [X_IN_CM], constraints=[LinearConstraint(coefficients={"x": 1.0}, max=0.2)])


def test_rows_that_differ_in_what_is_declared_absent_are_refused_instead_of_taken_for_replicates() -> None:
    ligands = CategoricalParameter(name="ligand", categories=tuple(f"L{number}" for number in range(7)))
    loading = ContinuousParameter(name="catalyst_loading", unit="percent", min=0.4, max=2.6, when={"ligand": ("L0",)}, otherwise=0.0)
    others = [ContinuousParameter(name=name, unit=unit, min=30, max=600) for name, unit in (("res_time", "s"), ("temperature", "degC"))]
    target = Target(name="yield", unit="percent", goal="maximise")
    with pytest.raises(BadInput, match=r"catalyst_loading is there only where ligand is L0; expected 0 percent"):
        recorded_pool(load_table("suzuki-i", data_dir()), [ligands, loading, *others], [target])


@pytest.mark.parametrize(
    ("parameters", "columns", "message"),
    [
        ([DiscreteParameter(name="x", unit="s", values=(1.0,))], {}, "column 'x' is in mm; it cannot be expressed in s"),
        ([DiscreteParameter(name="z", values=(1.0,))], {}, "no column 'z'; it has: x, y"),
        ([CategoricalParameter(name="x", categories=("a",))], {}, "column 'x' holds numbers"),
        ([X_IN_CM], {"w": "x"}, "recorded.columns names 'w', which is neither parameter nor target; known: x, y"),
    ],
)
def test_what_does_not_fit_the_table_is_refused(parameters: Sequence[Parameter], columns: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        recorded_pool(small_table(), parameters, [Y], columns=columns)


def test_a_parameter_that_nothing_fixes_is_refused_instead_of_taken_for_replicates() -> None:
    spec = load_campaign(EXAMPLES / "cn_coupling_s1" / "campaign.toml").spec
    assert spec.recorded is not None
    table = load_table("cn-coupling", data_dir())
    with pytest.raises(BadInput, match=r"'substrate_id' is neither a parameter nor fixed; .* task = { substrate_id = ... }"):
        recorded_pool(table, spec.parameters, spec.targets, columns=spec.recorded.columns)


def test_a_metal_that_is_on_no_spot_of_a_plate_has_the_fraction_zero() -> None:
    metals = CompositionParameter(name="m", components=("Ni", "Fe", "Co", "Mn", "Ce", "La", "Sn"), step=0.1, max_components=4)
    names = {f"m.{metal}": f"{metal.lower()}_load" for metal in metals.components}
    table = load_table("oer-plate-3496", data_dir())
    space = recorded_space(table, [metals], columns=names)
    assert {row["m.Sn"] for row in space.candidates or ()} == {0.0}


def test_a_metal_that_no_plate_has_is_refused() -> None:
    metals = CompositionParameter(name="m", components=("Ni", "Fe", "Co", "Mn", "Ce", "La", "Pt"))
    names = {f"m.{metal}": f"{metal.lower()}_load" for metal in metals.components}
    with pytest.raises(BadInput, match="no column 'pt_load'"):
        recorded_space(load_table("oer-plate-3496", data_dir()), [metals], columns=names)


def test_rounded_percentages_fit_a_composition_with_a_tolerance() -> None:
    parts = ("P3HT", "D1", "D2", "D6", "D8")
    mixture = CompositionParameter(name="mix", components=parts, tolerance=0.0015)
    names = {**{f"mix.{part}": f"{part} content (%)" for part in parts}, "conductivity": "Conductivity (measured) (S/cm)"}
    target = Target(name="conductivity", unit="S/m", goal="maximise")
    pool = recorded_pool(load_table("p3ht", data_dir()), [mixture], [target], columns=names)
    assert len(pool.candidates) == 178
    assert pool.recorded({"mix.P3HT": 0.45, "mix.D1": 0.0, "mix.D2": 0.55, "mix.D6": 0.0, "mix.D8": 0.0})[0].values == {
        "conductivity": pytest.approx(1277.0)
    }


def test_continuous_settings_of_a_table_stay_exact() -> None:
    table = Table(small_table().dataset, (RecordedRow(1, {"x": 0.058715073938315446, "y": 1.0}),))
    assert table.dataset.columns[0] == Column("x", "parameter", "mm")
    space = recorded_space(table, [ContinuousParameter(name="x", unit="mm", min=0, max=1)])
    assert space.candidates == ({"x": 0.058715073938315446},)
