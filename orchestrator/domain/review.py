"""What people are asked before an experiment, what they answered, and who may answer."""

import hashlib
import secrets
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orchestrator.domain.lifecycle import AnswerStatus, ReviewStatus
from orchestrator.domain.values import Frozen, digest

_CODE_LENGTH: Final = 10
"""Letters of a one-time code: 50 bits, so that guessing one of forty takes longer than a deadline."""
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Letters and digits that nobody takes for one another."""
_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
"""Cost of one guess: about 50 ms and 16 MiB [RFC7914]."""


class Signature(Frozen):
    """A person agreed to exactly one content."""

    person: str
    content_hash: str
    request_id: str


class Reason(Frozen):
    """Why people must look at a proposal before it is carried out."""

    name: str
    """Of the rule or hazard, or `always`, `first`."""
    text: str
    """What was found and what the limit is, with units."""
    people: Annotated[int, Field(ge=1, le=2)] = 1
    hazard: bool = False
    """A hazard is never approved by a deadline."""
    standing: bool = False
    """Asked whatever the proposal holds: the person who edited it has looked at it already."""


class Asked(Frozen):
    """One revision of a proposal that a request asks about."""

    proposal_id: str
    number: int
    revision: int
    content_hash: str
    reasons: tuple[Reason, ...]

    @property
    def people(self) -> int:
        """How many persons must sign."""
        return max((one.people for one in self.reasons), default=1)


class ReviewRun(Frozen):
    """A flow run in which the request was put to people, and the key of its pause."""

    flow_run_id: str
    key: str


class ReviewRequest(Frozen):
    """A question to people: it gets one decision, and whatever comes later is recorded as refused."""

    request_id: str
    campaign: str
    number: int
    """Counts the campaign's requests from 1."""
    status: ReviewStatus = ReviewStatus.OPEN
    asked: Annotated[tuple[Asked, ...], Field(min_length=1)]
    page_sha256: str | None = None
    """The decision page that people saw."""
    opened_lab: float
    deadline_lab: float | None = None
    """Lab seconds after which `on_deadline` holds."""
    on_deadline: Literal["hold", "skip", "approve"] = "hold"
    overdue: bool = False
    """Whether the deadline has passed and the request waits on."""
    attempt: int = 1
    """Grows with each answer that was refused and each process that takes the question up: a pause never reuses a key."""
    complaint: str | None = None
    """Why the last answer was refused; shown above the form."""
    runs: tuple[ReviewRun, ...] = ()
    answer_id: str | None = None
    """The answer that came first and is being, or was, carried out."""
    reason: str | None = None
    """How it was closed."""

    @property
    def waits(self) -> bool:
        """Whether people are still to answer: it is open, and no answer is being carried out."""
        return self.status is ReviewStatus.OPEN and self.answer_id is None

    @property
    def settles(self) -> bool:
        """Whether an answer has come that is still to be carried out."""
        return self.status is ReviewStatus.OPEN and self.answer_id is not None

    @property
    def content_hash(self) -> str:
        """The sha256 of all that is asked: an answer to anything else is stale."""
        return digest([[one.proposal_id, one.revision, one.content_hash] for one in self.asked])

    @property
    def extent(self) -> str:
        """How much is asked, for people."""
        return "1 proposal" if len(self.asked) == 1 else f"{len(self.asked)} proposals"

    @property
    def has_hazard(self) -> bool:
        """Whether a hazard asks, so that no deadline may approve."""
        return any(reason.hazard for one in self.asked for reason in one.reasons)


class Verdict(Frozen):
    """What a person says of one proposal."""

    proposal_id: str
    revision: int
    verdict: Literal["approve", "reject"]
    reason: str | None = None
    edits: dict[str, float | str] = Field(default_factory=dict)
    """New values by column; what is not named stays."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verdict == "reject" and not (self.reason or "").strip():
            raise ValueError("a rejection needs a reason")
        if self.verdict == "reject" and self.edits:
            raise ValueError(f"a rejected proposal cannot be edited as well; {', '.join(self.edits)} differ")
        return self


class Answer(Frozen):
    """What a person answered to a request; the code that proved who it was is never kept."""

    answer_id: str
    campaign: str
    request_id: str
    content_hash: str
    """Of what the person saw."""
    reviewer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=80)]
    verdicts: tuple[Verdict, ...]
    comment: str = ""
    via: Literal["page", "terminal"] = "terminal"
    key: str | None = None
    """The pause that it answered; None from the terminal."""
    status: AnswerStatus = AnswerStatus.RECEIVED
    reason: str | None = None
    """Why it was refused."""


class Person(Frozen):
    """Somebody who may sign, with the digests of unused one-time codes."""

    name: Annotated[str, Field(pattern=r"^\S(.{0,78}\S)?$")]
    salt: str = ""
    codes: tuple[str, ...] = ()
    revoked: bool = False

    def digest_of(self, code: str) -> str:
        """Return the digest under which a code would be kept."""
        return hashlib.scrypt(normal(code).encode(), salt=bytes.fromhex(self.salt), dklen=32, **_SCRYPT).hex()

    def use(self, code: str) -> Self | None:
        """Return the person without a code; None when the code is none of theirs, or was used."""
        found = self.digest_of(code) if self.salt else ""
        if found not in self.codes:
            return None
        return self.evolve(codes=tuple(one for one in self.codes if one != found))

    def with_codes(self, codes: tuple[str, ...]) -> Self:
        """Return the person with a fresh sheet in place of the old one."""
        salted = self.evolve(salt=secrets.token_hex(16))
        return salted.evolve(codes=tuple(salted.digest_of(code) for code in codes))


def draw_codes(count: int) -> tuple[str, ...]:
    """Draw one-time codes, written in two groups for reading aloud."""
    drawn = ("".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)) for _ in range(count))
    return tuple(f"{one[: _CODE_LENGTH // 2]}-{one[_CODE_LENGTH // 2 :]}" for one in drawn)


def normal(code: str) -> str:
    """Return a code as it is kept, however it was typed."""
    return "".join(code.split()).replace("-", "").lower()


class Page(Frozen):
    """A decision page as it was shown, whole."""

    sha256: str
    campaign: str
    text: str
    """Canonical JSON."""
