"""The plant file: what stands behind the simulated devices' wires, in TOML.

The bodies of other people stand beside those that come with Athanor: `model` is then the name of a plug-in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from orchestrator.errors import BadInput
from orchestrator.plugins import CHEMISTRIES, DEVICES, find_plugin, installed
from orchestrator.textfile import read_toml
from simulators.body import Body, faults_of, speech_of
from simulators.declarations import StandInSection
from simulators.faults import BODILY_KINDS, PLATFORM_KINDS, PUMP_KINDS, SERIAL_KINDS, FaultSpec
from simulators.responses import ResponseSection, Room
from simulators.twins.cdse import CDSE, CDSE_SEGMENTED


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TubeSection(_Section):
    """The coil in the oven."""

    volume_ml: float = Field(gt=0.0)
    segmented: bool = False
    fouling_per_day: float = Field(default=0.0, ge=0.0)
    """Share of the volume lost to deposits per lab day."""


class ChemistrySection(_Section):
    """Family of the chemistry and the seed of its hidden constants."""

    family: str
    """`cdse`, or the name of a plug-in that offers a chemistry: for the tube, or for the bodies that come with it."""
    constants_seed: int | None = None
    """None: the family's central constants."""


class EnvironmentSection(_Section):
    """The room and its bad habits."""

    ambient_degc: float = 22.0
    oven_offset_degc: float = 0.0
    """What the liquid is hotter than the oven's sensor says."""
    noise: bool = True
    """False: an ideal spectrometer (shot and read noise stay) and an exact thermometer."""
    outliers: float = Field(default=0.02, ge=0.0, le=1.0)


class SerialLinkSection(_Section):
    """A serial line."""

    kind: Literal["serial"]
    byte_time: bool = False
    """True: replies take the time that 19200 baud need (wall)."""


class OpcUaLinkSection(_Section):
    """An OPC-UA server."""

    kind: Literal["opcua"]


LinkSection = Annotated[SerialLinkSection | OpcUaLinkSection, Field(discriminator="kind")]


class PumpSection(_Section):
    """A New Era type syringe pump and the stock in its syringe."""

    model: Literal["new-era"]
    link: str
    address: int = Field(ge=0, le=99)
    stock: dict[str, float]
    """mol/L by species."""


class OvenSection(_Section):
    """A Eurotherm type oven controller."""

    model: Literal["eurotherm"]
    link: str
    unit: int = Field(ge=1, le=247)
    highest_degc: float = 300.0
    decimals: int = Field(default=1, ge=0, le=2)
    """Decimal places that it is configured to show and to count."""


class PlatformSection(_Section):
    """The LADS platform with sampler and spectrometer."""

    model: Literal["lads-platform"]
    link: str
    serial_number: str
    longest_lock_s: float = Field(default=60.0, gt=0.0)
    """Wall s of silence after which its unit's lock is released (DI's MaxInactiveLockTime)."""
    most_nodes: int | None = Field(default=None, ge=1)
    """Nodes that one request may name (OperationLimits); none: no limit."""


class PluginSection(_Section):
    """A simulated device of other people's."""

    model: str
    """Of an installed package, or `./FILE.py:CLASS` beside the plant file."""
    link: str
    options: dict[str, Any] = {}
    """Its own settings."""
    stock: dict[str, float] = {}
    """mol/L by species of what it feeds the tube with; empty where it feeds nothing."""
    fed_by: tuple[str, ...] = ()
    """Devices whose liquid flows into it; it sees their flows and stocks as `feeds`."""


_MODELS = {"new-era": PumpSection, "eurotherm": OvenSection, "lads-platform": PlatformSection}


def _model_of(device: Any) -> str:
    model = device.get("model") if isinstance(device, dict) else device.model
    return str(model) if model in _MODELS else "plug-in"


DeviceSection = Annotated[
    Annotated[PumpSection, Tag("new-era")]
    | Annotated[OvenSection, Tag("eurotherm")]
    | Annotated[PlatformSection, Tag("lads-platform")]
    | Annotated[PluginSection, Tag("plug-in")],
    Discriminator(_model_of),
]


