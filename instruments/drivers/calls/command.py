"""A command as an instrument: a program of the machine, started anew for each call."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from string import Formatter
from typing import ClassVar, Final

from typing_extensions import override

from instruments.drivers.calls.device import CalledDevice
from instruments.drivers.calls.process import interpreter_of
from instruments.drivers.calls.python import beside
from instruments.drivers.protocol import DeclaredCall, Settings
from orchestrator.errors import BadInput

_OUTPUTS: Final = ("json", "csv")
OUTPUT: Final = "output"
"""Stands in a command for the path of the file that it is to write."""


class Commands(CalledDevice):
    """Programs of the machine, each started anew for a call and never by way of a shell.

    Each call of the bench file has the words of a command line: `command = ["analyse", "--temperature", "{temperature}"]`. It
    gives its returns as JSON or as CSV, and ends with 0. It is started in the bench file's folder.
    """

    WHAT: ClassVar[str] = "commands"
    CALL_KEYS: ClassVar[frozenset[str]] = frozenset({"command", "output", "time_limit", "repeatable", "pure", "simulated"})

    @classmethod
    @override
    def check_call(cls, settings: Settings, name: str, call: DeclaredCall) -> None:
        what = f"instrument {settings.name}, calls.{name}"
        if call.function is not None:  # what a dry run puts in its place
            return
        if not call.command:
            raise BadInput(f'{what}: command is missing; expected its words, such as command = ["analyse", "--t", "{{temperature}}"]')
        is_file = call.output not in _OUTPUTS
        if is_file and PurePath(call.output).suffix[1:] not in _OUTPUTS:
            raise BadInput(f'{what}: output = {call.output!r}; expected "json", "csv" or a file\'s name that ends in .json or .csv')
        legal = {*call.arguments, *([OUTPUT] if is_file else [])}
        used = list(_fields(what, call.command))
        if strangers := [one for one in used if one not in legal]:
            hint = "; output names no file, so that there is none to write" if strangers[0] == OUTPUT else ""
            raise BadInput(f"{what}: {{{strangers[0]}}} in command is no argument; declared: {', '.join(call.arguments) or 'none'}{hint}")
        if unused := [one for one in sorted(legal) if one not in used]:
            raise BadInput(f"{what}: command uses {{{unused[0]}}} nowhere; expected it in one of its words")

    @classmethod
    @override
    def check_settings(cls, settings: Settings) -> None:
        interpreter_of(settings)
        for name, call in settings.calls.items():
            if call.function is None and not _is_program(settings, call.command[0]):
                raise BadInput(f"instrument {settings.name}, calls.{name}: there is no program {call.command[0]!r}, on PATH or by its path")

    @classmethod
    @override
    def files(cls, settings: Settings) -> Mapping[str, bytes]:
        words = dict.fromkeys(word for call in settings.calls.values() for word in call.command)
        paths = {word: settings.folder / word for word in words if ".." not in PurePath(word).parts and not PurePath(word).is_absolute()}
        return {**beside(settings), **{PurePath(word).as_posix(): path.read_bytes() for word, path in paths.items() if path.is_file()}}


def _fields(what: str, words: tuple[str, ...]) -> Iterator[str]:
    """Yield the names in curly brackets."""
    for word in words:
        try:
            names = [name for _, name, _, _ in Formatter().parse(word) if name is not None]
        except ValueError as error:
            raise BadInput(f"{what}: {word!r} in command: {error}; a curly bracket that is meant stands twice") from error
        for name in names:
            if not name.isidentifier():
                raise BadInput(f"{what}: {{{name}}} in command; expected an argument's name, with a format after a colon where wanted")
            yield name


def _is_program(settings: Settings, word: str) -> bool:
    if "/" in word:
        path = settings.programs / word
        return path.is_file() and os.access(path, os.X_OK)
    return shutil.which(word) is not None
