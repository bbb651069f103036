"""When a bench differs from its twin in another way than before: what a bench file asks, and what the ledger keeps of it."""

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Number, Whole

Then = Literal["tell", "pause", "reference", "recalibrate"]


class DriftSpec(Frozen):
    """Whether campaigns watch how the bench differs from its twin; without the table nothing is computed."""

    false_alarm: Annotated[Number, Field(ge=10)] = 500.0
    """Runs between two false alarms of a quantity, on average."""
    learn: Annotated[Whole, Field(ge=8)] = 30
    """So many runs say how the bench differs from its twin while nothing drifts; those that come after are watched. After an alarm
    it is learned anew, from the run with which the drift probably began."""
    then: Then = "tell"
    """What follows from an alarm: `tell` people, `pause` the campaign, carry out a `reference` run (what was carried out most
    often is repeated), or `recalibrate` the twin (a new revision is written, which `athanor amend` takes up)."""


class DriftAlarm(Frozen):
    """A quantity that began to differ from what the twin says of it in another way than before."""

    target: str
    """The quantity."""
    run_key: str
    """The run with which it was noticed."""
    number: int
    """Of its proposal."""
    since: str
    """Run key of the run with which it probably began."""
    since_number: int
    """Of its proposal."""
    size: float
    """The larger of the chart's two sums, in standard deviations."""
    limit: float
    """Which it exceeds."""
    then: Then
    """What is to follow."""
    done: str | None = None
    """What has followed; None while it has not."""

    @property
    def line(self) -> str:
        """Say it to people."""
        return (
            f"{self.target} drifts from what the twin says: noticed at proposal {self.number}, probably since proposal "
            f"{self.since_number} (sum of deviations {self.size:.3g}, limit {self.limit:.3g})"
        )

    @property
    def answered_line(self) -> str:
        """Say it to people, with what has followed."""
        return f"{self.line}; {self.done or f'not answered yet ({self.then})'}"
