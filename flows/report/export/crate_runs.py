"""What an RO-Crate says of a campaign's runs: who, with what, when, from which configuration, with which results."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from flows.report.experiments import Experiment, newest_measurements
from flows.report.export.source import Source, wall
from flows.report.export.work import answers_to
from orchestrator.domain.events import STAND_IN, Actor
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal

Entity = dict[str, Any]
ATHANOR: Final = "#athanor"
SOFTWARE: Final = ["SoftwareApplication", "prov:SoftwareAgent"]
_COMPLETED: Final = "http://schema.org/CompletedActionStatus"
_FAILED: Final = "http://schema.org/FailedActionStatus"
_ENDS: Final[Mapping[RunStatus, str]] = {
    RunStatus.COMPLETED: _COMPLETED,
    RunStatus.FAILED: _FAILED,
    RunStatus.INFEASIBLE: _FAILED,
    RunStatus.ABORTED: _FAILED,
    RunStatus.UNKNOWN: _FAILED,
}
"""The attempts that a bench had, or may have had; others were never carried out."""
_PERSON: Final = "person "


def instruments_of(source: Source) -> tuple[Entity, ...]:
    """Return the bench's instruments, as the campaign's snapshot of the bench file names them."""
    text = source.campaign.snapshot.get("files", {}).get("bench")
    found = tomllib.loads(text).get("instruments", {}) if isinstance(text, str) else {}
    return tuple(
        {"@id": _id("instrument", name), "@type": ["IndividualProduct", "prov:Entity"], "name": name, **_model(one)}
        for name, one in found.items()
    )


def _model(spec: Mapping[str, Any]) -> Entity:
    model = {"model": str(spec["model"])} if "model" in spec else {}
    serial = {"serialNumber": str(spec["serial_number"])} if "serial_number" in spec else {}
    return {**model, **serial, "description": f"driver {spec.get('driver', 'unknown')}"}


def agents_of(source: Source) -> tuple[Entity, ...]:
    """Return the people who suggested, edited, decided, did or told something, and a dry run's stand-ins, by name."""
    names = dict.fromkeys(name for one in source.changes.proposals for name in _people(one))
    names |= dict.fromkeys(one.by for one in source.changes.measurements if one.by is not None)
    names |= dict.fromkeys(one.person for one in source.changes.work if one.counts)
    return tuple(map(_agent, names))


def persons_of(source: Source) -> tuple[Entity, ...]:
    """Return the people among those who did something."""
    return tuple(one for one in agents_of(source) if "Person" in one["@type"])


def _agent(name: str) -> Entity:
    if name.startswith(STAND_IN):
        return {"@id": _agent_id(name), "@type": SOFTWARE, "name": name, "softwareVersion": version("athanor")}
    return {"@id": _agent_id(name), "@type": ["Person", "prov:Person"], "name": name}


def _agent_id(name: str) -> str:
    return _id("stand-in" if name.startswith(STAND_IN) else "person", name.removeprefix(STAND_IN))


def _people(proposal: Proposal) -> Iterator[str]:
    if proposal.author is not None:
        yield proposal.author
    yield from (signature.person for signature in proposal.signatures)
    if not proposal.signatures and (proposal.decided_by or "").startswith(_PERSON):
        yield Actor(proposal.decided_by).name


def run_entities(source: Source) -> Iterator[Entity]:
    """Return an action per attempt, with its proposal, its configuration and its results."""
    bench, seen = _references(instruments_of(source)), set()
    yield from _sources(source)
    for one in source.experiments:
        for run in one.attempts:
            if run.status not in _ENDS:
                continue
            if (key := run.approval) not in seen:
                seen.add(key)
                yield _proposal(one.approved)
            given = list(_configuration(source, one, run))
            results, brought = list(_results(source, run)), list(_brought(source, run))
            given += [*brought, *_recorded(run)]
            yield from (*given, *results, _action(source, one, run, (given, results, bench)))
    for one in source.imported:
        given, results = list(_configuration(source, one, one.run)), list(_results(source, one.run))
        yield from (*given, *results, _imported(source, one.run, given, results))


