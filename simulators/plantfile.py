"""The plant file: what stands behind the simulated devices' wires, in TOML."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import BadInput
from orchestrator.textfile import read_toml
from simulators.faults import PLATFORM_KINDS, PUMP_KINDS, SERIAL_KINDS, FaultSpec


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

    family: Literal["cdse"]
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


class PlatformSection(_Section):
    """The LADS platform with sampler and spectrometer."""

    model: Literal["lads-platform"]
    link: str
    serial_number: str
    longest_lock_s: float = Field(default=60.0, gt=0.0)
    """Wall s of silence after which its unit's lock is released (DI's MaxInactiveLockTime)."""
    most_nodes: int | None = Field(default=None, ge=1)
    """Nodes that one request may name (OperationLimits); none: no limit."""


DeviceSection = Annotated[PumpSection | OvenSection | PlatformSection, Field(discriminator="model")]


class PlantFile(_Section):
    """A whole plant."""

    tube: TubeSection
    chemistry: ChemistrySection
    environment: EnvironmentSection = EnvironmentSection()
    links: dict[str, LinkSection]
    devices: dict[str, DeviceSection]
    faults: tuple[FaultSpec, ...] = ()

    @property
    def pumps(self) -> dict[str, PumpSection]:
        """Get the pumps by name."""
        return {name: device for name, device in self.devices.items() if isinstance(device, PumpSection)}

    @property
    def oven(self) -> tuple[str, OvenSection]:
        """Get the oven with its name."""
        return next((name, device) for name, device in self.devices.items() if isinstance(device, OvenSection))

    @property
    def platform(self) -> tuple[str, PlatformSection]:
        """Get the platform with its name."""
        return next((name, device) for name, device in self.devices.items() if isinstance(device, PlatformSection))

    @model_validator(mode="after")
    def _has_one_tube(self) -> Self:
        for kind in (OvenSection, PlatformSection):
            found = [name for name, device in self.devices.items() if isinstance(device, kind)]
            if len(found) != 1:
                raise ValueError(f"a plant has one {kind.__name__.removesuffix('Section').lower()}, found {found or 'none'}")
        return self

    @model_validator(mode="after")
    def _wires_fit(self) -> Self:
        for name, device in self.devices.items():
            link = self.links.get(device.link)
            wanted = "opcua" if isinstance(device, PlatformSection) else "serial"
            if link is None or link.kind != wanted:
                found = "not declared" if link is None else link.kind
                raise ValueError(f"device {name} needs a link of kind {wanted}, but '{device.link}' is {found}")
        return self

    @model_validator(mode="after")
    def _addresses_differ(self) -> Self:
        places = [(pump.link, pump.address) for pump in self.pumps.values()]
        if len(set(places)) != len(places) or self.oven[1].link in {pump.link for pump in self.pumps.values()}:
            raise ValueError("pumps on one link need different addresses, and the oven needs a link of its own")
        return self

    @model_validator(mode="after")
    def _faults_fit(self) -> Self:
        for fault in self.faults:
            check_fault(self, fault)
        return self


def check_fault(plant: PlantFile, fault: FaultSpec) -> None:
    """Refuse a fault that its device cannot have.

    Raises:
        ValueError: unknown device, or a fault of another kind of device.
    """
    device = plant.devices.get(fault.device)
    if device is None:
        raise ValueError(f"fault on unknown device '{fault.device}'; the plant has {', '.join(plant.devices)}")
    legal = PLATFORM_KINDS if isinstance(device, PlatformSection) else PUMP_KINDS if isinstance(device, PumpSection) else SERIAL_KINDS
    if fault.fault not in legal:
        raise ValueError(f"device {fault.device} cannot have fault '{fault.fault}'; legal: {', '.join(sorted(legal))}")


def load_plant_file(path: Path) -> PlantFile:
    """Read and check a plant file.

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
