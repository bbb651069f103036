"""In which state a LADS device is: servers translate the text of a state, so that its node or its number decides."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from instruments.transport.base import BASE, Name, NodePath, NodeTransport, NodeValue
from orchestrator.errors import DeviceError, Sent

STOPPED, RUNNING, ABORTED = "Stopped", "Running", "Aborted"
AT_REST: Final = frozenset({STOPPED, ABORTED})
FUNCTIONAL: Final = {1: ABORTED, 2: "Aborting", 3: "Clearing", 4: STOPPED, 5: RUNNING, 6: "Stopping"}
"""StateNumber of each state of FunctionalStateMachineType in the published nodeset of LADS 1.0.0."""
COVER: Final = {1: "Closed", 2: "Error", 3: "Locked", 4: "Opened", 5: "Closing", 6: "Locking", 7: "Opening", 8: "Unlocking"}
"""The same of CoverStateMachineType."""
_POLL: Final = 0.05
"""Wall seconds between two looks at a device that is about to change."""


class StateMachine:
    """One state machine of a device."""

    def __init__(self, transport: NodeTransport, path: NodePath, numbers: Mapping[int, str] = FUNCTIONAL) -> None:
        """Bind it; nothing is sent.

        Args:
            transport: The server.
            path: Of the state machine.
            numbers: Name of each state by its published number.
        """
        self._transport = transport
        current = (*path, Name("CurrentState", BASE))
        self._paths = (current, (*current, Name("Id", BASE)), (*current, Name("Number", BASE)))
        self._numbers = numbers
        self._names: dict[str, str] = {}
        self._session = ""

    def state(self) -> str | None:
        """Get its state; None where there is none, or while the device does not say it."""
        return self.told()[0]

    def told(self) -> tuple[str | None, NodeValue | None]:
        """Get its state, and the text that the server shows of it."""
        text, node, number = self._transport.look(self._paths)
        if text is None or text.quality != "good":
            return None, text
        return self._by_node(node) or self._by_number(number) or self._by_text(text), text

    def reading(self, who: str) -> tuple[NodeValue, str]:
        """Read its state for a channel: what the server gave, and which state that is.

        Raises:
            DeviceError: It says none.
        """
        state, text = self.told()
        if text is None or state is None:
            raise DeviceError(f"{who} does not say its state: {_shown(text)}", sent=Sent.NO)
        return text, state

    def _by_node(self, node: NodeValue | None) -> str | None:
        if node is None or node.quality != "good" or not node.value:
            return None
        if self._transport.session != self._session:
            self._session, self._names = self._transport.session, {}
        if node.value not in self._names:
            name = self._transport.browse_name(str(node.value))
            self._names[str(node.value)] = name.name if name is not None else ""
        name_of_state = self._names[str(node.value)]
        return name_of_state if name_of_state in self._numbers.values() else None

    def _by_number(self, number: NodeValue | None) -> str | None:
        return self._numbers.get(number.value) if number is not None and number.quality == "good" else None

    def _by_text(self, text: NodeValue) -> str | None:
        return text.value if text.value in self._numbers.values() else None


def _shown(text: NodeValue | None) -> str:
    return "there is none" if text is None else f"{text.value!r} ({text.status})"


def within(limit: float, condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds, for at most so many wall seconds; return whether it does."""
    until = time.monotonic() + limit
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True