def _proposal(proposal: Proposal) -> Entity:
    people = [_agent_id(proposal.author)] if proposal.author is not None else []
    return {
        "@id": _proposal_id(proposal),
        "@type": ["CreativeWork", "prov:Entity", "prov:Plan"],
        "name": f"proposal {proposal.number}, revision {proposal.revision}",
        "identifier": proposal.content_hash,
        "description": f"proposed by {proposal.provenance.policy}; {proposal.status} by {proposal.decided_by or 'nobody yet'}",
        "prov:wasAttributedTo": _references({"@id": one} for one in [*people, ATHANOR]),
    }


def _configuration(source: Source, one: Experiment, run: ExperimentRun) -> Iterator[Entity]:
    approved = one.approved.configuration
    for column in source.space.columns:
        if column in (values := run.measured if column in run.measured else approved):
            layer = "measured" if values is run.measured else "approved"
            told = {"name": column, "value": values[column], "description": f"{layer} value"}
            yield _value(f"{run.run_key}-{column}", told, source.space.units.get(column, ""))


def _results(source: Source, run: ExperimentRun) -> Iterator[Entity]:
    for one in newest_measurements(each for each in source.changes.measurements if each.run_key == run.run_key):
        if one.accepted is not None:
            unit = source.objective.units.get(one.target, "")
            known = one.uncertainty is not None
            about = f"standard uncertainty {one.uncertainty!r} {unit}".rstrip() if known else "of unknown uncertainty"
            told = {"name": one.target, "value": one.accepted, "measurementTechnique": one.reduction, "description": about}
            made: Entity = {"prov:wasGeneratedBy": {"@id": _run_id(run)}}
            if one.by is not None:
                made["prov:wasAttributedTo"] = {"@id": _agent_id(one.by)}
            if one.evidence is not None:
                made["prov:wasDerivedFrom"] = {"@id": _id("source", one.evidence.sha256)}
            yield _value(f"{run.run_key}-{one.target}-{one.replicate}", {**told, **made}, unit)


def _recorded(run: ExperimentRun) -> Iterator[Entity]:
    """Describe what was recorded of the laboratory beside a run."""
    for one in run.environment:
        if one.lot is not None:
            yield _value(
                f"{run.run_key}-environment-{one.name}", {"name": f"lot of {one.name}", "value": one.lot, "description": one.channel}, ""
            )
            continue
        spread = "" if one.sd is None else f", standard deviation {one.sd!r}"
        about = f"{one.channel} over the run: mean of {one.samples} readings{spread}, {100.0 * one.coverage:.1f} % of it covered"
        told = {"name": f"environment {one.name}", **({} if one.mean is None else {"value": one.mean}), "description": about}
        yield _value(f"{run.run_key}-environment-{one.name}", told, one.unit)


def _brought(source: Source, run: ExperimentRun) -> Iterator[Entity]:
    """Describe what people answered to the run's steps: who, when, and in which words."""
    for one in answers_to(source, run):
        told = source.told("work_answers", one.answer_id)
        said = ", ".join(f"{name} = {value}" for name, value in one.values.items()) or one.reason or "no value was asked for"
        yield {
            "@id": _id("answer", one.answer_id),
            "@type": ["CreativeWork", "prov:Entity"],
            "name": f"answer of {one.person} to step {one.step}: {one.outcome}",
            "text": said,
            **({} if one.person.startswith(STAND_IN) else {"author": {"@id": _agent_id(one.person)}}),
            "prov:wasAttributedTo": {"@id": _agent_id(one.person)},
            **_times(wall(told[0][0]) if told else None, "dateCreated", "prov:generatedAtTime"),
        }


def _sources(source: Source) -> Iterator[Entity]:
    """Describe the files that people named as the source of values; they are no part of the crate."""
    kept = [one for one in newest_measurements(source.changes.measurements) if one.accepted is not None]
    about = "a file that a person named as the source of a value; it is known by its sha256 and no part of the crate"
    for sha256, name in {one.evidence.sha256: one.evidence.name for one in kept if one.evidence}.items():
        yield {
            "@id": _id("source", sha256),
            "@type": ["CreativeWork", "prov:Entity"],
            "name": name,
            "identifier": sha256,
            "description": about,
        }


