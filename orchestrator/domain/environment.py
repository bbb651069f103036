"""The laboratory's environment: what is read while an experiment is carried out, and what of it belongs to its run. Pure.

It is context: models may be told of it, nothing is ever set or proposed by it.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Final

from pydantic import Field

from orchestrator.domain.values import Frozen

VALID_FOR: Final = 2.0
"""So many times `every` a reading counts for the time after it (our own choice): one late or lost reading leaves no gap."""


NAME: Final = r"^[a-z][a-z0-9_]*$"
"""What a recorded quantity may be called, in a bench file and in a mapping."""
LAB_TIME: Final = "elapsed"
"""The lab time since the first run, as twins call it (`simulators.twins.terms.ELAPSED`): nothing that is recorded may be called so."""
_DAY: Final = 86400.0


class EnvironmentChannel(Frozen):
    """One quantity that is recorded, as the bench file declares it."""

    name: str
    channel: str
    """`instrument.channel`."""
    unit: str
    """Of all its values; empty for a pure number."""
    reference: float
    """Where the goals of a campaign hold."""
    every: float
    """Lab seconds from reading to reading."""
    brought: bool = False
    """Whether a step of the run brings it, as a call that returns it or a person does: then it is never asked for by itself."""
    lot: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """The lot of the stock that it is; None, and not written, of anything else."""
    since: float | None = Field(default=None, exclude_if=lambda value: value is None)
    """Lab seconds of the day from which days are counted; None, and not written, of anything else."""

    @property
    def read(self) -> bool:
        """Whether a device is asked for it."""
        return not self.brought and self.lot is None and self.since is None


class Sample(Frozen):
    """One attempt to read it."""

    lab: float
    """Lab seconds of the reading, or of the failure."""
    value: float | None
    """In the channel's unit; None where it could not be read."""
    reason: str | None = None
    """Why it could not be read."""


class RunEnvironment(Frozen):
    """One quantity over one run, from its beginning to its end."""

    name: str
    channel: str
    """`instrument.channel`."""
    unit: str
    reference: float
    """Where the goals of a campaign hold."""
    mean: float | None
    """Of the readings; None where there was none."""
    sd: float | None
    """Standard deviation of single readings (n - 1); None of fewer than two."""
    samples: int
    """How many readings there were."""
    coverage: float
    """Share of the run, from 0 to 1, for which there was a reading no older than twice the declared interval; what a step brings counts for
    all of the run."""
    lag: float | None
    """The most by which the newest reading was behind, in lab seconds: the longest time without a new one; None without any."""
    message: str | None = None
    """What could not be read, for people."""
    lot: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """The bottle that the run took from; None, and not written, of what is a number. It has neither mean nor reference."""


def over_run(channel: EnvironmentChannel, samples: Sequence[Sample], begin: float, end: float) -> RunEnvironment:
    """Join what was read to a run.

    Args:
        channel: What was declared.
        samples: All attempts, in any order; those outside of the run do not count.
        begin: Lab seconds at which the run began.
        end: Lab seconds at which it ended.
    """
    if channel.lot is not None:
        return _known(channel, None, lot=channel.lot)
    if channel.since is not None:
        return _known(channel, (begin - channel.since) / _DAY)
    inside = sorted((one for one in samples if begin <= one.lab <= end), key=lambda one: one.lab)
    read = [one for one in inside if one.value is not None]
    values = [one.value for one in read if one.value is not None]
    moments = [one.lab for one in read]
    gaps = [after - before for before, after in pairwise([*moments, end])]
    covered = end - begin if channel.brought and values else sum(min(gap, VALID_FOR * channel.every) for gap in gaps)
    return RunEnvironment(
        name=channel.name,
        channel=channel.channel,
        unit=channel.unit,
        reference=channel.reference,
        mean=fmean(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        samples=len(values),
        coverage=min(1.0, covered / (end - begin)) if end > begin else float(bool(values)),
        lag=max(moments[0] - begin, *gaps) if moments else None,
        message=_message([one for one in inside if one.value is None], len(inside), brought=channel.brought),
    )


def _known(channel: EnvironmentChannel, days: float | None, lot: str | None = None) -> RunEnvironment:
    """Return what the bench file says of all of a run: a lot, or days at its beginning since some day."""
    later = days is not None and days < 0.0
    return RunEnvironment(
        name=channel.name,
        channel=channel.channel,
        unit=channel.unit,
        reference=channel.reference,
        mean=None if later else days,
        sd=None,
        samples=0,
        coverage=0.0 if later else 1.0,
        lag=None,
        message="the run began before that day" if later else None,
        lot=lot,
    )


def _message(failed: Sequence[Sample], asked: int, *, brought: bool) -> str | None:
    if not asked:
        return "no step brought it" if brought else "it was never read"
    return f"{len(failed)} of {asked} times it could not be read, at last: {failed[-1].reason}" if failed else None
