"""`athanor probe`: what a device says beside its front panel, and one setting by hand."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import typer

from flows.cli.console import console, emit
from flows.running import probe_operations
from flows.running.probe_operations import Setting
from instruments.bench.probing import ChannelRead
from instruments.bench_client.identify import Probed
from orchestrator.errors import BadInput, NeedsPerson

_LONGEST: Final = 300
"""Characters of one line of raw values on a terminal; `--json` has all."""


def probe_device(bench: Path, instrument: str, *, lab: Path | None, as_json: bool) -> None:
    """Print a device's identity and each of its channels, raw and decoded.

    Raises:
        BadInput: The device cannot be reached, or channels cannot be read; these are named after all others were shown.
    """
    _show(probe_operations.read_device(bench, instrument, lab=lab), as_json=as_json)


def set_device(
    bench: Path,
    instrument: str,
    values: Sequence[str],
    *,
    command: str | None,
    word: tuple[str, str],
    yes: bool,
    lab: Path | None,
    as_json: bool,
) -> None:
    """Make one setting once the person agrees, and print the device as it is afterwards.

    Raises:
        BadInput: It is not allowed, or the person did not agree.
        NeedsPerson: Nobody can be asked.
    """
    asked: list[Setting] = []

    def agreed(setting: Setting) -> bool:
        asked.append(setting)
        return yes or _asked(setting)

    after = probe_operations.set_by_hand(bench, instrument, values, command=command, lab=lab, word=word, agreed=agreed)
    if after is None:
        raise BadInput("nothing was sent")
    if not as_json:
        console.print(_line(asked[0], begin="sent"))
    _show(after, as_json=as_json)


def _asked(setting: Setting) -> bool:
    if not sys.stdin.isatty():
        raise NeedsPerson("nothing was sent: nobody can be asked here; --yes sends it without asking")
    _print(setting.before)
    console.print(_line(setting))
    fallen = f"falls to its own safe state {setting.watchdog:g} s after" if setting.watchdog is not None else "stays so when"
    console.print(f"  nobody watches it then: the device {fallen} this command has ended; `athanor stop` makes the bench safe")
    return typer.confirm("send it?")


def _line(setting: Setting, *, begin: str = "to be sent") -> str:
    step = setting.step
    shown = []
    for name, value in step.arguments.items():
        limit, unit = setting.limits.get(name), step.units.get(name, "")
        allowed = f" (allowed {limit.low:g} to {limit.high:g} {unit})" if limit is not None else ""
        shown.append(f"{name} = {value if isinstance(value, str) else format(value, 'g')} {unit}".rstrip() + allowed)
    return f"{begin}: {step.do} {', '.join(shown)}".rstrip()


def _show(found: Probed, *, as_json: bool) -> None:
    if as_json:
        emit(asdict(found))
    else:
        _print(found)
    if missing := [one.channel for one in found.channels if one.error is not None]:
        raise BadInput(f"{found.instrument}: {len(missing)} of {len(found.channels)} channels cannot be read: {', '.join(missing)}")


def _print(found: Probed) -> None:
    through = f", read by the live bench host of lab {found.through}" if found.through else ""
    console.print(f"{found.instrument}: {found.identity}{through}")
    for one in found.channels:
        console.print(f"  {one.channel} = {_value(one)}")
        if one.said is not None:
            console.print(f"      asked twice; first: {one.said}")
        for line in one.wire:
            console.print(f"      {line if len(line) <= _LONGEST else f'{line[:_LONGEST]} ... ({len(line)} characters)'}")


def _value(one: ChannelRead) -> str:
    if one.error is not None:
        return f"cannot be read: {one.error}"
    if isinstance(one.value, tuple):
        told = f"{len(one.value)} numbers, {min(one.value):g} to {max(one.value):g}" if one.value else "no numbers"
    elif one.value is None:
        told = "no value"
    else:
        told = repr(one.value) if isinstance(one.value, str) else f"{one.value:g}"
    return f"{told} {one.unit}".rstrip() + ("" if one.quality == "good" else f" ({one.quality} quality)")