def _value(name: str, told: Mapping[str, Any], unit: str) -> Entity:
    units = {"unitText": unit} if unit else {}
    return {"@id": _id("value", name), "@type": ["PropertyValue", "prov:Entity"], **told, **units}


def _action(source: Source, one: Experiment, run: ExperimentRun, values: tuple[list[Entity], list[Entity], list[Entity]]) -> Entity:
    given, results, bench = values
    plan = {"@id": _proposal_id(one.approved)}
    names = (*_people(one.approved), *(answer.person for answer in answers_to(source, run)))
    files = [{"@id": "measurements.csv"}] if results else []
    error = {"error": f"{run.status}: {run.reason or 'no reason is known'}"} if _ENDS[run.status] == _FAILED else {}
    return {
        "@id": _run_id(run),
        "@type": ["CreateAction", "prov:Activity"],
        "name": f"experiment {one.index}, attempt {run.attempt}",
        "description": f"{one.approved.provenance.policy} proposed it, {one.approved.decided_by or 'nobody'} let it be carried out",
        "identifier": run.run_key,
        "instrument": {"@id": ATHANOR},
        "object": [plan, *_references(given)],
        "result": [*files, *_references(results)],
        **_times(source.wall_of(run, run.started_lab), "startTime", "prov:startedAtTime"),
        **_times(source.wall_of(run, run.ended_lab), "endTime", "prov:endedAtTime"),
        "actionStatus": _ENDS[run.status],
        **error,
        "prov:used": [plan, *_references(given), *bench],
        **_associated(names),
    }


def _imported(source: Source, run: ExperimentRun, given: list[Entity], results: list[Entity]) -> Entity:
    """Describe an experiment that was done elsewhere: nothing is known of it but its configuration, its results and who told them."""
    said = [one for one in source.changes.measurements if one.run_key == run.run_key]
    ended = max((one.measured_at for one in said if one.measured_at is not None), default=None)
    return {
        "@id": _run_id(run),
        "@type": ["CreateAction", "prov:Activity"],
        "name": f"imported experiment {run.run_key}",
        "description": "it was done elsewhere, and its results were imported",
        "identifier": run.run_key,
        "instrument": {"@id": ATHANOR},
        "object": _references(given),
        "result": [*([{"@id": "measurements.csv"}] if results else []), *_references(results)],
        **_times(ended, "endTime", "prov:endedAtTime"),
        "actionStatus": _COMPLETED,
        "prov:used": _references(given),
        **_associated(one.by for one in said if one.by is not None),
    }


def _associated(names: Iterable[str]) -> Entity:
    """Name who did something: people where only people may stand, and stand-ins and Athanor beside them."""
    agents = [_agent(name) for name in dict.fromkeys(names)]
    people = _references(one for one in agents if "Person" in one["@type"])
    return {**({"agent": people} if people else {}), "prov:wasAssociatedWith": [{"@id": ATHANOR}, *_references(agents)]}


def _times(moment: datetime | None, *names: str) -> Entity:
    """Write a moment in the one way that the profile's validator takes: milliseconds, and the offset in digits."""
    return {} if moment is None else dict.fromkeys(names, moment.astimezone(UTC).isoformat(timespec="milliseconds"))


def _references(entities: Iterable[Mapping[str, Any]]) -> list[Entity]:
    return [{"@id": one["@id"]} for one in entities]


def _proposal_id(proposal: Proposal) -> str:
    return _id("proposal", f"{proposal.number}-{proposal.revision}")


def _run_id(run: ExperimentRun) -> str:
    return _id("run", run.run_key)


def _id(kind: str, name: str) -> str:
    """Return a name within the crate, of letters that an address may have."""
    return f"#{kind}-{re.sub(r'[^A-Za-z0-9._-]', lambda found: f'_{ord(found.group()):x}_', name)}"
