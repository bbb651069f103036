"""The engine of plain OPC-UA servers: nodes are read and written, methods called, by their browse paths."""

from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override

from instruments.drivers.declared.complaints import lines_of
from instruments.drivers.declared.engine import Engine, Heard, Values, value_of
from instruments.drivers.declared.spec import ActSpec, QuestionSpec
from instruments.transport.base import Name, NodePath, NodeTransport, NodeValue
from orchestrator.errors import DeviceError, Sent

_FALSE: Final = frozenset({"", "0", "false"})
"""Texts that are written as false where a node is a bool."""


def node_path(written: str | Sequence[str]) -> NodePath:
    """Take a browse path below the Objects folder apart: `A/B/C`, `URI|A/B/C`, or a list of such names, each with its own URI."""
    if not isinstance(written, str):
        return tuple(name for one in written for name in _names(one, one.rpartition("|")[2:]))
    return _names(written, written.rpartition("|")[2].split("/"))


def _names(written: str, names: Sequence[str]) -> NodePath:
    uri = written.rpartition("|")[0] or None
    return tuple(Name(name, uri) for name in names if name)


class NodeEngine(Engine):
    """Reads and writes the nodes of one server."""

    def __init__(self, transport: NodeTransport, name: str, fields: Values) -> None:
        """Bind it; nothing is sent. `fields` are the options that the texts of a method may name."""
        self._transport, self._name, self._fields = transport, name, fields

    @override
    def ask(self, question: QuestionSpec, *shapes: str) -> Heard:
        del shapes  # a value is known by its node
        assert question.node is not None
        (value,) = self._transport.read([node_path(question.node)])
        return Heard(_text(value.value), _raw(value), value.quality == "bad" or value.value is None)

    @override
    def act(self, act: ActSpec, values: Values, *, bare: bool = False) -> None:
        del bare  # nothing is asked after a write, and there is one act alone
        if act.method is not None:
            path = node_path(act.method)
            named = (line.format(**self._fields, **values).partition("=") for line in lines_of(act))
            self._transport.call(path[:-1], path[-1], {name.strip(): text.strip() for name, _, text in named})
        elif act.node is not None:
            self._transport.write(node_path(act.node), self._typed(act, value_of(act, values)))

    def _typed(self, act: ActSpec, value: float | str) -> bool | int | float | str:
        if act.type == "bool":
            return value.lower() not in _FALSE if isinstance(value, str) else bool(value)
        if act.type == "int" and not isinstance(value, str):
            if value != round(value):
                raise DeviceError(f"{self._name}: {value:g} is no whole number for {act.node!r}", sent=Sent.NO)
            return round(value)
        return value


def _text(value: Any) -> str:
    """Write a value as channels compare it; truth is 1 or 0."""
    return str(int(value)) if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _raw(value: NodeValue) -> bytes:
    return f"{value.value!r} {value.status} {value.source_timestamp}".encode()
