"""Campaigns as the ledger would hand them out, made by plain formulas."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import cos, exp, sin
from typing import Any

from flows.report.data import Circumstances, ReportData, WorkPeriod, assemble
from orchestrator.domain.lifecycle import CampaignStatus, MeasurementStatus, ProposalStatus, RunStatus, StepKind
from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, DiscreteParameter
from orchestrator.domain.records import (
    CampaignRecord,
    ExperimentRun,
    Measurement,
    Prediction,
    Proposal,
    Provenance,
    Reading,
    Step,
)
from orchestrator.domain.space import SearchSpace
from orchestrator.ports import Changes

NASTY = "</script><script>window.broken = 1</script><img src=x onerror=\"window.broken = 1\"> & <b>'bold'</b>"
HEAD = (417, "5e0f" * 16)
BEGUN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
ENDED = datetime(2026, 3, 2, 9, 12, tzinfo=UTC)
REASONS = {RunStatus.INFEASIBLE: "no particles formed", RunStatus.FAILED: "pump_se answered 'S' (stalled) to dose 4.2 mL"}

SPACE = SearchSpace(
    parameters=(
        ContinuousParameter(name="T", unit="degC", min=200, max=280),
        ContinuousParameter(name="tau", unit="s", min=20, max=180),
        ContinuousParameter(name="c_se", unit="mol/L", min=0.004, max=0.025),
        CategoricalParameter(name="ligand", categories=("oleic acid", "TOPO", "phosphonic acid")),
    )
)
OBJECTIVE = Objective(
    targets=(
        Target(name="wavelength", unit="nm", goal="match", value=600, tolerance=5, weight=2),
        Target(name="fwhm", unit="nm", goal="minimise", low=25, high=60),
        Target(name="quantum_yield", goal="maximise", low=0, high=0.8),
    )
)
ALLOY = SearchSpace(
    parameters=(
        CompositionParameter(name="alloy", components=("Ni", "Fe", "Co"), step=0.1),
        DiscreteParameter(name="loading", unit="mg", values=(1, 2, 5)),
    )
)
OVERPOTENTIAL = Objective(targets=(Target(name="overpotential", unit="mV", goal="minimise"),))


def circumstances(**changes: Any) -> Circumstances:
    fields: dict[str, Any] = {
        "bench": "cdse-flow",
        "simulated": False,
        "head": HEAD,
        "made": ENDED,
        "budget": 24,
        "process": WorkPeriod(BEGUN, ENDED, 30.0),
        "notes": {"prior": "cdse-2026-02, from simulated tasks"},
    }
    return Circumstances(**{**fields, **changes})


def configuration(number: int) -> dict[str, float | str]:
    return {
        "T": 205 + (number * 29.7) % 74,
        "tau": 25 + (number * 47.3) % 150,
        "c_se": 0.005 + (number * 0.0061803) % 0.019,
        "ligand": ("oleic acid", "TOPO", "phosphonic acid")[number % 3],
    }


def steps(values: Mapping[str, float | str]) -> tuple[Step, ...]:
    flow = 120 / float(values["tau"])
    return (
        Step(
            index=0,
            do="oven.set_temperature",
            kind=StepKind.STATE_SETTING,
            arguments={"temperature": values["T"]},
            units={"temperature": "degC"},
        ),
        Step(index=1, do="pump_cd.set_flow", kind=StepKind.STATE_SETTING, arguments={"flow": flow}, units={"flow": "mL/min"}),
        Step(index=2, do="wait", kind=StepKind.WAIT, arguments={"time": 4 * float(values["tau"])}, units={"time": "s"}),
        Step(index=3, do="platform.run_program", kind=StepKind.PROGRAM, arguments={"template": "Characterise"}),
    )


def truth(values: Mapping[str, float | str]) -> dict[str, float]:
    temperature, tau = float(values["T"]), float(values["tau"])
    wavelength = 520 + 0.7 * (temperature - 205) + 0.28 * tau
    return {
        "wavelength": wavelength,
        "fwhm": 28 + 0.1 * abs(wavelength - 590) + 0.05 * tau,
        "quantum_yield": 0.75 * exp(-(((wavelength - 595) / 60) ** 2)),
    }


def proposal(number: int, *, revision: int = 1, **changes: Any) -> Proposal:
    values = configuration(number)
    expected = truth(values)
    fields: dict[str, Any] = {
        "proposal_id": f"p-{number}",
        "campaign": "cdse-600",
        "number": number,
        "revision": revision,
        "status": ProposalStatus.APPROVED,
        "configuration": values,
        "steps": steps(values),
        "decided_by": "rule envelope",
        "provenance": Provenance(
            policy="bayesian/1",
            as_of=number,
            seed=7,
            batch=number,
            seconds=4.5,
            acquisition=0.12,
            predicted={
                "wavelength": Prediction(mean=expected["wavelength"] + 12 * sin(7 * number) / number**0.4, sd=9 / number**0.5),
                "fwhm": Prediction(mean=expected["fwhm"] + 1.5 * cos(5 * number), sd=1.0),
                "quantum_yield": Prediction(mean=expected["quantum_yield"] + 0.04 * sin(3 * number), sd=0.02),
            },
        ),
    }
    return Proposal(**{**fields, **changes})


def run(number: int, status: RunStatus = RunStatus.COMPLETED, **changes: Any) -> ExperimentRun:
    values = configuration(number)
    sent = {f"{step.do}.{name}": value for step in steps(values) if step.instrument for name, value in step.arguments.items()}
    fields: dict[str, Any] = {
        "run_key": f"0195-{number:04d}-1",
        "run_id": f"r-{number:04d}",
        "campaign": "cdse-600",
        "proposal_id": f"p-{number}",
        "revision": 1,
        "status": status,
        "reason": REASONS.get(status),
        "position": f"A{number}",
        "commanded": sent,
        "measured": {"T": float(values["T"]) + 0.4 * sin(number), "tau": float(values["tau"]) * 1.004},
        "queued_lab": 3000.0 * number,
        "started_lab": 3000.0 * number + 5,
        "ended_lab": 3000.0 * number + 5 + 1500 + 6 * float(values["tau"]),
        "ingested": status is RunStatus.COMPLETED,
    }
    return ExperimentRun(**{**fields, **changes})


def measurements(number: int, **changes: Any) -> tuple[Measurement, ...]:
    noise = {"wavelength": 1.1 * sin(11 * number), "fwhm": 0.6 * cos(13 * number), "quantum_yield": 0.012 * sin(17 * number)}
    spread = {"wavelength": 0.8, "fwhm": 0.5, "quantum_yield": 0.01}
    return tuple(
        Measurement(
            **{
                "measurement_id": f"m-{number}-{target}",
                "campaign": "cdse-600",
                "run_key": f"0195-{number:04d}-1",
                "target": target,
                "value": value + noise[target],
                "uncertainty": spread[target],
                "reduction": "cdse-emission/1",
                "raw_sha256": (f"{number:064x}",),
                **changes,
            }
        )
        for target, value in truth(configuration(number)).items()
    )


def record(**changes: Any) -> CampaignRecord:
    fields: dict[str, Any] = {"name": "cdse-600", "status": CampaignStatus.FINISHED, "reason": "budget spent: 24 experiments"}
    return CampaignRecord(**{**fields, **changes})


def campaign() -> Changes:
    """24 experiments: one infeasible, one failed, one edited, one repeated, one result in doubt, one proposal refused."""
    status = {6: RunStatus.INFEASIBLE, 11: RunStatus.FAILED}
    proposals = [proposal(number) for number in range(1, 25)]
    runs = [run(number, status.get(number, RunStatus.COMPLETED)) for number in range(1, 25)]
    edited = {**configuration(4), "T": 244.0}
    proposals[3] = proposal(4, status=ProposalStatus.PROPOSED, decided_by=None)
    proposals.append(proposal(4, revision=2, configuration=edited, steps=steps(edited), decided_by="person Ada", reason="less heat"))
    runs[3] = run(4, revision=2, measured={"T": 244.2}, commanded={"oven.set_temperature.temperature": 244.0})
    proposals.append(proposal(25, status=ProposalStatus.REJECTED, decided_by="person Ada", reason="too close to boiling"))
    first = run(
        9, RunStatus.SUPERSEDED, run_key="0195-0009-0", reason="not executed", evidence={"boot_id": "unchanged"}, measured={}, commanded={}
    )
    runs[8] = run(9, attempt=2)
    measured = [one for number in range(1, 25) if number not in status for one in measurements(number)]
    measured = [_doubt(one) if (one.run_key, one.target) == ("0195-0014-1", "quantum_yield") else one for one in measured]
    return Changes(417, record(), tuple(proposals), (*runs, first), tuple(measured))


def _doubt(measurement: Measurement) -> Measurement:
    return measurement.evolve(status=MeasurementStatus.QUARANTINED, reason="reference drifted by 6 %")


def reading(channel: str, array: tuple[float, ...], unit: str, **changes: Any) -> Reading:
    fields: dict[str, Any] = {"step": 3, "instrument": "platform", "quality": "good", "wall": ENDED, "lab": 100.0}
    return Reading(**{**fields, "channel": channel, "array": array, "unit": unit, **changes})


def readings(run_key: str) -> tuple[Reading, ...]:
    number = int(run_key.split("-")[1])
    centre = truth(configuration(number))["wavelength"]
    axis = tuple(float(x) for x in range(400, 751))
    dark = tuple(820 + 15 * sin(3 * x) for x in axis)
    sample = tuple(d + 30000 * exp(-(((x - centre) / 18) ** 2)) + 250 * sin(91 * x) for x, d in zip(axis, dark, strict=True))
    return reading("Wavelength", axis, "nm"), reading("Dark", dark, "counts"), reading("Sample", sample, "counts")


def full_report(**changes: Any) -> ReportData:
    return assemble(campaign(), SPACE, OBJECTIVE, readings, circumstances(**changes))


def no_readings(run_key: str) -> tuple[Reading, ...]:
    return ()


def alloys() -> ReportData:
    """A composition, a discrete parameter and a single unscaled target to minimise; no predictions, no steps."""
    proposals, runs, measured = [], [], []
    for number in range(1, 13):
        nickel, iron = (number % 6) / 10, (number * 3 % 5) / 10
        values = {"alloy.Ni": nickel, "alloy.Fe": iron, "alloy.Co": round(1 - nickel - iron, 10), "loading": (1.0, 2.0, 5.0)[number % 3]}
        plain = Provenance(policy="sobol/1", as_of=0, seed=1, batch=number)
        proposals.append(proposal(number, configuration=values, steps=(), provenance=plain))
        runs.append(run(number, measured={}, commanded={}))
        value = 280 + 90 * (nickel - 0.4) ** 2 + 60 * iron + 3 * sin(number)
        measured.append(
            Measurement(
                measurement_id=f"m-{number}",
                campaign="cdse-600",
                run_key=f"0195-{number:04d}-1",
                target="overpotential",
                value=value,
                reduction="table/1",
            )
        )
    changes = Changes(90, record(name="oer"), tuple(proposals), tuple(runs), tuple(measured))
    return assemble(changes, ALLOY, OVERPOTENTIAL, no_readings, circumstances(bench="recorded: oer", budget=None))
