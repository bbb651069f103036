"""The child's side of an instrument that is an object: made once, set up, set, read and called, and let go at the end.

Started like `child.py`, whose calls it carries out, and like it of the standard library alone, for Python 3.8 or later. Beside
calls it is asked

    {id, stage: "made" | "armed"} -> {id, told: {model, serial_number, firmware}} | {id, error}
    {id, do: CALL, arguments, heed: whether reported errors count}
                                  -> {id, told: {NAME: [value, unit]}} | {id, error}
    {id, read: [CHANNEL, ...]}    -> {id, told: {CHANNEL: [value, unit]}} | {id, error}

Nothing of these three is kept on the disk: a setting may be made again, and what is read is told at once.
"""

# mypy: disable-error-code="explicit-override"
# The mark for it is not in every Python that this runs in.

from __future__ import annotations

import asyncio
import contextlib
import difflib
import hashlib
import importlib.util
import inspect
import logging
import os
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from importlib import metadata
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instruments.drivers.calls import child
else:  # by its file: a module of the user's may have the same name
    _spec = importlib.util.spec_from_file_location("child", os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py"))
    child = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(child)

_MISSING = object()
PARTS = 4
"""Fields of the answer to *IDN?: maker, model, serial number ("0" where there is none), firmware (IEEE 488.2-1992, 10.14)."""


class Errors(logging.Handler):
    """What the object's package logs as an error while something is done: the device has said so, and nothing was raised."""

    def __init__(self, package: str) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        logging.getLogger(package).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line."""
        self.lines.append((record.getMessage().splitlines() or [""])[0])


class ObjectChild(child.Child):
    """Serves one instrument that is an object."""

    def __init__(self, host: socket.socket) -> None:
        super().__init__(host)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.wanted: dict[str, Any] = {}
        self.folder = ""
        self.maker: Callable[..., Any] | None = None
        self.made: Any = None
        self.is_set_up = False
        self.is_armed = False
        self.why_not = "it was never armed"
        """Why calls are refused as long as it is not armed."""
        self.errors: Errors | None = None
        self.heeds = True
        """Whether errors that the device reports fail what is done: not those of a safe action."""

    # ----------------------------------------------------------------- requests

    def serve(self) -> None:
        """Carry out what is asked until nobody is left who asks, then let the object go."""
        try:
            super().serve()
            self.let_go()
        finally:
            with contextlib.suppress(OSError):
                self.host.shutdown(socket.SHUT_RDWR)  # or the thread that waits for the next line would wait for ever

    def heard(self, lines: IO[str]) -> str:
        """Wait for the next line, while what the object does by itself goes on."""
        return str(self.loop.run_until_complete(self.loop.run_in_executor(None, lines.readline)))

    def answer(self, request: dict[str, Any]) -> None:
        """Do what a request asks."""
        if "stage" in request:
            self.reply(request, lambda: self.reach(request["stage"]))
        elif "do" in request:
            self.reply(request, lambda: self.done(request["do"], request["arguments"], heed=request["heed"]))
        elif "read" in request:
            self.reply(request, lambda: {name: child.plain(self.read(name)) for name in request["read"]})
        elif self.is_armed:
            self.heeds = True
            self.carry_out(request)
        else:
            self.say({"id": request["id"], "refused": self.why_not})

    def reply(self, request: dict[str, Any], act: Callable[[], Any]) -> None:
        """Answer with what comes of something, or with one line."""
        try:
            self.say({"id": request["id"], "told": act()})
        except child.Failed as error:
            self.say({"id": request["id"], "error": str(error)})
        except child.Stopped:
            raise
        except BaseException as error:  # an object may raise anything
            traceback.print_exc()
            self.say({"id": request["id"], "error": child.complaint(error)})

    def finished(self, value: Any) -> Any:
        """Await what is to be awaited."""
        return self.loop.run_until_complete(awaited(value)) if inspect.isawaitable(value) else value

    # ----------------------------------------------------------------- what is declared

    def imported(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Import its class, or the function that makes it, and hold what is declared against a class; nothing is made."""
        self.wanted, self.folder = wanted["object"], wanted["folder"]
        self.maker, path = child.find_function(self.wanted["make"], self.folder)
        child.check_signature(self.wanted["make"], self.maker, list(self.wanted["with"]))
        if inspect.isclass(self.maker):
            self.hold_against(self.maker, (None,))
        self.errors = Errors(self.wanted["package"])
        inner = {name: [found, child.sha256_of(found)] for name, found in self.found_within(self.wanted["with"])}
        own = {self.wanted["make"]: [path, child.sha256_of(path)]}
        return {**own, **inner, **installed(self.wanted["package"]), **super().imported(wanted)}

    def found_within(self, given: Any) -> Iterator[tuple[str, str | None]]:
        """Import what makes the parts of what it is made with, and look at it; iterate over each with its file."""
        parts = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
        if isinstance(given, dict) and "make" in given:
            maker, path = child.find_function(given["make"], self.folder)
            child.check_signature(given["make"], maker, list(given.get("with", {})))
            yield given["make"], path
        for one in parts:
            yield from self.found_within(one)

    def look_at(self, call: dict[str, Any], function: Callable[..., Any]) -> None:
        """Refuse a function that cannot be called as declared, the object first."""
        child.check_signature(call["function"], function, call["arguments"], None)

    def hold_against(self, owner: Any, before: tuple[Any, ...]) -> None:
        """Refuse names that a class, or an object, does not have; those with a dot only an object can have."""
        is_class = inspect.isclass(owner)
        paths = [(call["set"] or call["method"], call) for call in self.declared.values() if not call["function"]]
        for path, call in [*paths, *((path, None) for path in self.wanted["channels"].values())]:
            if is_class and "." in path:
                continue
            holder, name = (owner, path) if is_class else self.place(path)
            found = static(holder, name)
            if found is _MISSING:
                raise child.Failed("unknown", has_no(holder, name))
            if call and call["set"] and isinstance(found, property) and found.fset is None:
                raise child.Failed("unknown", f"{name_of(holder)}.{name} can only be read")
            if call and call["method"]:
                method = getattr(holder, name)
                if not callable(method):
                    raise child.Failed("unknown", f"{name_of(holder)}.{name} is no method; `set` sets it, and a channel reads it")
                child.check_signature(f"{name_of(holder)}.{name}", method, call["arguments"], *before)

    def place(self, path: str) -> tuple[Any, str]:
        """Return what holds the last name of a path, and that name."""
        *way, name = path.split(".")
        holder = self.made
        for part in way:
            if static(holder, part) is _MISSING:
                raise child.Failed("unknown", has_no(holder, part))
            holder = getattr(holder, part)
        return holder, name

    # ----------------------------------------------------------------- its life

    def reach(self, stage: str) -> dict[str, Any]:
        """Make it, and set it up where it is to be armed; say who it is."""
        if self.made is None:
            self.make()
        if stage == "armed" and not self.is_armed:
            self.arm()
        return self.who()

    def who(self) -> dict[str, Any]:
        """Say who it is, as far as it can be asked; one that has to be set up tells nothing before."""
        package = f"{self.wanted['package']} {version_of(self.wanted['package'])}".rstrip()
        told = {"model": type(self.made).__name__, "serial_number": None, "firmware": package}
        if self.wanted["identity"] is None or (self.wanted["set_up"] and not self.is_set_up):
            return told
        text = str(self.value_at(self.wanted["identity"])).strip()
        parts = [one.strip() for one in text.split(",")]
        if len(parts) != PARTS:
            return {**told, "model": text}
        return {"model": parts[1], "serial_number": parts[2] if parts[2] not in ("", "0") else None, "firmware": parts[3] or package}

    def make(self) -> None:
        """Make it; a class's maker may send."""
        if self.maker is None:
            raise AssertionError("it was never opened")
        made = self.finished(self.maker(**self.built(self.wanted["with"])))
        if made is None:
            raise child.Failed("nothing", f"{self.wanted['make']} returned nothing; expected the object")
        self.made = made
        try:
            self.hold_against(made, ())
        except child.Failed:
            self.let_go()
            self.made = None
            raise

    def arm(self) -> None:
        """Set it up, and hold who it is against who it should be; until both are done it carries out nothing."""
        try:
            if self.wanted["set_up"] and not self.is_set_up:
                self.act(lambda: self.called(self.wanted["set_up"]))
                self.is_set_up = True
            self.refuse_another(self.who())
        except child.Failed as error:
            self.why_not = f"it could not be armed: {error}"
            raise
        except Exception as error:
            self.why_not = f"it could not be armed: {child.complaint(error)}"
            raise
        self.is_armed = True

    def refuse_another(self, found: dict[str, Any]) -> None:
        """Refuse one that is not the one of the bench file."""
        for what, wanted in self.wanted["expected"].items():
            if wanted is not None and found[what] != wanted:
                raise child.Failed("another", f"{what.replace('_', ' ')} {found[what] or 'none'}; the bench file expects {wanted}")

    def let_go(self) -> None:
        """Let it go as its package wants it; one that needs a set-up only where it was set up."""
        if self.made is None or not self.wanted["let_go"] or (self.wanted["set_up"] and not self.is_set_up):
            return
        try:
            self.called(self.wanted["let_go"])
        except Exception:
            traceback.print_exc()

    def built(self, value: Any) -> Any:
        """Return what is handed to a maker: a table with `make` is made itself."""
        if isinstance(value, list):
            return [self.built(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "make" not in value:
            return {name: self.built(one) for name, one in value.items()}
        maker, _ = child.find_function(value["make"], self.folder)
        return self.finished(maker(**self.built(value.get("with", {}))))

    # ----------------------------------------------------------------- what it does

    def called(self, path: str) -> Any:
        """Call one of its methods with nothing."""
        holder, name = self.place(path)
        return self.finished(getattr(holder, name)())

    def value_at(self, path: str) -> Any:
        """Read a property, or what a method without arguments gives."""
        holder, name = self.place(path)
        value = getattr(holder, name)
        return self.finished(value() if callable(value) else value)

    def read(self, channel: str) -> Any:
        """Read one channel."""
        if self.made is None:
            raise child.Failed("unarmed", "it is made when the bench is armed; object.silent says that this sends nothing")
        return self.value_at(self.wanted["channels"][channel])

    def done(self, name: str, arguments: dict[str, Any], *, heed: bool) -> dict[str, Any]:
        """Do at once what a declared call says; what the device reports meanwhile may be of something before it."""
        if not self.is_armed:
            raise child.Failed("unarmed", self.why_not)
        self.heeds = heed
        return dict(child.told(self.value_of(name, arguments), self.declared[name]["returns"]))

    def value_of(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out a call and return what it gives back; of a setting what is read back."""
        declared = self.declared[name]
        if declared["function"]:
            return self.act(lambda: self.finished(self.functions[name](self.made, **arguments)))
        holder, attribute = self.place(declared["set"] or declared["method"])
        if declared["method"]:
            return self.act(lambda: self.finished(getattr(holder, attribute)(**arguments)))
        (value,) = arguments.values() or (declared["value"],)
        self.act(lambda: setattr(holder, attribute, value))
        return {attribute: getattr(holder, attribute)} if declared["readback"] else {}

    def act(self, act: Callable[[], Any]) -> Any:
        """Do something, and fail where the device reports an error though nothing was raised."""
        lines = [] if self.errors is None else self.errors.lines
        lines.clear()
        value = act()
        if not self.heeds:
            return value
        if self.wanted["check_errors"] and not lines:
            lines += [str(one) for one in self.called(self.wanted["check_errors"]) or ()]
        if lines:
            raise child.Failed("device error", f"it reports {lines[0]}")
        return value


async def awaited(value: Awaitable[Any]) -> Any:
    """Await something that need not be a coroutine."""
    return await value


def static(owner: Any, name: str) -> Any:
    """Return what a class or an object has by this name, without asking a device for it."""
    return inspect.getattr_static(owner, name, _MISSING)


def name_of(owner: Any) -> str:
    """Return the name of a class, or of an object's class."""
    return owner.__name__ if inspect.isclass(owner) else type(owner).__name__


def has_no(owner: Any, name: str) -> str:
    """Say that something has no such name, and which ones are like it."""
    near = difflib.get_close_matches(name, [one for one in dir(owner) if not one.startswith("_")], cutoff=0.5)
    return f"{name_of(owner)} has no {name!r}{'; it has ' if near else ''}{', '.join(near)}"


def version_of(package: str) -> str:
    """Return the version of an installed package; empty where it says none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def installed(package: str) -> dict[str, list[str]]:
    """Return the version of an installed package and a hash over those of its files; nothing where there is none."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return {}
    own = [one for one in found.files or () if ".." not in one.parts and ".dist-info" not in one.parts[0]]
    listed = sorted(f"{one} {one.hash.value}" for one in own if one.hash is not None)
    return {package: [f"{package} {found.version}", hashlib.sha256("\n".join(listed).encode()).hexdigest()]}


if __name__ == "__main__":
    sys.exit(child.main(ObjectChild))
