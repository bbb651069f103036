"""Which link and which instrument a wire's error is about: said in one place, for host, supervisor, `stop` and `check`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from typing_extensions import override

from orchestrator.errors import AccessError, LinkError, ProtocolError


@dataclass(frozen=True, slots=True)
class LinkName:
    """What people call a wire."""

    link: str
    """Its name in the bench file."""
    endpoint: str
    """The port or the url; empty where an instrument has no link."""

    @override
    def __str__(self) -> str:
        return f"link {self.link} ({self.endpoint})" if self.endpoint else f"instrument {self.link.strip('()')}"

    @contextmanager
    def prefixing_errors(self, instrument: str | None = None) -> Iterator[None]:
        """Let a wire's error begin with the link, and the instrument that was spoken to; what has begun so already is left.

        Without a wire the instrument says all there is.
        """
        if not self.endpoint:
            yield
            return
        try:
            yield
        except (AccessError, LinkError, ProtocolError) as error:
            message = str(error)
            if message.startswith("link "):
                raise
            for known in (f"{self.endpoint}: ", f"{self.endpoint} ", f"{instrument}: "):
                message = message.removeprefix(known)
            whom = f", {instrument}" if instrument else ""
            raise type(error)(f"{self}{whom}: {message}", sent=error.sent) from error
