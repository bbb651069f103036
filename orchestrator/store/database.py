"""What a kind of database does in its own way for a ledger; all else is the same statements for each."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import sqlite

from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    Insert = sqlite.Insert | postgresql.Insert


class Database(Protocol):
    """One ledger's place in a kind of database."""

    @property
    def name(self) -> str:
        """How messages call the ledger."""
        ...

    @property
    def insert(self) -> "Callable[[Table], Insert]":
        """Makes an insert that may say what becomes of a key that is there."""
        ...

    def exists(self) -> bool:
        """Say whether there is a ledger."""
        ...

    def to_write(self, held: ExitStack, *, create: bool) -> Engine:
        """Return an engine over today's schema, made or brought there; `held` takes over what is given back with it.

        Raises:
            BadInput: There is no ledger, and none is to be made; or it is another lab's.
            StoreError: It is damaged, no ledger, or of a newer schema.
        """
        ...

    def to_read(self, held: ExitStack) -> Engine:
        """Return an engine that writes nothing, and whose transactions see one moment.

        Raises:
            BadInput: There is no ledger, or it is another lab's.
            StoreError: It cannot be read.
        """
        ...

    def writing(self, engine: Engine) -> Engine:
        """Return the engine with which transactions take the write lock when they begin."""
        ...

    def find_damage(self, connection: Connection) -> list[str]:
        """Return one line per place where the database itself knows that what it keeps is damaged."""
        ...

    def clear_errors(self) -> AbstractContextManager[None]:
        """Turn what the database throws into one line that names the ledger and says what to do."""
        ...

    def holding(self, campaign: str, *, take_over: bool) -> AbstractContextManager[str | None]:
        """Hold a campaign, for others to see who does; give a line about a silent holder that was ended for it.

        Raises:
            LockHeld: Another process holds it.
        """
        ...


def no_ledger(name: str) -> BadInput:
    """Say that there is none."""
    return BadInput(f"there is no ledger {name}; `athanor run` and `athanor dry-run` make one")
