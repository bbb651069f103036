"""What the ledger's events say: which kinds of them there are, and who made them happen."""

from enum import StrEnum, auto
from typing import Final, Self

from typing_extensions import override

from orchestrator.errors import BadInput


class EventKind(StrEnum):
    """What happened; the words stand in sealed events, so none is ever changed."""

    @staticmethod
    @override
    def _generate_next_value_(name: str, _start: int, _count: int, _last: list[str]) -> str:
        return name.lower().replace("_", "-")

    CAMPAIGN_CREATED = auto()
    """A campaign was put into the ledger, with its files."""
    CAMPAIGN_TAKEN_UP = auto()
    """A process carries the campaign on; earlier ones are fenced off."""
    RUNNING = auto()
    """A campaign begins, or a run does."""
    PAUSED = auto()
    """A campaign lets no new experiment begin; the details say why."""
    RESUMED = auto()
    """A pause was lifted."""
    FINISHED = auto()
    """A campaign has reached its goal, its budget or another rule of stopping."""
    ABORTED = auto()
    """A campaign, or a run."""
    ADAPTED = auto()
    """The surrogate learned; the details say what."""
    AMENDED = auto()
    """The campaign's or the bench's file was replaced."""
    DRIFTED = auto()
    """The bench began to differ from its twin in another way than before; the details say in what, and since which run."""
    DRIFT_ANSWERED = auto()
    """What the bench file wants of a drift was done; the details say what."""

    PROPOSED = auto()
    """A policy or a person asks for a configuration."""
    SIGNED = auto()
    """One person of several agreed."""
    APPROVED = auto()
    """A revision may be carried out: people, a rule or a deadline said so."""
    REJECTED = auto()
    """A person refused a revision, with a reason."""
    EXPIRED = auto()
    """A revision was not decided in time."""
    WITHDRAWN = auto()
    """A person took an approval back."""
    LAPSED = auto()
    """An approval ended because what it bound has changed, or its time is over."""

    REVIEW_OPENED = auto()
    """Revisions are put to people."""
    REVIEW_RUN = auto()
    """A flow run puts the question to people."""
    REVIEW_ASKED_AGAIN = auto()
    """Another process puts it to people."""
    REVIEW_OPEN = auto()
    """An answer could not be carried out; the question stays."""
    REVIEW_OVERDUE = auto()
    """A question's deadline has passed; it stays open."""
    REVIEW_DECIDED = auto()
    """An answer was carried out."""
    REVIEW_EXPIRED = auto()
    """A question's deadline decided it."""
    REVIEW_CLOSED = auto()
    """A question has become pointless."""
    ANSWER_RECEIVED = auto()
    """A person answered; the campaign has yet to carry it out."""
    ANSWER_REFUSED = auto()
    """An answer came too late, to other content, without a right to sign, or with illegal values; the details say which."""
    ANSWER_UNREADABLE = auto()
    """An answer is none that can be read."""
    WORK_RECEIVED = auto()
    """A person answered a step that waited for them; the bench host has yet to take it."""
    WORK_ACCEPTED = auto()
    """The bench host took a person's answer to a step."""
    WORK_REFUSED = auto()
    """An answer to a step came without a right to answer, after another one, or too late; the details say which."""
    RESTRICTED = auto()
    """People took a part of the space out of the search."""
    RESTRICTION_LIFTED = auto()
    """The search may go there again."""
    PERSON_ADDED = auto()
    """A person may sign, with codes of their own."""
    PERSON_REVOKED = auto()
    """A person may sign no longer; `: ` and why stand behind the word."""

    QUEUED = auto()
    """A run waits to be handed to the bench."""
    DISPATCHED = auto()
    """A run is about to be handed to the bench host; committed before the first byte goes out."""
    COMPLETED = auto()
    """A run was carried out to its end."""
    UNKNOWN = auto()
    """Nobody saw how a run ended."""
    RESOLVED = auto()
    """A person said how an unknown run ended."""
    SUPERSEDED = auto()
    """An attempt was not carried out, and a new one stands in its place."""
    INGESTED = auto()
    """A run's readings are in the ledger."""
    INCIDENT = auto()
    """Other content came under a key that the ledger knows; nothing of it was kept."""
    ACCEPTED = auto()
    """Models may learn from a measurement."""
    QUARANTINED = auto()
    """A measurement is kept and not learned from; the details say why."""
    RETRACTED = auto()
    """A person took a measurement back."""
    CORRECTED = auto()
    """A measurement has another value than before."""
    ADDED = auto()
    """A person told a value of a run after it had ended."""
    IMPORTED = auto()
    """An experiment that was done elsewhere, with its values."""
    OVERDUE = auto()
    """A value that was to come after the run did not come in time; the details say of which targets."""


STAND_IN: Final = "stand-in for "
"""With this begins the name of whatever answers in a person's place in a dry run; no person is called so."""


def person_named(name: str) -> str:
    """Return a person's name as it came.

    Raises:
        BadInput: It is one of those that a dry run's stand-ins have.
    """
    if name.strip().casefold().startswith(STAND_IN.strip()):
        raise BadInput(f"{name!r} is no person's name; so begin those of a dry run's stand-ins")
    return name


class Actor(str):
    """Who did or decided something, as the ledger writes it: `person NAME`, `rule NAME`, `stand-in for NAME`, or one of the words below."""

    __slots__ = ()

    @classmethod
    def person(cls, *names: str) -> Self:
        """Return people who acted together, each named once.

        Raises:
            BadInput: A stand-in is among them.
        """
        return cls(f"person {' and '.join(dict.fromkeys(map(person_named, names)))}")

    @classmethod
    def rule(cls, name: str) -> Self:
        """Return a rule that decided what nobody needed to look at."""
        return cls(f"rule {name}")

    @property
    def name(self) -> str:
        """The person's or the rule's name; the whole word where it is neither."""
        return str(self) if self.startswith(STAND_IN) else self.partition(" ")[2] or str(self)


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
