"""Shows the platform's results in the ResultSet: an object per result, made at its start, completed at its end."""

from datetime import UTC, datetime

from asyncua import ua
from asyncua.common.node import Node
from asyncua.ua.status_codes import StatusCodes

from simulators.lads_nodes import Names, PlatformNodes, add_unit, folder, variable
from simulators.synthesis_platform import ProgramResult

UNITS = {
    "Wavelength": "nm",
    "Dark": "counts",
    "Sample": "counts",
    "Reference": "counts",
    "SampleAbsorbance": "1",
    "ReferenceAbsorbance": "1",
    "ReferenceQuantumYield": "1",
    "IntegrationTime": "s",
    "Conversion": "1",
}

BAD_SAMPLE = ua.StatusCode(ua.UInt32(StatusCodes.BadDeviceFailure))

_NEVER = datetime(1601, 1, 1, tzinfo=UTC)
"""OPC-UA's null DateTime."""


def _when(stamp: str | None) -> datetime:
    return _NEVER if stamp is None else datetime.fromisoformat(stamp)


class ResultNodes:
    """The nodes of one result."""

    def __init__(self, stopped: Node, outcome: Node, variables: Node) -> None:
        self._stopped = stopped
        self._outcome = outcome
        self._variables = variables

    @classmethod
    async def build(cls, nodes: PlatformNodes, result: ProgramResult) -> "ResultNodes":
        """Make the object with all that is known at the start of a program."""
        names, text = nodes.names, ua.VariantType.String
        top = await folder(nodes.results, names.own_name(result.run_id))
        texts = {
            "SupervisoryJobId": result.order.job_id,
            "SupervisoryTaskId": result.order.task_id,
            "DeviceProgramRunId": result.run_id,
            "ProgramTemplate": result.ran_template,
        }
        for name, value in texts.items():
            await variable(top, names.lads_name(name), value, text)
        await _arguments(top, nodes, result)
        await variable(top, names.lads_name("Started"), _when(result.started), ua.VariantType.DateTime)
        stopped = await variable(top, names.lads_name("Stopped"), _NEVER, ua.VariantType.DateTime)
        outcome = await variable(top, names.own_name("Outcome"), "", text)
        return cls(stopped, outcome, await folder(top, names.lads_name("VariableSet")))

    async def complete(self, names: Names, result: ProgramResult) -> None:
        """Fill in the end of a program; `Stopped` comes last, by it clients know that the rest is there."""
        for name, value in result.variables.items():
            node = await variable(self._variables, names.own_name(name), value, ua.VariantType.Double)
            await add_unit(node, UNITS[name])
            if name == "Sample" and result.bad_status:
                await node.write_value(ua.DataValue(ua.Variant(value, ua.VariantType.Double), BAD_SAMPLE))
        await self._outcome.write_value(result.outcome, ua.VariantType.String)
        await self._stopped.write_value(_when(result.stopped), ua.VariantType.DateTime)


async def _arguments(top: Node, nodes: PlatformNodes, result: ProgramResult) -> None:
    """Show what StartProgram was called with."""
    classes, kind = nodes.structures, ua.VariantType.ExtensionObject
    pairs = [classes.key_value(Key=key, Value=value) for key, value in result.order.properties]
    samples = [
        classes.sample_info(
            ContainerId=sample.container_id, SampleId=sample.sample_id, Position=sample.position, CustomData=sample.custom_data
        )
        for sample in result.order.samples
    ]
    await variable(top, nodes.names.lads_name("Properties"), pairs, kind)
    await variable(top, nodes.names.lads_name("Samples"), samples, kind)
