"""What an engine of declared devices does: asks one value, sends one act. Three of them: lines, registers, nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from instruments.drivers.declared.spec import ActSpec, QuestionSpec

Values = Mapping[str, float | str]
"""Argument -> what goes over the wire, in the device's own counts."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer."""

    text: str
    """The whole answer of a line protocol; the number of a register, or the value of a node, as a text."""
    raw: bytes
    is_bad: bool = False
    """Whether the server itself says that the value is of bad quality."""


class Engine(Protocol):
    """Speaks to one device. Every method raises an InstrumentError that says `sent: no | maybe | yes`."""

    def ask(self, question: QuestionSpec, *shapes: str) -> Heard:
        """Ask for one value.

        Args:
            question: What is asked.
            shapes: Regular expressions of whole answers; of a line protocol, whatever has another shape is not the answer.
        """
        ...

    def act(self, act: ActSpec, values: Values, *, bare: bool = False) -> None:
        """Send one act, once.

        Args:
            act: What is sent.
            values: Its arguments.
            bare: Nothing is asked, and the rest is sent though a part of it fails: for the safe state.
        """
        ...


def value_of(act: ActSpec, values: Values) -> float | str:
    """Return what is written: a constant, the argument that the act names, or the only one."""
    if act.value is None:
        return next(iter(values.values()))
    return values.get(act.value, act.value) if isinstance(act.value, str) else act.value
