"""The tables `object` and `channels` of an instrument that is an object of a foreign package: how it is made, what is read of it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from instruments.bench.call_spec import FUNCTION, PATH, ReturnKeys, unit_alone, unit_and_range
from instruments.drivers.protocol import DeclaredChannel, DeclaredObject, Driver
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Flag
from orchestrator.errors import BadInput


class ObjectSpec(Frozen):
    """The object: its class, or a function that makes it, alone as a text, or a table."""

    make: Annotated[str, Field(pattern=FUNCTION)]
    """A class, or a function that returns the object, as "module:name", from a module beside the bench file or one that its
    interpreter can import."""
    arguments: Annotated[dict[str, Any], Field(alias="with")] = Field(default_factory=dict)
    """What it is made with: name -> value. A table with `make`, and `with` where it needs one, is made first and handed over."""
    identity: Annotated[str, Field(pattern=PATH)] | None = None
    """The property, or method without arguments, that tells who the device is, such as "id"."""
    check_errors: Flag = False
    """Whether the device is asked for errors after each setting and call, where the driver knows how."""
    silent: Flag = False
    """Whether making it sends nothing, so that `check --connect` and `probe` may make it; else it is made when the bench is
    armed."""


class ChannelKeys(ReturnKeys):
    """What is read of it: its unit alone, or a table."""

    read: Annotated[str, Field(pattern=PATH)] | None = None
    """The property, or method without arguments, that is read: dots lead to parts of the object. Left out, it has the channel's
    own name."""


def _made(value: object) -> object:
    return {"make": value} if isinstance(value, str) else value


Object = Annotated[ObjectSpec, BeforeValidator(_made, json_schema_input_type=str | ObjectSpec)]
Channel = Annotated[ChannelKeys, BeforeValidator(unit_alone, json_schema_input_type=str | ChannelKeys)]


def declared_object(spec: ObjectSpec | None) -> DeclaredObject | None:
    """Return how an object is made; None for an instrument that is none."""
    if spec is None:
        return None
    return DeclaredObject(spec.make, spec.arguments, spec.identity, check_errors=spec.check_errors, silent=spec.silent)


def declared_channels(instrument: str, channels: dict[str, ChannelKeys]) -> dict[str, DeclaredChannel]:
    """Return the declared channels with their units and ranges read.

    Raises:
        BadInput: An unknown unit, or an empty range.
    """
    found = {}
    for name, keys in channels.items():
        unit, limit = unit_and_range(f"instrument {instrument}, channels.{name}", keys)
        found[name] = DeclaredChannel(keys.read or name, unit, limit)
    return found


def check_object(instrument: str, spec: ObjectSpec | None, channels: dict[str, ChannelKeys], driver: type[Driver], name: str) -> None:
    """Refuse an object, or channels, that the driver knows nothing of, and a driver without the object that it needs.

    Raises:
        BadInput: One line that names the instrument and the key.
    """
    if driver.OBJECT and spec is None:
        raise BadInput(f'instrument {instrument}: driver {name!r} needs object = {{ make = "module:Class", with = {{ ... }} }}')
    if not driver.OBJECT and (spec is not None or channels):
        raise BadInput(f"instrument {instrument}: driver {name!r} takes no {'object' if spec is not None else 'channels'}")