class PlantFile(_Section):
    """A whole plant."""

    tube: TubeSection | None = None
    """The tube that the pumps fill and the platform samples; a plant without a platform needs none."""
    chemistry: ChemistrySection | None = None
    """What happens in it."""
    environment: EnvironmentSection = EnvironmentSection()
    links: dict[str, LinkSection] = {}
    devices: dict[str, DeviceSection] = {}
    stand_ins: dict[str, StandInSection] = {}
    """How stand-ins behave, by the instruments' names in the bench file."""
    responses: dict[str, ResponseSection] = {}
    """What stand-ins measure, by `INSTRUMENT.CHANNEL`."""
    faults: tuple[FaultSpec, ...] = ()

    @property
    def pumps(self) -> dict[str, PumpSection]:
        """Get the pumps by name."""
        return {name: device for name, device in self.devices.items() if isinstance(device, PumpSection)}

    @property
    def oven(self) -> tuple[str, OvenSection] | None:
        """Get the oven with its name; None where there is none."""
        return next(((name, device) for name, device in self.devices.items() if isinstance(device, OvenSection)), None)

    @property
    def platform(self) -> tuple[str, PlatformSection] | None:
        """Get the platform with its name; None where there is none."""
        return next(((name, device) for name, device in self.devices.items() if isinstance(device, PlatformSection)), None)

    @property
    def plugins(self) -> dict[str, PluginSection]:
        """Get other people's devices by name."""
        return {name: device for name, device in self.devices.items() if isinstance(device, PluginSection)}

    @property
    def twin(self) -> str | None:
        """Get the twin whose formulas and constants its tube has; None where another chemistry flows there, or hidden constants do."""
        if self.platform is None or self.tube is None or self.chemistry is None:
            return None
        if self.chemistry.family != CDSE.name or self.chemistry.constants_seed is not None:
            return None
        return CDSE_SEGMENTED.label if self.tube.segmented else CDSE.label

    @model_validator(mode="after")
    def _has_at_most_one_tube(self) -> Self:
        for kind in (OvenSection, PlatformSection):
            found = [name for name, device in self.devices.items() if isinstance(device, kind)]
            if len(found) > 1:
                raise ValueError(f"a plant has one {kind.__name__.removesuffix('Section').lower()} at most, found {', '.join(found)}")
        if self.platform is not None and (self.oven is None or self.tube is None or self.chemistry is None):
            raise ValueError("a platform analyses what leaves a tube in an oven; expected [tube], [chemistry] and an oven")
        return self

    @model_validator(mode="after")
    def _wires_fit(self) -> Self:
        for name, device in self.devices.items():
            link = self.links.get(device.link)
            wanted = "opcua" if isinstance(device, PlatformSection) else "serial"
            if link is None or (link.kind != wanted and not isinstance(device, PluginSection)):
                found = "not declared" if link is None else link.kind
                raise ValueError(f"device {name} needs a link of kind {wanted}, but '{device.link}' is {found}")
        for name in self.links:
            there = [device for device in self.devices.values() if device.link == name]
            models = sorted({_model_of(device) for device in there})
            if self.links[name].kind == "opcua" and len(there) > 1:
                raise ValueError(f"link {name} is one server and has {len(there)} devices; expected a link for each")
            if len(models) > 1:
                raise ValueError(f"link {name} has devices that speak differently: {', '.join(models)}; expected a link for each")
        return self

    @model_validator(mode="after")
    def _feeds_are_there(self) -> Self:
        for name, device in self.plugins.items():
            for feed in device.fed_by:
                if feed == name or not isinstance(self.devices.get(feed), PumpSection | PluginSection):
                    pumps = sorted({*self.pumps, *self.plugins} - {name})
                    raise ValueError(f"device {name} is fed by '{feed}'; expected one of {', '.join(pumps) or 'none'}")
        for name in self.plugins:
            self._feeds_end(name, ())
        return self

    def _feeds_end(self, name: str, below: tuple[str, ...]) -> None:
        if name in below:
            raise ValueError(f"device {name} is fed by itself, through {', '.join(below[below.index(name) + 1 :])}")
        for feed in self.plugins[name].fed_by if name in self.plugins else ():
            self._feeds_end(feed, (*below, name))

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        places = [(pump.link, pump.address) for pump in self.pumps.values()]
        if len(set(places)) != len(places):
            raise ValueError("pumps on one link need different addresses")
        return self


def check_fault(plant: PlantFile, fault: FaultSpec, bodies: Mapping[str, type[Body]]) -> None:
    """Refuse a fault that its device cannot have.

    Raises:
        ValueError: unknown device, or a fault of another kind of device.
    """
    device = plant.devices.get(fault.device)
    if device is None:
        raise ValueError(f"fault on unknown device '{fault.device}'; the plant has {', '.join(plant.devices)}")
    if fault.device in bodies:
        speaks_lads = speech_of(bodies[fault.device]) == "lads"
        legal = PLATFORM_KINDS if speaks_lads else SERIAL_KINDS - BODILY_KINDS | faults_of(bodies[fault.device])
    else:
        legal = PLATFORM_KINDS if isinstance(device, PlatformSection) else PUMP_KINDS if isinstance(device, PumpSection) else SERIAL_KINDS
    if fault.fault not in legal:
        raise ValueError(f"device {fault.device} cannot have fault '{fault.fault}'; legal: {', '.join(sorted(legal))}")


