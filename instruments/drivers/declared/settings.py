"""What a bench file sets of a declared device: its address, the options of its profile, its watchdog."""

import re
from collections.abc import Mapping
from typing import Final

from instruments.drivers.declared import spec as keys
from instruments.drivers.declared.complaints import lines_of
from instruments.drivers.protocol import Settings
from orchestrator.errors import BadInput

_UNITS: Final = range(1, 248)
"""Legal Modbus units (Modbus over serial line V1.02, 2.2)."""


def check_settings(profile: keys.ProfileSpec, settings: Settings) -> None:
    """Refuse what the device cannot keep.

    Raises:
        BadInput: One line that names the instrument, what came and what is legal.
    """
    address_of(profile, settings)
    watchdog, name = profile.watchdog, settings.name
    if settings.watchdog is not None and watchdog is None:
        raise BadInput(f"{name}: watchdog = {settings.watchdog:g} s, but profile {profile.profile.name} has none; leave it out")
    if settings.watchdog is not None and watchdog is not None and not watchdog.min <= settings.watchdog <= watchdog.max:
        raise BadInput(f"{name}: watchdog = {settings.watchdog:g} s; the device takes {watchdog.min:g} to {watchdog.max:g} s")
    if settings.serial_number is not None and not _tells_serial_number(profile):
        message = f"{name}: serial_number = {settings.serial_number!r}, but profile {profile.profile.name} does not ask for one"
        raise BadInput(f"{message}; leave it out")


def _tells_serial_number(profile: keys.ProfileSpec) -> bool:
    asked = profile.identity
    return asked is not None and (asked.serial_number is not None or "serial_number" in re.compile(asked.model).groupindex)


def options_of(profile: keys.ProfileSpec, settings: Settings) -> dict[str, float | str]:
    """Return all options of a profile.

    Raises:
        BadInput: One is missing, or not legal.
    """
    found: dict[str, float | str] = {}
    for name, option in profile.options.items():
        came = settings.options.get(name, option.default)
        about = f" ({option.about})" if option.about else ""
        if came is None:
            raise BadInput(f"{settings.name}: options.{name} is missing{about}")
        if re.fullmatch(option.pattern, str(came)) is None or not str(came).isprintable():
            raise BadInput(f"{settings.name}: options.{name} = {came!r}; expected {option.pattern}{about}")
        found[name] = came
    return found


def resolved(profile: keys.ProfileSpec, options: Mapping[str, float | str], name: str) -> keys.ProfileSpec:
    """Put the options in the place of scales that name them."""

    def scale(of: float | str) -> float:
        if not isinstance(of, str):
            return of
        value = options[of.removeprefix("-")]
        if isinstance(value, str) or not value:
            raise BadInput(f"{name}: options.{of.removeprefix('-')} = {value!r}; expected a number other than 0")
        return -float(value) if of.startswith("-") else float(value)

    channels = {key: one.model_copy(update={"scale": scale(one.scale)}) for key, one in profile.channels.items()}
    commands = {
        key: command.model_copy(
            update={"argument": {each: one.model_copy(update={"scale": scale(one.scale)}) for each, one in command.argument.items()}}
        )
        for key, command in profile.commands.items()
    }
    return profile.model_copy(update={"channels": channels, "commands": commands})  # each part was checked when it was made


def address_of(profile: keys.ProfileSpec, settings: Settings) -> int:
    """Return the address on the wire; 1 where there is no need of one.

    Raises:
        BadInput: The profile needs one that the bench file does not give.
    """
    kind = profile.profile.driver
    if settings.address is None and (kind == "modbus" or "{address}" in profile.line.prefix or _names_address(profile)):
        raise BadInput(f"{settings.name}: address is missing; profile {profile.profile.name} needs the device's address on its line")
    if kind == "modbus" and settings.address not in _UNITS:
        raise BadInput(f"{settings.name}: address = {settings.address}; expected {_UNITS[0]} to {_UNITS[-1]}")
    return 1 if settings.address is None else settings.address


def _names_address(profile: keys.ProfileSpec) -> bool:
    queries = [one.query or "" for one in profile.channels.values()]
    return any("{address" in line for act in profile.acts().values() for line in lines_of(act)) or any("{address" in one for one in queries)
