"""A campaign as CSV files: one row per attempt, proposal revision and measurement, with the ledger's head beside."""

import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flows.report.experiments import Experiment, experiments_of
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import ExperimentRun, Measurement, Proposal
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.ports import Changes

FORMAT: Final = "athanor-export/1"
LEDGER: Final = "ledger.json"
"""Names the campaign, the ledger's head and the hash of each file written."""

_Row = dict[str, Any]


def export_campaign(changes: Changes, space: SearchSpace, objective: Objective, head: tuple[int, str], out: Path) -> tuple[Path, ...]:
    """Write runs.csv, proposals.csv, measurements.csv and ledger.json, each atomically.

    Floats are written in full, so that reading them back gives the same bits; a missing value is an empty cell. Files of
    an earlier export of the same campaign are replaced; ledger.json comes first and names the files it replaces, so that
    an export cut short can be told and repeated.

    Args:
        changes: Everything of the campaign, since sequence number 0.
        space: The campaign's search space.
        objective: The campaign's targets.
        head: Sequence number and hash of the ledger's last event.
        out: The folder, made where it is not there.

    Returns:
        The files, in the order written.

    Raises:
        BadInput: A file of the same name is not from an export of this campaign, or was changed since; nothing is written.
    """
    texts = {
        "runs.csv": runs_csv(changes, space, objective),
        "proposals.csv": proposals_csv(changes, space, objective),
        "measurements.csv": measurements_csv(changes, objective),
    }
    replaced = _replaceable(out, changes.campaign.name, tuple(texts))
    note = {
        "format": FORMAT,
        "campaign": changes.campaign.name,
        "status": changes.campaign.status,
        "head": {"seq": head[0], "sha256": head[1]},
        "files": {name: _sha256(text.encode()) for name, text in texts.items()},
        "replaced": replaced,
    }
    everything = {LEDGER: json.dumps(note, indent=2) + "\n", **texts}
    for name, text in everything.items():
        write_atomically(out / name, text)
    return tuple(out / name for name in everything)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the new one, whole; folders are made.

    Raises:
        BadInput: The file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            _fill(handle, text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error


def _fill(handle: int, text: str) -> None:
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o644)


def _replaceable(out: Path, campaign: str, names: Sequence[str]) -> dict[str, str]:
    """Return the hashes of the files that an export may replace.

    Raises:
        BadInput: One of them is somebody else's, or was changed.
    """
    known = _known_hashes(out, campaign)
    present = {name: _sha256((out / name).read_bytes()) for name in names if (out / name).exists()}
    for name, found in present.items():
        if found not in known.get(name, ()):
            raise BadInput(f"{out / name} is not as an export of campaign {campaign} wrote it; move it away or export to another folder")
    return present


def _known_hashes(out: Path, campaign: str) -> Mapping[str, tuple[str, ...]]:
    """Return the hashes that each file may have: as the last export wrote it, or as it was before one cut short."""
    path = out / LEDGER
    if not path.exists():
        return {}
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        if (note["format"], note["campaign"]) != (FORMAT, campaign):
            raise BadInput(f"{path} belongs to {note['campaign']!r}; expected an export of campaign {campaign}, or another folder")
        return {name: (digest, note["replaced"].get(name, "")) for name, digest in note["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no export's note; expected one of campaign {campaign}, or another folder") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def runs_csv(changes: Changes, space: SearchSpace, objective: Objective) -> str:
    """Return one row per attempt: keys, state, then proposed, approved, commanded and measured values, then results."""
    rows = [_run_row(one, run, objective) for one in experiments_of(changes, objective, space.columns) for run in one.attempts]
    commanded = dict.fromkeys(key for run in changes.runs for key in run.commanded)
    heads = ["run_key", "run_id", "attempt", "state", "reason"]
    for layer, columns in (("proposed", space.columns), ("approved", space.columns), ("commanded", commanded), ("measured", space.columns)):
        heads += [f"{layer}.{column}" for column in columns]
    heads += [f"result.{target}" for target in objective.names] + ["objective"]
    heads += ["proposal", "revision", "replicate", "position", "queued_lab_s", "started_lab_s", "ended_lab_s"]
    return _csv(heads, rows)


def _run_row(experiment: Experiment, run: ExperimentRun, objective: Objective) -> _Row:
    last = run is experiment.run
    return {
        "run_key": run.run_key,
        "run_id": run.run_id,
        "attempt": run.attempt,
        "state": run.status,
        "reason": run.reason,
        **_prefixed("proposed", experiment.proposed.configuration),
        **_prefixed("approved", experiment.approved.configuration),
        **_prefixed("commanded", run.commanded),
        **_prefixed("measured", {column: run.measured.get(column) for column in experiment.columns}),
        **({f"result.{name}": experiment.results[name].value for name in objective.names if name in experiment.results} if last else {}),
        "objective": experiment.score if last else None,
        "proposal": experiment.approved.number,
        "revision": run.revision,
        "replicate": run.replicate,
        "position": run.position,
        "queued_lab_s": run.queued_lab,
        "started_lab_s": run.started_lab,
        "ended_lab_s": run.ended_lab,
    }


def proposals_csv(changes: Changes, space: SearchSpace, objective: Objective) -> str:
    """Return one row per revision of a proposal: decision, provenance, configuration and predictions."""
    heads = ["proposal_id", "number", "revision", "status", "decided_by", "reason", "replicates"]
    heads += ["policy", "batch", "as_of", "seed", "acquisition", "seconds", "content_hash", *space.columns]
    heads += [f"predicted.{name}.{part}" for name in objective.names for part in ("mean", "sd")]
    ordered = sorted(changes.proposals, key=lambda one: (one.number, one.revision))
    return _csv(heads, [_proposal_row(one, objective) for one in ordered])


def _proposal_row(proposal: Proposal, objective: Objective) -> _Row:
    provenance = proposal.provenance
    row: _Row = proposal.model_dump(include={"proposal_id", "number", "revision", "status", "decided_by", "reason", "replicates"})
    row |= provenance.model_dump(include={"policy", "batch", "as_of", "seed", "acquisition", "seconds"})
    row |= {"content_hash": proposal.content_hash, **proposal.configuration}
    for name in objective.names:
        if (predicted := provenance.predicted.get(name)) is not None:
            row |= {f"predicted.{name}.mean": predicted.mean, f"predicted.{name}.sd": predicted.sd}
    return row


def measurements_csv(changes: Changes, objective: Objective) -> str:
    """Return one row per revision of a measurement."""
    units = {target.name: target.unit for target in objective.targets}
    runs = {run.run_key: run.run_id for run in changes.runs}
    heads = ["run_key", "run_id", "measurement_id", "target", "value", "uncertainty", "unit", "replicate", "revision"]
    heads += ["status", "reason", "reduction", "raw_sha256"]
    ordered = sorted(changes.measurements, key=lambda one: (one.run_key, one.target, one.replicate, one.revision))
    return _csv(heads, [_measurement_row(one, units, runs) for one in ordered])


def _measurement_row(measurement: Measurement, units: Mapping[str, str], runs: Mapping[str, str]) -> _Row:
    return {
        **measurement.model_dump(exclude={"campaign", "raw_sha256"}),
        "run_id": runs.get(measurement.run_key),
        "unit": units.get(measurement.target),
        "raw_sha256": " ".join(measurement.raw_sha256),
    }


def _prefixed(layer: str, values: Mapping[str, Any]) -> _Row:
    return {f"{layer}.{name}": value for name, value in values.items()}


def _csv(heads: Sequence[str], rows: Iterable[_Row]) -> str:
    """Write rows with a line feed after each; a key that is no column is an error."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
