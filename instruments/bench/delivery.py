"""What a step takes of the stock that its instrument delivers: a dose its volume, a person or a function what is handed over."""

from collections.abc import Mapping
from typing import Final

from instruments.drivers.protocol import CommandSpec
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.errors import BadInput
from orchestrator.units import convert, same_dimension

_VOLUME: Final = "volume"
_DELIVER: Final = (StepKind.DOSING, StepKind.PROGRAM, StepKind.PERSON)
"""What happens at most once; a setting may be sent again and delivers nothing."""


def delivered(step: Step) -> float:
    """Return what a step takes of the stock that its instrument delivers, in mL; 0 where it delivers nothing."""
    if step.kind not in _DELIVER:
        return 0.0
    units = {name: step.units.get(name, "mL" if name == _VOLUME else "") for name in step.arguments}
    name = _delivering(units)
    return 0.0 if name is None else convert(float(step.arguments[name]), units[name], "mL")


def check_delivery(stock: str, instrument: str, commands: Mapping[str, CommandSpec]) -> None:
    """Refuse an instrument whose commands do not say how much of a stock they take: it would never be counted.

    Raises:
        BadInput: None of them has a volume among its arguments, or one has several that could be meant.
    """
    what = f"stock {stock}: delivered_by {instrument!r}"
    able = {name: one for name, one in commands.items() if one.kind in _DELIVER}
    units = {name: {argument: spec.unit or "" for argument, spec in one.arguments.items()} for name, one in able.items()}
    for name, one in units.items():
        if len(found := _volumes(one)) > 1 and _VOLUME not in found:
            raise BadInput(f"{what}: {name} has {len(found)} volumes, {', '.join(found)}; expected one, or one that is called volume")
    if not any(_delivering(one) or able[name].open_arguments for name, one in units.items()):
        raise BadInput(
            f"{what}: none of its commands has a volume among its arguments ({', '.join(commands) or 'it has none'}): nothing could "
            f"be counted; expected one like arguments = {{ volume = 'mL' }}, or no delivered_by"
        )


def _volumes(units: Mapping[str, str]) -> list[str]:
    return [name for name, unit in units.items() if same_dimension(unit, "mL")]


def _delivering(units: Mapping[str, str]) -> str | None:
    found = _volumes(units)
    return _VOLUME if _VOLUME in found else found[0] if len(found) == 1 else None
