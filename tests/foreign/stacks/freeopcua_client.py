"""A client of FreeOpcUa's `opcua`, which knows no DataTypeDefinition: its structures are written down. See `lads_client.py`."""

from collections.abc import Sequence
from typing import Any

from lads_client import LADS, Path
from opcua import Client, Node, ua
from opcua.crypto.security_policies import SecurityPolicyBasic256Sha256

AMB = "http://opcfoundation.org/UA/AMB/"


class KeyValueType:
    """Of LADS; its encoding is i=5045 [LADS 1.0.0]."""

    ua_types = (("Key", "String"), ("Value", "String"))


class SampleInfoType:
    """Of LADS; its encoding is i=5042."""

    ua_types = (("ContainerId", "String"), ("SampleId", "String"), ("Position", "String"), ("CustomData", "String"))


class NameNodeIdDataType:
    """Of AMB; its encoding is i=5012."""

    ua_types = (("Name", "LocalizedText"), ("NodeId", "NodeId"))


STRUCTURES: dict[Any, tuple[str, int]] = {KeyValueType: (LADS, 5045), SampleInfoType: (LADS, 5042), NameNodeIdDataType: (AMB, 5012)}


class Seen:
    """Keeps what a subscription tells."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def datachange_notification(self, node: Node, value: ua.NodeId, data: object) -> None:  # noqa: ARG002
        """As `opcua` calls it."""
        self._seen.append(str(value.Identifier))


class Stack:
    """One session."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._spaces = client.get_namespace_array()
        self._subscription: Any = None
        for one, (uri, number) in STRUCTURES.items():
            ua.register_extension_object(one.__name__, ua.NodeId(number, self._spaces.index(uri)), one)

    def _node(self, path: Path) -> Node:
        names = [f"{self._spaces.index(uri) if uri else 0}:{name}" for uri, name in path]
        return self._client.get_objects_node().get_child(names)

    def value(self, path: Path) -> Any:
        return plain(self._node(path).get_value())

    def write(self, path: Path, value: bool) -> str:
        self._node(path).set_attribute(ua.AttributeIds.Value, ua.DataValue(ua.Variant(value, ua.VariantType.Boolean)))
        return "Good"

    def names(self, path: Path) -> list[str]:
        return [one.get_browse_name().Name for one in self._node(path).get_children(nodeclassmask=ua.NodeClass.Object)]

    def arguments(self, path: Path) -> list[str]:
        return [one.Name for one in self._node([*path, ("", "InputArguments")]).get_value()]

    def call(self, path: Path, values: Sequence[Any]) -> tuple[str, list[Any]]:
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId = self._node(path[:-1]).nodeid, self._node(path).nodeid
        types = [ua.VariantType.String if isinstance(one, str) else ua.VariantType.ExtensionObject for one in values]
        request.InputArguments = [ua.Variant(one, kind) for one, kind in zip(values, types, strict=True)]
        (result,) = self._client.uaclient.call([request])
        return result.StatusCode.name, [plain(one.Value) for one in result.OutputArguments]

    def structures(self, kind: str, items: Sequence[dict[str, str]]) -> Any:
        return [self._structure(kind, one) for one in items]

    def _structure(self, kind: str, fields: dict[str, str]) -> Any:
        made = next(one for one in STRUCTURES if one.__name__ == kind)()
        for name, text in fields.items():
            setattr(made, name, text)
        return made

    def watch(self, path: Path, seen: list[str]) -> None:
        self._subscription = self._client.create_subscription(50, Seen(seen))
        self._subscription.subscribe_data_change(self._node(path), queuesize=100)

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.delete()
        self._client.disconnect()


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows; a structure into its fields."""
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.EUInformation):
        return [value.DisplayName.Text, value.UnitId]
    if isinstance(value, ua.NodeId):
        return str(value.Identifier)
    if type(value) in STRUCTURES:
        return {name: plain(getattr(value, name)) for name, _ in value.ua_types}
    return [plain(one) for one in value] if isinstance(value, list) else value


def connect(link: dict[str, str]) -> Stack:
    """Connect as the line says."""
    client = Client(link["url"])
    client.application_uri = link["uri"]
    if "certificate" in link:
        assert (link["policy"], link["mode"]) == ("Basic256Sha256", "SignAndEncrypt")
        client.set_security(SecurityPolicyBasic256Sha256, link["certificate"], link["key"], link["server"])
        client.set_user(link["user"])
        client.set_password(link["password"])
    client.connect()
    return Stack(client)
