"""Compares what the ledger says of completed runs with what the plant says of the same lab seconds."""

from typing import Final

from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun
from tests.faults.laboratory import Event, Laboratory, inside

PUMPS: Final = ("pump_cd", "pump_se", "pump_l")
_TENTH: Final = 0.051
"""degC; the controller counts in tenths."""
_DIGIT: Final = 0.0051
"""mL/min or mL; the pump has four digits, of values up to 99."""
_TUBE_ML: Final = 2.0


def disagreements(laboratory: Laboratory) -> list[str]:
    """Return a line for each commanded or measured value of a completed run that the plant knows otherwise."""
    events = laboratory.truth()
    lines = []
    for run in laboratory.runs():
        lines += _of_program(run, events)
        if run.status is RunStatus.COMPLETED:
            lines += _of_run(run, inside(events, run))
    return lines


def _of_program(run: ExperimentRun, events: list[Event]) -> list[str]:
    """A run is completed exactly when its program was, and infeasible only by the word of the device."""
    outcomes = [one["values"]["outcome"] for one in events if one["event"] == "finish" and one.get("run_key") == run.run_key]
    said = {RunStatus.COMPLETED: ["completed"], RunStatus.INFEASIBLE: [str(run.evidence.get("code"))]}.get(run.status, outcomes)
    return [] if said == outcomes else [f"run {run.run_key} is {run.status} ({run.reason}), the plant says {outcomes}"]


def _of_run(run: ExperimentRun, events: list[Event]) -> list[str]:
    flows = {pump: _last(events, pump, "setpoint", "rate_ml_per_min") for pump in PUMPS}
    pairs = [("oven target", _number(run, "oven.set_temperature.temperature"), _last(events, "oven", "setpoint", "target_degc"), _TENTH)]
    for pump in PUMPS:
        pairs.append((f"{pump} flow", _number(run, f"{pump}.set_flow.flow"), flows[pump], _DIGIT))
        pairs.append((f"{pump} volume", _number(run, f"{pump}.dose.volume"), _last(events, pump, "dose", "target_ml"), _DIGIT))
    residence = 60.0 * _TUBE_ML / sum(flows.values())
    pairs.append(("measured tau", float(run.measured["tau"]), residence, 0.01 * residence))
    pairs.append(("measured T", float(run.measured["T"]), _last(events, "tube", "sample", "temperature_degc"), 1.5))
    return [f"run {run.run_key}: {what} {said:g}, the plant says {true:g}" for what, said, true, off in pairs if abs(said - true) > off]


def _number(run: ExperimentRun, name: str) -> float:
    return float(run.commanded[name])


def _last(events: list[Event], device: str, event: str, value: str) -> float:
    found = [one["values"][value] for one in events if one["device"] == device and one["event"] == event and value in one["values"]]
    return float(found[-1]) if found else float("nan")
