"""The OPC Foundation's nodesets as published: nodes, references and the members that a type declares."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

BASE = "http://opcfoundation.org/UA/"
FILES = ("", ".Di", ".AMB", ".IA", ".Machinery", ".LADS")
_XML = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
_VALUE = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"

Key = tuple[str, str]
"""Namespace and identifier as text (`i=58`): a node id whatever the order of namespaces."""
Name = tuple[str, str]
"""Namespace and text of a BrowseName."""
Reference = tuple[Key, bool, Key]
"""Type, whether forward, target."""

HAS_TYPE, HAS_RULE, HAS_SUBTYPE = (BASE, "i=40"), (BASE, "i=37"), (BASE, "i=45")
MANDATORY, OPTIONAL = (BASE, "i=78"), (BASE, "i=80")
_PLACEHOLDERS = ((BASE, "i=11508"), (BASE, "i=11510"))
_HIERARCHICAL = (BASE, "i=33")


@dataclass
class Node:
    node_class: str
    name: Name
    data_type: Key | None = None
    rank: int = -1
    is_abstract: bool = False
    references: list[Reference] = field(default_factory=list)
    element: ET.Element | None = None

    def targets(self, reference: Key, *, forward: bool = True) -> list[Key]:
        return [target for kind, way, target in self.references if (kind, way) == (reference, forward)]


@dataclass(frozen=True)
class Member:
    """What a type says of one of its members; `declared` are the nodes that say it, the most specific first."""

    name: Name
    reference: Key
    rule: str
    declared: tuple[Key, ...]


class Nodesets:
    def __init__(self, folder: Path) -> None:
        self.nodes: dict[Key, Node] = {}
        for part in FILES:
            self._load(folder / f"Opc.Ua{part}.NodeSet2.xml")
        for key, node in list(self.nodes.items()):
            for kind, forward, target in node.references:
                other = self.nodes.get(target)
                if other is not None and (kind, not forward, key) not in other.references:
                    other.references.append((kind, not forward, key))

    @cached_property
    def namespaces(self) -> frozenset[str]:
        return frozenset(space for space, _ in self.nodes) - {BASE}

    def _load(self, path: Path) -> None:
        root = ET.parse(path).getroot()
        uris = [BASE, *(uri.text or "" for uri in root.iterfind(f"{_XML}NamespaceUris/{_XML}Uri"))]
        aliases = {alias.get("Alias"): alias.text or "" for alias in root.iterfind(f"{_XML}Aliases/{_XML}Alias")}

        def split(text: str, pattern: str) -> tuple[str, str]:
            match = re.fullmatch(pattern, text)
            assert match is not None
            return uris[int(match[1] or 0)], match[2]

        def key(text: str | None) -> Key:
            return split(aliases.get(text, text or ""), r"(?:ns=(\d+);)?(.*)")

        for element in root:
            tag = element.tag.removeprefix(_XML)
            if not tag.startswith("UA"):
                continue
            references = [
                (key(one.get("ReferenceType")), one.get("IsForward") != "false", key(one.text))
                for one in element.iterfind(f"{_XML}References/{_XML}Reference")
            ]
            kind = element.get("DataType")
            if kind is None and tag == "UAVariable":
                kind = "i=24"
            self.nodes[key(element.get("NodeId"))] = Node(
                tag.removeprefix("UA"),
                split(element.get("BrowseName", ""), r"(?:(\d+):)?(.*)"),
                None if kind is None else key(kind),
                int(element.get("ValueRank", "-1")),
                element.get("IsAbstract") == "true",
                references,
                element,
            )

    def chain(self, key: Key) -> Iterator[Key]:
        """Go from a type up to its last supertype."""
        current: Key | None = key
        while current is not None:
            yield current
            above = self.nodes[current].targets(HAS_SUBTYPE, forward=False)
            current = above[0] if above else None

    def is_kind_of(self, key: Key, other: Key) -> bool:
        return other in self.chain(key)

    def type_of(self, key: Key) -> Key | None:
        types = self.nodes[key].targets(HAS_TYPE)
        return types[0] if types else None

    def members(self, declarations: tuple[Key, ...], type_key: Key | None) -> dict[Name, Member]:
        """Name what an instance must or may have: as its declarations say, then as its type and its supertypes say."""
        sources = [*declarations]
        for declared in declarations:
            kind = self.type_of(declared)
            sources += [] if kind is None else self.chain(kind)
        sources += [] if type_key is None else self.chain(type_key)
        found: dict[Name, Member] = {}
        for source in dict.fromkeys(sources):
            for reference, forward, target in self.nodes[source].references:
                if forward and self._is_member(reference, target):
                    self._add(found, reference, target)
        return found

    def _is_member(self, reference: Key, target: Key) -> bool:
        return target in self.nodes and self.is_kind_of(reference, _HIERARCHICAL) and bool(self.nodes[target].targets(HAS_RULE))

    def _add(self, found: dict[Name, Member], reference: Key, target: Key) -> None:
        name = self.nodes[target].name
        rule = {MANDATORY: "mandatory", OPTIONAL: "optional"}.get(self.nodes[target].targets(HAS_RULE)[0], "placeholder")
        known = found.get(name)
        if known is None:
            found[name] = Member(name, reference, rule, (target,))
        elif target not in known.declared:
            stricter = "mandatory" if "mandatory" in (rule, known.rule) else known.rule
            found[name] = Member(name, known.reference, stricter, (*known.declared, target))

    def fields(self, key: Key) -> list[tuple[str, str]]:
        """Name the fields of a structure with their data types, as the file writes them."""
        element = self.nodes[key].element
        assert element is not None
        return [(one.get("Name", ""), one.get("DataType", "")) for one in element.iterfind(f"{_XML}Definition/{_XML}Field")]

    def arguments(self, key: Key) -> list[tuple[str, str, int]]:
        """Name the arguments that a property InputArguments or OutputArguments holds: name, identifier of type, rank."""
        element = self.nodes[key].element
        assert element is not None
        return [
            (
                one.findtext(f"{_VALUE}Name", ""),
                one.findtext(f"{_VALUE}DataType/{_VALUE}Identifier", "").rpartition(";")[2],
                int(one.findtext(f"{_VALUE}ValueRank", "-1")),
            )
            for one in element.iter(f"{_VALUE}Argument")
        ]

    def number(self, key: Key) -> int:
        """Get the number that a property's value is."""
        element = self.nodes[key].element
        assert element is not None
        return int("".join(element.find(f"{_XML}Value").itertext()))  # type: ignore[union-attr]  # it has one
