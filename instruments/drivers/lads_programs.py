"""The programs of a LADS unit: which there are, which runs, and how one is started under our keys."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.lads_paths import UnitPaths, lads
from instruments.drivers.protocol import Call
from instruments.transport.base import NodePath, NodeTransport, NodeValue, Structure, Structures, Value
from orchestrator.errors import DeviceError, Sent

START: Final = "StartProgram"


class Programs:
    """Templates and active program of one unit."""

    def __init__(self, transport: NodeTransport, paths: UnitPaths, who: str) -> None:
        self._transport = transport
        self._paths = paths
        self._who = who

    def templates(self) -> dict[str, NodePath]:
        """Get the programs that the device can run: their DeviceTemplateId, and where they stand."""
        paths = self._transport.objects(self._paths.templates)
        ids = self._transport.look([(*path, lads("DeviceTemplateId")) for path in paths])
        found = zip(paths, ids, strict=True)
        return {str(value.value): path for path, value in found if value is not None and value.quality != "bad" and value.value}

    def active(self) -> tuple[str | None, str | None]:
        """Get template and run id of the active program; None for what the device does not say, since all of it is optional."""
        names = ("CurrentProgramTemplate", "DeviceProgramRunId")
        template, run_id = self._transport.look([(*self._paths.active, lads(name)) for name in names])
        return self._template(_good(template)), _text(_good(run_id))

    def _template(self, value: object) -> str | None:
        """Return the DeviceTemplateId that a NameNodeIdDataType refers to: by its node, else by its name."""
        if not isinstance(value, Structure):
            return None
        node, name = value.fields.get("NodeId"), _text(value.fields.get("Name"))
        templates = self.templates() if node or name else {}
        by_node = (known for known, path in templates.items() if node and self._transport.node(path) == node)
        by_name = (known for known, path in templates.items() if name in (known, path[-1].name))
        return next(by_node, None) or next(by_name, None) or name

    def place_of(self, method: str) -> NodePath | None:
        """Find the object that offers a method of the unit: its state machine, or the unit's `Operational`; None where neither does."""
        places = (self._paths.state, (*self._paths.unit, lads("Operational")))
        return next((place for place in places if self._transport.exists((*place, lads(method)))), None)

    def prepare(self, call: Call, template: str) -> tuple[NodePath, Mapping[str, Value]]:
        """Return where a program is started, and the arguments by name.

        Raises:
            DeviceError: The device cannot be told our keys (`sent` no).
        """
        place = self.place_of(START)
        if place is None:
            raise DeviceError(f"{self._who} offers no {START}: its unit runs no programs for clients", sent=Sent.NO)
        arguments = _start_arguments(call, template)
        takes = self._transport.arguments(place, lads(START))
        empty = {name for name, value in arguments.items() if isinstance(value, Structures) and not value.items}
        return place, {name: value for name, value in arguments.items() if name in takes or name not in empty}

    def start(self, place: NodePath, arguments: Mapping[str, Value]) -> None:
        """Call StartProgram, once."""
        self._transport.call(place, lads(START), arguments)

    def call_first(self, *methods: str) -> None:
        """Call the first of some methods that the unit offers: all of them are optional.

        Raises:
            DeviceError: It offers none (`sent` no), or refuses.
        """
        for method in methods:
            if (place := self.place_of(method)) is not None:
                self._transport.call(place, lads(method), {})
                return
        raise DeviceError(f"{self._who} offers no {' and no '.join(methods)}", sent=Sent.NO)


def _good(value: NodeValue | None) -> object:
    return value.value if value is not None and value.quality != "bad" else None


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def program_text(value: float | str) -> str:
    """Write a property in the one canonical form: a float by its shortest exact decimals."""
    return value if isinstance(value, str) else repr(float(value))


def _start_arguments(call: Call, template: str) -> dict[str, Value]:
    properties = {name: program_text(value) for name, value in call.arguments.items() if name != "template"}
    pairs = [Structure("KeyValueType", {"Key": key, "Value": value}) for key, value in properties.items()]
    sample = {"ContainerId": "", "SampleId": call.run_key, "Position": call.position or "", "CustomData": ""}
    samples = [Structure("SampleInfoType", sample)] if call.position is not None else []
    return {
        "ProgramTemplateId": template,
        "Properties": Structures(pairs),
        "SupervisoryJobId": call.campaign,
        "SupervisoryTaskId": call.run_key,
        "Samples": Structures(samples),
    }
