"""What the ledger's events say: which kinds of them there are, and who made them happen."""

from enum import StrEnum, auto
from typing import Self

from typing_extensions import override


class EventKind(StrEnum):
    """What happened; the words stand in sealed events, so none is ever changed."""

    @staticmethod
    @override
    def _generate_next_value_(name: str, _start: int, _count: int, _last: list[str]) -> str:
        return name.lower().replace("_", "-")

    CAMPAIGN_CREATED = auto()
    CAMPAIGN_TAKEN_UP = auto()
    """A process carries the campaign on; earlier ones are fenced off."""
    RUNNING = auto()
    """A campaign begins, or a run does."""
    PAUSED = auto()
    RESUMED = auto()
    FINISHED = auto()
    ABORTED = auto()
    """A campaign, or a run."""
    ADAPTED = auto()
    """The surrogate learned; the details say what."""
    AMENDED = auto()
    """The campaign's or the bench's file was replaced."""

    PROPOSED = auto()
    SIGNED = auto()
    """One person of several agreed."""
    APPROVED = auto()
    REJECTED = auto()
    EXPIRED = auto()
    WITHDRAWN = auto()
    LAPSED = auto()

    REVIEW_OPENED = auto()
    REVIEW_RUN = auto()
    """A flow run puts the question to people."""
    REVIEW_ASKED_AGAIN = auto()
    """Another process puts it to people."""
    REVIEW_OPEN = auto()
    """An answer could not be carried out; the question stays."""
    REVIEW_OVERDUE = auto()
    REVIEW_DECIDED = auto()
    REVIEW_EXPIRED = auto()
    REVIEW_CLOSED = auto()
    ANSWER_RECEIVED = auto()
    ANSWER_REFUSED = auto()
    ANSWER_UNREADABLE = auto()
    RESTRICTED = auto()
    RESTRICTION_LIFTED = auto()
    PERSON_ADDED = auto()
    PERSON_REVOKED = auto()
    """Written with `: ` and why."""

    QUEUED = auto()
    DISPATCHED = auto()
    COMPLETED = auto()
    UNKNOWN = auto()
    RESOLVED = auto()
    """A person said how an unknown run ended."""
    SUPERSEDED = auto()
    INGESTED = auto()
    INCIDENT = auto()
    """Other content came under a key that the ledger knows; nothing of it was kept."""
    ACCEPTED = auto()
    QUARANTINED = auto()
    RETRACTED = auto()
    CORRECTED = auto()
    """A measurement has another value than before."""


class Actor(str):
    """Who did or decided something, as the ledger writes it: `person NAME`, `rule NAME`, or one of the words below."""

    __slots__ = ()

    @classmethod
    def person(cls, *names: str) -> Self:
        """Return people who acted together, each named once."""
        return cls(f"person {' and '.join(dict.fromkeys(names))}")

    @classmethod
    def rule(cls, name: str) -> Self:
        """Return a rule that decided what nobody needed to look at."""
        return cls(f"rule {name}")

    @property
    def name(self) -> str:
        """The person's or the rule's name; the whole word where it is neither."""
        return self.partition(" ")[2] or str(self)


BY_DEADLINE = Actor("deadline")
"""A question's time ran out."""
BY_CAMPAIGN = Actor("campaign")
"""The loop."""
BY_COMMAND = Actor("command")
"""A command that begins or takes up a campaign."""
BY_PREFECT = Actor("prefect")
"""A button of Prefect's page."""
BY_REVIEW = Actor("review")
"""The flow run that puts a question to people."""