def bodies_of(plant: PlantFile, folder: Path) -> dict[str, type[Body]]:
    """Load the classes of other people's devices, by the devices' names.

    Args:
        plant: The plant file.
        folder: Where it lies.

    Raises:
        BadInput: One cannot be loaded, or is no simulated device; one line that says why.
    """
    return {name: _body(name, section, plant.links[section.link].kind, folder) for name, section in plant.plugins.items()}


def chemistry_of(plant: PlantFile, folder: Path) -> Callable[[int | None], Any] | None:
    """Load the family of what happens in the plant: seed of the hidden constants -> chemistry; None where that is `cdse`, or none.

    Raises:
        BadInput: It cannot be loaded, or offers no chemistry for a tube.
    """
    if plant.chemistry is None or plant.chemistry.family == "cdse":
        return None
    found = find_plugin(CHEMISTRIES, plant.chemistry.family, folder)
    if found is None:
        raise BadInput(f"unknown family {plant.chemistry.family!r}; known: {', '.join(sorted({'cdse', *installed(CHEMISTRIES)}))}")
    make: Callable[[int | None], Any] | None = getattr(found.thing, "chemistry", None)
    if make is None:
        raise BadInput(f"{found.what} ({found.source}) offers no chemistry for a plant")
    if plant.platform is not None and not callable(getattr(make(plant.chemistry.constants_seed), "synthesise", None)):
        raise BadInput(f"{found.what} ({found.source}) offers no chemistry for a tube, which {plant.platform[0]} samples: no `synthesise`")
    return make


def _body(name: str, section: PluginSection, link: str, folder: Path) -> type[Body]:
    found = find_plugin(DEVICES, section.model, folder)
    if found is None:
        known = ", ".join(sorted({*_MODELS, *installed(DEVICES)}))
        raise BadInput(f"device {name}: unknown model {section.model!r}; known: {known}")
    if not (isinstance(found.thing, type) and issubclass(found.thing, Body)):
        raise BadInput(f"device {name}: {found.what} ({found.source}) is {found.thing!r:.80}; expected a subclass of athanor.devices.Body")
    speech = speech_of(found.thing)
    if speech is None:
        raise BadInput(f"device {name}: {found.what} ({found.source}) has none of the methods reply, registers, build, run")
    if (wanted := "opcua" if speech in ("opcua", "lads") else "serial") != link:
        raise BadInput(f"device {name}: {found.what} is served on a link of kind {wanted}; '{section.link}' is {link}")
    return found.thing


@dataclass(frozen=True, slots=True)
class LoadedPlant:
    """A plant file with other people's code that it names."""

    file: PlantFile
    bodies: Mapping[str, type[Body]]
    """Classes of other people's devices, by the devices' names."""
    chemistry: Callable[[int | None], Any] | None = None
    """Seed of the hidden constants -> what reacts; None for the one that comes with Athanor. For a tube it is a `Chemistry`."""
    room: Room = field(default_factory=lambda: Room(0, {}))
    """What its stand-ins have in common."""


def check_faults(loaded: LoadedPlant) -> None:
    """Refuse a plant file's faults that its devices cannot have.

    Raises:
        BadInput: Unknown device, or a fault of another kind of device.
    """
    try:
        for fault in loaded.file.faults:
            check_fault(loaded.file, fault, loaded.bodies)
    except ValueError as error:
        raise BadInput(str(error)) from error


def read_plant_file(path: Path) -> PlantFile:
    """Read and check a plant file; nothing that it names is loaded.

    Raises:
        BadInput: with one line that names the file, the key, what came and what is legal.
    """
    data = read_toml(path, what=f"plant file {path}")
    try:
        return PlantFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        raise BadInput(f"plant file {path}: {place}: {first['msg']}, got {first['input']!r:.80}") from error


def load_plant_file(path: Path) -> LoadedPlant:
    """Read and check a plant file, and load what it names; its faults may be those of stand-ins, and are checked with them.

    Raises:
        BadInput: with one line that names the file, the key, what came and what is legal.
    """
    plant = read_plant_file(path)
    try:
        return LoadedPlant(plant, bodies_of(plant, path.parent), chemistry_of(plant, path.parent))
    except (BadInput, ValueError) as error:
        raise BadInput(f"plant file {path}: {error}") from error
