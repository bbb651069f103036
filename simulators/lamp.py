"""A lamp as a two-state control function (LADS, 7.6.13): it follows its target while its function runs."""

from simulators.unit_states import Refusal, State


class Lamp:
    """State of the function, its target, and so the light."""

    def __init__(self) -> None:
        self.state = State.STOPPED
        self.target = False

    @property
    def is_on(self) -> bool:
        """Say whether the lamp burns."""
        return self.state is State.RUNNING and self.target

    def start(self, target: bool | None = None) -> Refusal | None:
        """Start the function, with a new target or the one that there is; only Clear leaves Aborted."""
        if self.state is State.ABORTED:
            return Refusal.STATE
        self.target = self.target if target is None else target
        self.state = State.RUNNING
        return None

    def stop(self) -> None:
        """Stop the function: the lamp is off, whatever its target."""
        if self.state is State.RUNNING:
            self.state = State.STOPPED

    def abort(self) -> None:
        """Abort the function: the lamp is off until it is cleared and started again."""
        if self.state is State.RUNNING:
            self.state = State.ABORTED

    def clear(self) -> Refusal | None:
        """Leave Aborted."""
        if self.state is State.RUNNING:
            return Refusal.STATE
        self.state = State.STOPPED
        return None

    def cut(self) -> None:
        """Lose power: off, and so when power is back."""
        self.state, self.target = State.STOPPED, False
