"""Stand-ins that are asked by the calls of their driver: for devices whose wire nobody declared.

One JSON object per line, both ways: `{"id", "to", "do", ...}` -> `{"id", "is": ...}` or `{"id", "refused": TEXT}`. `do` is
`identify`, `perform`, `state`, `read`, `cancel`, `safe`. The device counts what it carries out, and says how the last dose or
program stands: that is the evidence by which the driver's side of it knows what a crash has left.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from simulators.declarations import Value
from simulators.stand_in import StandIn

END: Final = b"\n"


class CallStandIn(StandIn):
    """A stand-in behind a line of JSON objects."""

    TERMINATOR: ClassVar[bytes] = END
    ACKNOWLEDGEMENT: ClassVar[bytes] = b"{}"

    @override
    def is_addressed(self, line: bytes) -> bool:
        return _request(line).get("to") == self.name

    @override
    def reply(self, line: bytes) -> bytes | None:
        asked = _request(line)
        self.hear()
        answers: Mapping[str, Callable[[], Any]] = {
            "identify": lambda: {"model": self.declared.driver, **self.identity},
            "perform": lambda: self._perform(asked),
            "state": lambda: self._state,
            "read": lambda: {name: self._said(name) for name in asked["channels"]},
            "cancel": self.cancel,
            "safe": lambda: self._make_safe(asked["action"]),
        }
        try:
            told = {"is": answers[asked["do"]]()}
        except _Refused as refusal:
            told = {"refused": str(refusal)}
        except (KeyError, TypeError, ValueError) as error:
            told = {"refused": f"not understood: {type(error).__name__}: {error}"}
        return json.dumps({"id": asked.get("id"), **told}).encode()

    def _perform(self, asked: Mapping[str, Any]) -> None:
        reason = self.take(asked["command"], asked["arguments"], run_key=asked.get("run_key"))
        if reason is not None:
            raise _Refused(reason)

    @property
    def _state(self) -> dict[str, Any]:
        """How many doses and programs were begun since it was switched on, and how the last one stands."""
        last = {} if self.dose is None else {"command": self.dose.command, "reason": self.dose.reason}
        return {"boot_id": self.identity["boot_id"], "begun": self.doses, "busy": self.is_busy, **last}

    def _said(self, channel: str) -> Value | None:
        value = self.value(channel)
        return "" if value is None and self.declared.channels[channel].text else value

    def _make_safe(self, action: str) -> None:
        if action not in self.declared.safe:
            raise _Refused(f"no safe action {action!r}")
        self.make_safe(action)


class _Refused(Exception):
    """What the device does not do."""


def _request(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
