"""A client of open62541, by its binding `o6`: see `lads_client.py`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import o6
from lads_client import Path
from o6.ns import amb, lads, ns0

MODE = {"SignAndEncrypt": 3, "Sign": 2, "None": 1}
STRUCTURES = (amb.datatypes.NameNodeIdDataType, lads.datatypes.KeyValueType, lads.datatypes.SampleInfoType)
"""Named before a session begins: o6 decodes what was loaded by then."""
POLICY = "http://opcfoundation.org/UA/SecurityPolicy#"


class Stack:
    """One session."""

    def __init__(self, client: o6.Client) -> None:
        self._client = client
        known = (getattr(o6.ns, name) for name in o6.ns)
        self._spaces = {space.uri: space.index for space in known}  # of this process: o6 numbers namespaces anew

    def _node(self, path: Path) -> o6.NodeId:
        names = [o6.QualifiedName(f"{self._spaces[uri] if uri else 0}:{name}") for uri, name in path]
        found = self._client.browseSimplifiedBrowsePaths("i=85", names)
        assert found.statusCode == 0, (path, found.statusCode)
        (target,) = found.targets
        return o6.NodeId(str(target.targetId))

    def value(self, path: Path) -> Any:
        return plain(self._client.read(self._node(path)))

    def write(self, path: Path, value: bool) -> str:
        self._client.write(self._node(path), o6.Boolean(value))
        return "Good"

    def names(self, path: Path) -> list[str]:
        found = self._client.browse(self._node(path), resultMask=63)
        return [str(one.browseName.name) for one in found if int(one.nodeClass) == 1]

    def arguments(self, path: Path) -> list[str]:
        return [str(one.name) for one in self._client.read(self._node([*path, ("", "InputArguments")]))]

    def call(self, path: Path, values: Sequence[Any]) -> tuple[str, list[Any]]:
        inputs = [o6.String(one) if isinstance(one, str) else one for one in values]
        status, *outputs = self._client.call(self._node(path[:-1]), self._node(path), inputs)
        return status.name.title().replace("_", ""), [plain(one) for one in outputs]

    def structures(self, kind: str, items: Sequence[dict[str, str]]) -> Any:
        return [self._structure(kind, one) for one in items]

    def _structure(self, kind: str, fields: dict[str, str]) -> Any:
        made = getattr(lads.datatypes, kind)()
        for name, text in fields.items():
            setattr(made, name[0].lower() + name[1:], text)
        return made

    def watch(self, path: Path, seen: list[str]) -> None:
        self._client.monitor(self._node(path), lambda value: seen.append(number(value)), samplingInterval=0.0, queueSize=100)

    def close(self) -> None:
        self._client.disconnect()


def number(value: Any) -> str:
    """Return the number of a node."""
    return str(value).rpartition("i=")[2]


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows; a structure into its fields."""
    if isinstance(value, o6.LocalizedText):
        return str(value.text)
    if isinstance(value, lads.datatypes.KeyValueType):
        return {"Key": str(value.key), "Value": str(value.value)}
    if isinstance(value, lads.datatypes.SampleInfoType):
        return {name: str(getattr(value, name[0].lower() + name[1:])) for name in ("ContainerId", "SampleId", "Position", "CustomData")}
    if isinstance(value, amb.datatypes.NameNodeIdDataType):
        return {"Name": str(value.name.text), "NodeId": str(value.nodeId).rpartition("=")[2]}
    if isinstance(value, ns0.datatypes.EUInformation):
        return [str(value.displayName.text), int(value.unitId)]
    if isinstance(value, str | o6.String):
        return str(value)
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    return bool(value) if isinstance(value, bool | np.bool_ | o6.Boolean) else float(value)


def connect(link: dict[str, str]) -> Stack:
    """Connect as the line says."""
    options: dict[str, Any] = {}
    if "certificate" in link:
        options = {
            "certificate": link["certificate"],
            "privateKey": link["key"],
            "trustList": [link["server"]],
            "securityMode": MODE[link["mode"]],
            "securityPolicy": POLICY + link["policy"],
            "applicationUri": link["uri"],
            "username": link["user"],
            "password": link["password"],
        }
    client = o6.Client(link["url"], **options)
    client.config.sessionName = "witness"
    client.connect()
    return Stack(client)
