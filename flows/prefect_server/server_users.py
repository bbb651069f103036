"""Who uses the Prefect server of a home: each user holds a shared lock, and the server's keeper waits to have it alone."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orchestrator.errors import Fault

STOP_SECONDS: Final = 15.0
"""Wall seconds that a server may take to end."""
TEND_SECONDS: Final = 1.0
"""How soon a user of a server notices that it has died."""
_TEND_AT_MOST: Final = 60.0
"""Wall seconds between attempts to begin a server again that does not come up."""
_POLL_SECONDS: Final = 0.2


@contextmanager
def keep_server(home: Path | None) -> Iterator[None]:
    """Be a user of a home's server for a while, so that it outlives whoever started it."""
    if home is None:
        yield
        return
    users = share(home)
    try:
        yield
    finally:
        os.close(users)


def share(home: Path) -> int:
    """Become a user: a shared lock, waited for while a keeper is ending its server."""
    descriptor = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + 2 * STOP_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise Fault(f"a Prefect server in {home} has been ending for {2 * STOP_SECONDS:g} s") from None
            time.sleep(_POLL_SECONDS)
        else:
            return descriptor


def tend(home: Path, begin_again: Callable[[], str], tell: Callable[[str], object]) -> threading.Event:
    """Have a home's server begun again whenever it has died under its user: its page is wanted for as long as that one lives.

    `begin_again` begins it and says where it is; the event that is returned ends this.
    """
    left = threading.Event()
    threading.Thread(target=_tend, args=(home, begin_again, tell, left), name="prefect-server", daemon=True).start()
    return left


def _tend(home: Path, begin_again: Callable[[], str], tell: Callable[[str], object], left: threading.Event) -> None:
    pause = TEND_SECONDS
    while not left.wait(pause):
        if not lock_is_free(home / "keeper.lock"):
            pause = TEND_SECONDS
            continue
        pause = min(2 * pause, _TEND_AT_MOST)  # also where it comes up: one that dies again and again is not begun each second
        tell("the Prefect server has ended and is begun again; experiments go on meanwhile")
        try:
            line = begin_again()
        except (Fault, OSError) as error:
            line = f"the Prefect server does not come up again: {error}; tried anew in {pause:.0f} s"
        if not left.is_set():
            tell(line)


def await_end(home: Path, within: float = 2 * STOP_SECONDS) -> bool:
    """Wait until a home's server has ended, unless somebody else uses it; return whether it has ended."""
    deadline = time.monotonic() + within
    while not lock_is_free(home / "keeper.lock"):
        if _is_used(home) or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _is_used(home: Path) -> bool:
    """Say whether anybody uses the server: then its lock can be shared and not be had alone."""
    return _can_lock(home, fcntl.LOCK_SH) and not _can_lock(home, fcntl.LOCK_EX)


def _can_lock(home: Path, kind: int) -> bool:
    with (home / "users.lock").open("rb") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def lock_is_free(path: Path) -> bool:
    """Say whether nobody holds a lock exclusively; true also where there is no such file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True
