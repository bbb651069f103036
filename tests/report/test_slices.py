"""Slices show a parameter on the axis that it has."""

from flows.report.data import assemble
from flows.report.slices import quantities, slices
from tests.report import cases


def test_a_parameter_on_a_log_scale_has_a_logarithmic_axis() -> None:
    logs = [one if one.name != "c_se" else one.evolve(scale="log") for one in cases.SPACE.parameters]
    space = cases.SPACE.evolve(parameters=[one.model_dump() for one in logs])
    data = assemble(cases.campaign(), space, cases.OBJECTIVE, cases.no_readings, cases.circumstances())
    layout = slices(data, quantities(data)[0]).layout
    axes = {layout[name].title.text: layout[name].type for name in ("xaxis", "xaxis2", "xaxis3", "xaxis4")}
    assert axes == {"T (°C)": None, "tau (s)": None, "c_se (mol/L)": "log", "ligand": None}
