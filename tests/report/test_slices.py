"""Slices show a parameter on the axis that it has."""

from dataclasses import replace

from plotly.subplots import make_subplots

from flows.report.data import assemble
from flows.report.experiments import Experiment
from flows.report.slices import Panel, Quantity, _draw, quantities, slices
from orchestrator.domain.records import ExperimentRun
from tests.report import cases


def test_a_parameter_on_a_log_scale_has_a_logarithmic_axis() -> None:
    logs = [one if one.name != "c_se" else one.evolve(scale="log") for one in cases.SPACE.parameters]
    space = cases.SPACE.evolve(parameters=[one.model_dump() for one in logs])
    data = assemble(cases.campaign(), space, cases.OBJECTIVE, cases.no_readings, cases.circumstances())
    layout = slices(data, quantities(data)[0]).layout
    axes = {layout[name].title.text: layout[name].type for name in ("xaxis", "xaxis2", "xaxis3", "xaxis4")}
    assert axes == {"T (°C)": None, "tau (s)": None, "c_se (mol/L)": "log", "ligand": None}


def test_many_points_of_small_values_are_told_apart_on_a_logarithmic_axis() -> None:
    experiments = cases.full_report().experiments
    many = [replace(experiments[0], index=index, attempts=(measured(10.0 ** (-index / 25)),)) for index in range(1, 401)]
    quantity = Quantity("constant", lambda _: 1.0)
    shown = {scale: _drawn(many, quantity, log=scale) for scale in (False, True)}
    assert shown[True] > 2 * shown[False]


def measured(value: float) -> ExperimentRun:
    return cases.run(1, measured={"c_se": value})


def _drawn(many: list[Experiment], quantity: Quantity, *, log: bool) -> int:
    figure = make_subplots(1, 1)
    left_out = _draw(figure, Panel("c_se", "c_se", log=log), quantity, many, 400, row=1, col=1)
    assert len(figure.data[0].x) == len(many) - left_out
    return len(many) - left_out
