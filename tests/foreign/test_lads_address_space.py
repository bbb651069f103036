"""Our LADS server, held against the published nodesets of LADS, DI, AMB and Machinery: node by node, member by member."""

import asyncio
import copy
from collections.abc import Callable, Iterator

import pytest
from asyncua import ua
from asyncua.ua.object_ids import ObjectIdNames

from tests.foreign import MODULES, need
from tests.foreign.crawled import crawl
from tests.foreign.nodesets import BASE, HAS_TYPE, Key, Member, Name, Node, Nodesets
from tests.simulator.plant_process import DI, LADS, PLATFORM, PlantProcess, Platform

pytestmark = [pytest.mark.slow, pytest.mark.foreign]

AMB = "http://opcfoundation.org/UA/AMB/"
_HIERARCHICAL = (BASE, "i=33")
_ORGANIZES = (BASE, "i=35")


@pytest.fixture(scope="module")
def nodesets() -> Nodesets:
    return Nodesets(need(MODULES / "node-opcua-nodesets") / "nodesets")


@pytest.fixture(scope="module")
def plant(nodesets: Nodesets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    running = PlantProcess.start(tmp_path_factory.mktemp("plant"), rate=600.0)
    yield running
    assert running.stop() == b""


@pytest.fixture(scope="module")
def server(plant: PlantProcess) -> dict[Key, Node]:
    """The address space of a server that has run one program."""

    async def look() -> dict[Key, Node]:
        async with Platform(plant.url) as platform:
            await platform.start("looked at", "A1")
            while await platform.current_state() != "Stopped":
                await asyncio.sleep(0.05)
            return await crawl(platform.client)

    return asyncio.run(look())


def published_in(server: dict[Key, Node], nodesets: Nodesets) -> dict[Key, Node]:
    return {key: node for key, node in server.items() if key[0] in nodesets.namespaces}


def test_no_node_of_ours_stands_in_a_published_namespace(server: dict[Key, Node], nodesets: Nodesets) -> None:
    shown = published_in(server, nodesets)
    assert len(shown) > 60
    assert [key for key in shown if key not in nodesets.nodes] == []


def test_every_published_node_is_shown_as_it_is_published(server: dict[Key, Node], nodesets: Nodesets) -> None:
    wrong = []
    for key, node in published_in(server, nodesets).items():
        wanted = nodesets.nodes[key]
        for what in ("node_class", "name", "data_type", "rank", "is_abstract"):
            if getattr(node, what) != getattr(wanted, what):
                wrong += [f"{wanted.name[1]} {key}: {what} {getattr(node, what)}; published {getattr(wanted, what)}"]
        known = [reference for reference in node.references if reference[2] in nodesets.nodes]
        wrong += [f"{wanted.name[1]} {key}: {reference} is not published" for reference in known if reference not in wanted.references]
    assert wrong == []


def test_types_are_shown_with_their_whole_chain_of_supertypes(server: dict[Key, Node], nodesets: Nodesets) -> None:
    for key, node in published_in(server, nodesets).items():
        if node.node_class == "ObjectType":
            assert all(above in server for above in nodesets.chain(key)), node.name


def test_states_and_transitions_have_the_published_numbers(server: dict[Key, Node], nodesets: Nodesets, plant: PlantProcess) -> None:
    numbers = [key for key, node in published_in(server, nodesets).items() if node.name[1] in ("StateNumber", "TransitionNumber")]
    assert len(numbers) == 6 + 7 + 4 + 4

    async def read() -> list[int]:
        async with Platform(plant.url) as platform:
            nodes = [ua.NodeId.from_string(f"ns={await platform.client.get_namespace_index(space)};{text}") for space, text in numbers]
            return [await platform.client.get_node(node).read_value() for node in nodes]

    assert asyncio.run(read()) == [nodesets.number(key) for key in numbers]


def test_structures_have_the_published_fields(nodesets: Nodesets, plant: PlantProcess) -> None:
    async def read(space: str, number: int) -> list[tuple[str, str]]:
        async with Platform(plant.url) as platform:
            node = platform.client.get_node(ua.NodeId.from_string(f"ns={await platform.client.get_namespace_index(space)};i={number}"))
            definition = await node.read_data_type_definition()
            assert isinstance(definition, ua.StructureDefinition)
            return [(field.Name, ObjectIdNames[field.DataType.Identifier]) for field in definition.Fields]

    for space, number in ((LADS, 3002), (LADS, 3003), (AMB, 3003)):
        assert asyncio.run(read(space, number)) == nodesets.fields((space, f"i={number}"))


class Inspection:
    """Walks down the instances below the device; each is held against its declarations and its type."""

    def __init__(self, server: dict[Key, Node], nodesets: Nodesets) -> None:
        self.server, self.nodesets = server, nodesets
        self.wrong: list[str] = []
        self.compared: dict[str, int] = {"mandatory": 0, "optional": 0, "placeholder": 0}
        self.types: set[str] = set()

    def children(self, key: Key) -> list[tuple[Key, Key]]:
        """Reference types and targets, hierarchical and forward."""
        return [
            (kind, target)
            for kind, forward, target in self.server[key].references
            if forward and self.nodesets.is_kind_of(kind, _HIERARCHICAL)
        ]

    def inspect(self, key: Key, declared: tuple[Key, ...], path: str) -> None:
        types = self.server[key].targets(HAS_TYPE)
        type_key = types[0] if types else None
        if type_key is not None:
            self.types.add(self.nodesets.nodes[type_key].name[1])
        members = self.nodesets.members(declared, type_key)
        children = self.children(key)
        names = {self.server[target].name for _, target in children}
        self.wrong += [
            f"{path}: {member.name[1]} is missing" for member in members.values() if member.rule == "mandatory" and member.name not in names
        ]
        for kind, target in children:
            self._inspect_child(members, (kind, target), path)

    def _inspect_child(self, members: dict[Name, Member], child: tuple[Key, Key], path: str) -> None:
        kind, target = child
        node = self.server[target]
        below = f"{path}/{node.name[1]}"
        member = members.get(node.name)
        if member is None and kind == _ORGANIZES:
            return  # a group shows what stands elsewhere
        if member is None and node.name[0] == PLATFORM:
            member = self._place(members, target)
        elif member is None and node.name[0] != BASE:
            self.wrong.append(f"{below}: no published member of this name")
        if member is not None:
            self.compared[member.rule] += 1
            self._compare(member, kind, target, below)
        if kind != _ORGANIZES:
            self.inspect(target, () if member is None else member.declared, below)

    def _place(self, members: dict[Name, Member], target: Key) -> Member | None:
        """Find the placeholder that an instance of a name of its own stands for."""
        types = self.server[target].targets(HAS_TYPE)
        fitting = [
            member
            for member in members.values()
            if member.rule == "placeholder" and types and self._fits_type(types[0], self.nodesets.type_of(member.declared[0]))
        ]
        return fitting[0] if fitting else None

    def _fits_type(self, found: Key, wanted: Key | None) -> bool:
        return wanted is None or self.nodesets.is_kind_of(found, wanted)

    def _compare(self, member: Member, kind: Key, target: Key, path: str) -> None:
        node, wanted = self.server[target], self.nodesets.nodes[member.declared[0]]
        if not self.nodesets.is_kind_of(kind, member.reference):
            self.wrong.append(f"{path}: reference {kind}; published {member.reference}")
        if node.node_class != wanted.node_class:
            self.wrong.append(f"{path}: {node.node_class}; published {wanted.node_class}")
        types = node.targets(HAS_TYPE)
        for declared in member.declared:
            if types and not self._fits_type(types[0], self.nodesets.type_of(declared)):
                self.wrong.append(f"{path}: type {types[0]}; published {self.nodesets.type_of(declared)}")
        if wanted.node_class == "Variable":
            self._compare_values(node, wanted, path, rank=member.rule != "placeholder")

    def _compare_values(self, node: Node, wanted: Node, path: str, *, rank: bool) -> None:
        """Compare data types, and ranks where the file states one: a result's placeholder has none, and spectra are arrays."""
        assert node.data_type is not None
        assert wanted.data_type is not None
        if not self.nodesets.is_kind_of(node.data_type, wanted.data_type):
            self.wrong.append(f"{path}: data type {node.data_type}; published {wanted.data_type}")
        if rank and wanted.rank != -2 and node.rank != wanted.rank:
            self.wrong.append(f"{path}: value rank {node.rank}; published {wanted.rank}")


def test_every_instance_has_the_published_members_and_none_that_is_not_published(
    server: dict[Key, Node], nodesets: Nodesets, record_property: Callable[[str, object], None]
) -> None:
    inspection = Inspection(server, nodesets)
    device = next(key for key, node in server.items() if node.name == (PLATFORM, "SynthesisPlatform"))
    assert server[device].targets(HAS_TYPE) == [(LADS, "i=1002")]
    inspection.inspect(device, (), "SynthesisPlatform")
    assert inspection.wrong == []
    assert {
        "LADSDeviceType",
        "MachineIdentificationType",
        "LADSDeviceStateMachineType",
        "FunctionalUnitType",
        "FunctionalUnitStateMachineType",
        "LockingServicesType",
        "ProgramManagerType",
        "ProgramTemplateType",
        "ActiveProgramType",
        "ResultType",
        "TwoStateDiscreteControlFunctionType",
        "ControlFunctionStateMachineType",
        "AnalogScalarSensorFunctionType",
    } <= inspection.types
    assert inspection.compared["mandatory"] > 100
    record_property("figure", f"members compared with the published nodesets: {inspection.compared}")


def test_the_comparison_notices_what_is_missing_of_another_type_or_not_published(server: dict[Key, Node], nodesets: Nodesets) -> None:
    def complaints(change: Callable[[dict[str, Node]], None]) -> list[str]:
        doctored = copy.deepcopy({key: node for key, node in server.items() if key[0] == PLATFORM})
        change({key[1].removeprefix("s=SynthesisPlatform/"): node for key, node in doctored.items()})
        inspection = Inspection(server | doctored, nodesets)
        inspection.inspect((PLATFORM, "s=SynthesisPlatform"), (), "device")
        return inspection.wrong

    def rename(nodes: dict[str, Node]) -> None:
        nodes["SerialNumber"].name = (DI, "Serialnumber")

    def retype(nodes: dict[str, Node]) -> None:
        nodes["FunctionalUnitSet/Analyser/ProgramManager/ActiveProgram/CurrentProgramTemplate"].data_type = (BASE, "i=12")

    def flatten(nodes: dict[str, Node]) -> None:
        nodes["FunctionalUnitSet/Analyser/FunctionalUnitState/AvailableStates"].rank = -1

    assert complaints(lambda _: None) == []
    assert {line.rpartition(":")[2] for line in complaints(rename)} == {" SerialNumber is missing", " no published member of this name"}
    assert any("data type" in line for line in complaints(retype))
    assert any("value rank" in line for line in complaints(flatten))


METHODS = {
    "FunctionalUnitState/StartProgram": (LADS, "i=7010"),
    "Lock/InitLock": (DI, "i=6393"),
    "Lock/RenewLock": (DI, "i=6396"),
    "Lock/ExitLock": (DI, "i=6398"),
    "Lock/BreakLock": (DI, "i=6400"),
    "Lamp/ControlFunctionState/StartWithTargetValue": (LADS, "i=7054"),
}


@pytest.mark.parametrize("path", METHODS)
def test_methods_take_and_give_what_is_published(plant: PlantProcess, nodesets: Nodesets, path: str) -> None:
    published = nodesets.nodes[METHODS[path]]
    properties = [target for _, forward, target in published.references if forward and target in nodesets.nodes]
    wanted = {
        nodesets.nodes[key].name[1]: nodesets.arguments(key) for key in properties if nodesets.nodes[key].name[1].endswith("Arguments")
    }

    top = "SynthesisPlatform/FunctionalUnitSet/Analyser/" + "FunctionSet/" * path.startswith("Lamp")

    async def read() -> dict[str, list[tuple[str, str, int]]]:
        async with Platform(plant.url) as platform:
            method = platform.client.get_node(ua.NodeId.from_string(f"ns={platform.own};s={top}{path}"))
            found: dict[str, list[tuple[str, str, int]]] = {}
            for child in await method.get_properties():
                rows = [(one.Name, one.DataType.to_string().rpartition(";")[2], int(one.ValueRank)) for one in await child.read_value()]
                found[(await child.read_browse_name()).Name] = rows
            return found

    assert asyncio.run(read()) == wanted
    assert wanted


def test_what_is_the_vendors_is_this_and_no_more(server: dict[Key, Node]) -> None:
    """Names of the platform's own that stand for no published placeholder: they are declared in the documents."""
    vendor = {
        node.name[1]
        for key, node in server.items()
        if node.name[0] == PLATFORM and node.node_class in ("Variable", "Method") and "VariableSet" not in key[1]
    }
    assert vendor == {"WatchdogTimeout", "Kick"}
