"""Puts stand-ins into a plant, as devices among its others: links and bodies that the plant file does not have."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from orchestrator.errors import BadInput
from simulators.body import Body
from simulators.declarations import Declaration, Declarations, StandInSection, Wire
from simulators.interpolation import SampledFunction
from simulators.plantfile import LoadedPlant, OpcUaLinkSection, PlantFile, PluginSection, SerialLinkSection
from simulators.responses import Room
from simulators.setting import Setting
from simulators.stand_in import StandIn
from simulators.stand_in_calls import CallStandIn
from simulators.stand_in_lines import TextStandIn
from simulators.stand_in_nodes import NodeStandIn
from simulators.stand_in_registers import RegisterStandIn

_KINDS: Final[Mapping[Wire, type[StandIn]]] = {
    "line": TextStandIn,
    "modbus": RegisterStandIn,
    "opcua": NodeStandIn,
    "calls": CallStandIn,
}
MODEL: Final = "stand-in"
"""What a stand-in is called where a plant file names a model."""


def with_stand_ins(loaded: LoadedPlant, declared: Declarations, *, seed: int, folder: Path) -> LoadedPlant:
    """Return a plant with a stand-in of each declared instrument.

    Args:
        loaded: The plant file, or an empty one.
        declared: Instruments that it does not simulate.
        seed: Of responses and failures.
        folder: From where the plant file names tables and functions.

    Raises:
        BadInput: The plant file speaks of a stand-in or a channel that there is not, has a device of the same name, or no text
            can be made of a profile's patterns.
    """
    plant = loaded.file
    _check_names(plant, declared)
    room = room_of(plant, declared, seed=seed, folder=folder)
    for name in plant.responses:
        instrument, _, channel = name.partition(".")
        if instrument in declared.instruments:
            one = declared.instruments[instrument].channels[channel]
            room.prepare(name, one.unit, Setting(one.low, one.high))
    devices = {name: _device(one, plant.stand_ins.get(name, StandInSection()), room) for name, one in declared.instruments.items()}
    links = {
        name: OpcUaLinkSection(kind="opcua") if wire == "opcua" else SerialLinkSection(kind="serial")
        for name, wire in declared.links.items()
    }
    file = plant.model_copy(update={"links": {**plant.links, **links}, "devices": {**plant.devices, **devices}})
    bodies: dict[str, type[Body]] = {name: _KINDS[one.wire] for name, one in declared.instruments.items()}
    return replace(loaded, file=file, bodies={**loaded.bodies, **bodies}, room=room)


def room_of(plant: PlantFile, declared: Declarations, *, seed: int, folder: Path) -> Room:
    """Return what the stand-ins have in common."""
    settings = {
        f"{name}.{command}.{argument}": Setting(spec.low, spec.high, spec.values)
        for name, one in declared.instruments.items()
        for command, described in one.commands.items()
        for argument, spec in described.arguments.items()
    }
    sampled = {name: SampledFunction.model_validate(one) for name, one in declared.sampled.items()}
    surroundings = {
        f"{name}.{channel}": described.about
        for name, one in declared.instruments.items()
        for channel, described in one.channels.items()
        if described.about is not None
    }
    return Room(seed, settings, folder, plant.responses, sampled, surroundings)


def _device(declaration: Declaration, section: StandInSection, room: Room) -> PluginSection:
    options = {"declaration": declaration, "section": section, "room": room, "unit": declaration.fields.get("address", 1)}
    return PluginSection(model=MODEL, link=declaration.link, options=options)


def _check_names(plant: PlantFile, declared: Declarations) -> None:
    answering = {name: one.channels for name, one in declared.instruments.items()} | declared.people
    known = ", ".join(sorted(answering)) or "none"
    if twice := sorted(set(plant.devices) & set(declared.instruments)):
        link = declared.instruments[twice[0]].link
        raise BadInput(
            f"the plant has a device {twice[0]!r}, and so has the bench on link {link}, which the plant does not simulate; rename one"
        )
    if strange := sorted(set(plant.stand_ins) - set(answering)):
        raise BadInput(f"stand_ins.{strange[0]}: no such stand-in; they are {known}")
    for name in plant.responses:
        instrument, _, channel = name.partition(".")
        if not channel:
            continue  # of a target that comes later, which only the campaign knows
        if instrument not in answering:
            raise BadInput(f"responses: {name!r} names no stand-in; they are {known}")
        if channel not in answering[instrument]:
            raise BadInput(f"responses: {instrument} has no channel {channel!r}; it has {', '.join(answering[instrument])}")
        if instrument in declared.instruments and declared.instruments[instrument].channels[channel].text:
            raise BadInput(f"responses: {name} is a text; a response is a number")
