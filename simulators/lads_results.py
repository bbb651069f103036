"""Shows the platform's results in the ResultSet: an object per result, made at its start, completed at its end."""

from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.node import Node
from asyncua.ua.status_codes import StatusCodes

from simulators.lads_nodes import PlatformNodes, add_template, add_unit
from simulators.lads_types import LADS
from simulators.synthesis_platform import ProgramResult

BAD_SAMPLE = ua.StatusCode(ua.UInt32(StatusCodes.BadDeviceFailure))

_NEVER = datetime(1601, 1, 1, tzinfo=UTC)
"""OPC-UA's null DateTime."""


def _when(stamp: str | None) -> datetime:
    return _NEVER if stamp is None else datetime.fromisoformat(stamp)


class ResultNodes:
    """The nodes of one result."""

    def __init__(self, properties: dict[str, Node], outcome: Node, variables: ua.NodeId) -> None:
        self._properties = properties
        self._outcome = outcome
        self._variables = variables

    @classmethod
    def build(cls, nodes: PlatformNodes, result: ProgramResult) -> "ResultNodes":
        """Make the object with all that is known at the start of a program."""
        space = nodes.space
        top = space.add_object(nodes.results, space.own(result.run_id), "ResultType")
        properties = space.add_properties(top, "ResultType", _known(nodes, result))
        ran = result.ran_template
        add_template(space, top, space.name(LADS, "ProgramTemplate"), (ran, nodes.offered[ran]), nodes.plate)
        space.add_object(top, space.name(LADS, "FileSet"), "ResultFileSetType")
        variables = space.add_object(top, space.name(LADS, "VariableSet"), "VariableSetType")
        return cls(properties, space.add_variable(variables, space.own("Outcome"), "", "String"), variables)

    async def complete(self, nodes: PlatformNodes, result: ProgramResult) -> None:
        """Fill in the end of a program; `Stopped` comes last, by it clients know that the rest is there."""
        space, template = nodes.space, nodes.offered[result.ran_template]
        for name, value in result.variables.items():
            data_type = "Double[]" if isinstance(value, list) else "Double"
            node = space.add_variable(self._variables, space.own(name), value, data_type, "AnalogUnitType")
            add_unit(space, node, template.variables[name])
            if name == template.recording and result.bad_status:
                await node.write_value(ua.DataValue(space.variant(value, data_type), BAD_SAMPLE))
        await self._outcome.write_value(result.outcome, ua.VariantType.String)
        lasted = _when(result.stopped) - _when(result.started)
        await self._properties["TotalRuntime"].write_value(1e3 * lasted.total_seconds(), ua.VariantType.Double)
        await self._properties["Stopped"].write_value(_when(result.stopped), ua.VariantType.DateTime)


def _known(nodes: PlatformNodes, result: ProgramResult) -> dict[str, object]:
    """Say of a result what its start says: who asked for what, and when."""
    order, classes = result.order, nodes.space.structures
    samples = [
        classes["SampleInfoType"](
            ContainerId=sample.container_id, SampleId=sample.sample_id, Position=sample.position, CustomData=sample.custom_data
        )
        for sample in order.samples
    ]
    return {
        "ApplicationUri": result.application_uri,
        "Description": ua.LocalizedText(f"{result.ran_template} {result.number}", "en"),
        "SupervisoryJobId": order.job_id,
        "SupervisoryTaskId": order.task_id,
        "Samples": samples,
        "Started": _when(result.started),
        "Stopped": _NEVER,
        "User": result.user,
        "Properties": [classes["KeyValueType"](Key=key, Value=value) for key, value in order.properties],
        "DeviceProgramRunId": result.run_id,
        "TotalRuntime": 0.0,
    }
