"""Files and variables that hold a secret: read when a link is opened, kept nowhere, shown by nothing."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import AccessError

_OTHERS: Final = 0o077
"""What group and others may do."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a password is; never the password itself."""

    file: Path | None = None
    variable: str | None = None
    """Name of an environment variable, where there is no file."""

    def read(self) -> str:
        """Return the secret.

        Raises:
            AccessError: It is not there, empty, or may be read by others; the line names the place alone.
        """
        if self.file is not None:
            return _text(read_private(self.file, what="password file"), f"password file {self.file}")
        value = os.environ.get(self.variable or "")
        if value is None:
            raise AccessError(f"the password is to be in environment variable {self.variable}, which is not set here")
        return _text(value.encode(), f"environment variable {self.variable}")


def _text(content: bytes, what: str) -> str:
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise AccessError(f"{what} holds no text in utf-8") from None
    if not text or "\n" in text:
        raise AccessError(f"{what} holds {'nothing' if not text else 'several lines'}; expected one line, the password")
    return text


def read_private(path: Path, *, what: str) -> bytes:
    """Read a file that its owner alone may read.

    Raises:
        AccessError: It is not there, no plain file (a pipe without a writer would never end), or open to others.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(found):
                raise AccessError(f"{what} {path} is no plain file")
            mode = stat.S_IMODE(found)
            if mode & _OTHERS:
                raise AccessError(f"{what} {path} may be read by others (mode {mode:04o}); expected 0600: chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise AccessError(f"{what} {path} cannot be read: {error.strerror}") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
