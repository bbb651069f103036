"""A plant: simulated devices on real wires, chemistry behind them, in one process.

    python -m simulators.plant [--plant FILE] [--stand-ins FILE] --folder DIR --bench-sha256 HEX --seed N --rate R [--security FILE]

It runs until SIGTERM or SIGINT; DIR/endpoints.json appears when all wires answer and goes when the plant ends.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import AthanorError, BadInput
from simulators.body import Body, BodyLine, BodyUnit, Case, Surroundings, speech_of
from simulators.body_server import BodyServer
from simulators.chemistry.cdse import CdSeChemistry, CdSeConstants, draw_task
from simulators.chemistry.family import Chemistry
from simulators.clock import LabClock, Moment
from simulators.control import BackDoor, Clear, Inject, Operation, Ping, Repair, back_door_path
from simulators.declarations import read_declarations
from simulators.eurotherm import OvenUnit
from simulators.faults import BODILY_KINDS, FaultBook
from simulators.flow_tube import Feed, Tube
from simulators.lads_body import Around, lads_unit
from simulators.measurement import Analyser
from simulators.modbus_rtu import RegisterLine
from simulators.new_era import NewEraLine
from simulators.opcua_access import PlatformAccess
from simulators.opcua_server import PlatformServer, ServerTraits
from simulators.oven import Oven, OvenBody
from simulators.plantfile import (
    LoadedPlant,
    PlantFile,
    PluginSection,
    PumpSection,
    SerialLinkSection,
    check_fault,
    check_faults,
    load_plant_file,
)
from simulators.serial_line import LineProtocol
from simulators.serial_server import SerialBody, SerialServer, strike
from simulators.spectra import Dye, Spectrometer, SpectrometerTraits
from simulators.stand_in_calls import CallStandIn
from simulators.stand_in_lines import StandInLine, TextStandIn
from simulators.stand_ins import with_stand_ins
from simulators.synthesis_platform import ResultShelf, SynthesisPlatform
from simulators.syringe_pump import SyringePump
from simulators.truth import GroundTruth

logger = logging.getLogger(__name__)

BAUD = 19_200
_HIGHEST_RATE = 10_000.0
"""Lab seconds per wall second; beyond it a lab second is shorter than the event loop's turn."""

IDEAL = SpectrometerTraits(gain_spread=0.0, dark_drift=0.0, wavelength_drift=0.0, absorbance_noise=0.0, conversion_noise=0.0, outliers=0.0)


@dataclass(frozen=True, slots=True)
class PlantRun:
    """How this plant was started."""

    loaded: LoadedPlant
    folder: Path
    bench_sha256: str
    seed: int
    rate: float
    access: Mapping[str, PlatformAccess] = field(default_factory=dict)
    """What each secured link asks of its clients."""

    @property
    def plant(self) -> PlantFile:
        """The plant file."""
        return self.loaded.file


class Plant:
    """All devices of a plant, their wires and their timers; lives inside one event loop."""

    def __init__(self, run: PlantRun, truth: GroundTruth) -> None:
        self._run = run
        self._clock = LabClock(time.monotonic(), run.rate)
        self._boot_id = uuid.uuid4().hex
        self._timer: asyncio.TimerHandle | None = None
        streams = np.random.SeedSequence(run.seed).spawn(3)
        self._faults = FaultBook(truth.record, lambda: self._clock.now().lab, np.random.default_rng(streams[0]))
        self._record = truth.record
        self._pumps = {name: SyringePump(name, truth.record) for name in run.plant.pumps}
        self._oven = self._build_oven(np.random.default_rng(streams[1]))
        self._bodies = self._build_bodies(streams[2])
        self._lead_to_bodies()
        self._lines = {name: self._build_line(name, link) for name, link in run.plant.links.items() if isinstance(link, SerialLinkSection)}
        self._units = {**self._build_platform(ResultShelf(run.folder / "results")), **self._build_lads_units()}
        served = {name: body for name, body in self._bodies.items() if speech_of(type(body)) == "opcua"}
        self._servers = {name: BodyServer(body, run.access.get(run.plant.devices[name].link)) for name, body in served.items()}
        self._door = BackDoor(back_door_path(run.folder), self._answer)

    def _build_oven(self, rng: np.random.Generator) -> Oven | None:
        found, environment = self._run.plant.oven, self._run.plant.environment
        if found is None:
            return None
        name, section = found
        body = OvenBody(ambient=environment.ambient_degc, highest_setpoint=section.highest_degc, decimals=section.decimals)
        return Oven(name, body if environment.noise else replace(body, noise=0.0), self._record, rng)

    def _build_bodies(self, stream: np.random.SeedSequence) -> dict[str, Body]:
        sections = self._run.plant.plugins
        generators = map(np.random.default_rng, stream.spawn(len(sections)))
        found = {}
        for (name, section), rng in zip(sections.items(), generators, strict=True):
            found[name] = self._run.loaded.bodies[name](name, section.options, self._record, rng)
            found[name].now = self._clock.now
        return found

    def _lead_to_bodies(self) -> None:
        """Tell each body what flows into it, what reacts in the plant and how the room is."""
        plant, make = self._run.plant, self._run.loaded.chemistry
        room = plant.environment
        surroundings = Surroundings(room.ambient_degc, room.noise, room.outliers, self._run.seed)
        chemistry = make(plant.chemistry.constants_seed) if make is not None and plant.chemistry is not None else None
        for name, section in plant.plugins.items():
            body = self._bodies[name]
            body.surroundings, body.chemistry = surroundings, chemistry
            body.feeds = {one: self._feed(one) for one in section.fed_by}
            body.bring_feeds = partial(self._bring, section.fed_by)

    def _feed(self, name: str) -> Feed:
        section = self._run.plant.devices[name]
        assert isinstance(section, PumpSection | PluginSection)
        return Feed((self._pumps[name] if name in self._pumps else self._bodies[name]).flow, section.stock)

    def _bring(self, names: Sequence[str], now: Moment) -> None:
        for name in names:
            self._pumps[name].advance(now) if name in self._pumps else self._bodies[name].live(now)

    def _build_lads_units(self) -> dict[str, tuple[SynthesisPlatform, PlatformServer]]:
        around = Around(self._run.folder, self._faults, self._clock, self._record, self.touch)
        bodies = [body for body in self._bodies.values() if speech_of(type(body)) == "lads"]
        return {body.name: lads_unit(body, around, self._run.access.get(self._run.plant.devices[body.name].link)) for body in bodies}

    def _build_platform(self, shelf: ResultShelf) -> dict[str, tuple[SynthesisPlatform, PlatformServer]]:
        found = self._run.plant.platform
        if found is None or self._oven is None:
            return {}
        name, section = found
        platform = SynthesisPlatform(name, shelf, self._record, self._clock.now())
        analyser = self._build_analyser(self._oven)
        access = self._run.access.get(section.link)
        traits = ServerTraits(section.serial_number, section.longest_lock_s, section.most_nodes)
        served = PlatformServer(platform, analyser, self._faults, self._clock, traits, touched=self.touch, access=access)
        return {name: (platform, served)}

    def _build_analyser(self, oven: Oven) -> Analyser:
        plant, environment = self._run.plant, self._run.plant.environment
        assert plant.tube is not None
        assert plant.chemistry is not None
        own = [Feed(self._pumps[name].flow, section.stock) for name, section in plant.pumps.items()]
        strange = [Feed(self._bodies[name].flow, section.stock) for name, section in plant.plugins.items() if section.stock]
        tube = Tube(plant.tube.volume_ml, (*own, *strange), oven.trace, environment.oven_offset_degc, plant.tube.fouling_per_day)
        seed = plant.chemistry.constants_seed
        traits = replace(SpectrometerTraits(), outliers=environment.outliers) if environment.noise else IDEAL
        spectrometer = Spectrometer(self._run.seed, traits, Dye())
        make = self._run.loaded.chemistry or partial(_cdse, segmented=plant.tube.segmented)
        return Analyser(tube, make(seed), spectrometer, self._record)

    def _build_line(self, name: str, link: SerialLinkSection) -> SerialServer:
        plant = self._run.plant
        pumps = {pump.address: self._pumps[key] for key, pump in plant.pumps.items() if pump.link == name}
        strange = [self._bodies[key] for key, section in plant.plugins.items() if section.link == name]
        bodies: dict[str, SerialBody] = {pump.name: pump for pump in pumps.values()}
        protocol: LineProtocol = NewEraLine(pumps)
        if strange:
            protocol = _protocol(strange)
            bodies = {body.name: Case(body) for body in strange}
        elif plant.oven is not None and self._oven is not None and plant.oven[1].link == name:
            protocol, bodies = RegisterLine([OvenUnit(plant.oven[1].unit, self._oven)]), {self._oven.name: self._oven}
        baud = BAUD if link.byte_time else 0
        path = self._run.folder / f"{name}.tty"
        return SerialServer(path, protocol, bodies, self._faults, self._clock, touched=self.touch, baud=baud)

    async def start(self) -> None:
        """Open every wire, then announce them."""
        for line in self._lines.values():
            line.start()
        for server in self._all_servers.values():
            await server.start()
        await self._door.start()
        for fault in self._run.plant.faults:
            self._inject(Inject(op="inject", fault=fault))
        self._announce()
        self.touch()

    async def close(self) -> None:
        """Withdraw the announcement and close every wire."""
        (self._run.folder / "endpoints.json").unlink(missing_ok=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._door.close()
        for line in self._lines.values():
            line.close()
        for server in self._all_servers.values():
            await server.close()

    @property
    def _all_servers(self) -> dict[str, PlatformServer | BodyServer]:
        """Servers by the names of their devices."""
        return {**{name: server for name, (_, server) in self._units.items()}, **self._servers}

    def touch(self) -> None:
        """Bring all devices to the present and plan the next moment at which one changes by itself."""
        now = self._clock.now()
        for pump in self._pumps.values():
            pump.advance(now)
        if self._oven is not None:
            self._oven.advance(now)
        for body in self._bodies.values():
            body.live(now)
        for unit, server in self._units.values():
            self._touch_unit(unit, server, now)
        if self._timer is not None:
            self._timer.cancel()
        due = self._next_change()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self.touch)

    def _touch_unit(self, unit: SynthesisPlatform, server: PlatformServer, now: Moment) -> None:
        before = unit.state, unit.lamp.is_on
        unit.advance(now)
        if (unit.state, unit.lamp.is_on) != before:
            server.device_changed()

    def _next_change(self) -> float | None:
        """Find the next wall time (monotonic s) at which a device changes by itself."""
        labs = [*(pump.ends_at for pump in self._pumps.values()), *(body.next_change() for body in self._bodies.values())]
        walls = [self._clock.wall_at(lab) for lab in labs if lab is not None]
        silences = [pump.times_out_at for pump in self._pumps.values()]
        alone = [self._oven.fails_at if self._oven else None, *(unit.lapses_at for unit, _ in self._units.values())]
        return min((moment for moment in [*walls, *silences, *alone] if moment is not None), default=None)

    def _endpoints(self) -> dict[str, dict[str, Any]]:
        ports: dict[str, dict[str, Any]] = {name: {"port": str(line.link.absolute())} for name, line in self._lines.items()}
        for name in (one.declared.link for one in self._bodies.values() if isinstance(one, CallStandIn)):
            ports[name]["asked"] = "calls"
        urls = {self._run.plant.devices[name].link: server.url for name, server in self._all_servers.items()}
        secured = {name: {"security": one.table} for name, one in self._run.access.items()}
        return {**ports, **{name: {"url": url, **secured.get(name, {})} for name, url in urls.items()}}

    def _announce(self) -> None:
        folder = self._run.folder.stat()
        announcement = {
            "boot_id": self._boot_id,
            "folder": str(self._run.folder.absolute()),
            "device": folder.st_dev,
            "inode": folder.st_ino,
            "pid": os.getpid(),
            "bench_sha256": self._run.bench_sha256,
            "seed": self._run.seed,
            "rate": self._run.rate,
            "t0_monotonic": self._clock.t0_monotonic,
            "control": str(self._door.path),
            "endpoints": self._endpoints(),
        }
        draft = self._run.folder / "endpoints.json.tmp"
        draft.write_text(json.dumps(announcement, indent=2) + "\n")
        draft.replace(self._run.folder / "endpoints.json")

    def _answer(self, operation: Operation) -> dict[str, Any]:
        if isinstance(operation, Ping):
            return {"boot_id": self._boot_id, "pid": os.getpid(), "lab_s": self._clock.now().lab}
        if isinstance(operation, Inject):
            return self._inject(operation)
        if isinstance(operation, Clear):
            self._faults.clear(operation.device)
            return {}
        if isinstance(operation, Repair):
            self._repair(operation.device)
            return {}
        return self._states()

    def _inject(self, operation: Inject) -> dict[str, Any]:
        fault = operation.fault
        check_fault(self._run.plant, fault, self._run.loaded.bodies)
        if fault.now and fault.fault not in BODILY_KINDS:
            legal = ", ".join(sorted(BODILY_KINDS))
            raise ValueError(f"fault '{fault.fault}' needs a command to hit; only {legal} happen at once")
        self._faults.arm(fault)
        if fault.now and fault.device in self._units:
            self._units[fault.device][1].strike(fault.fault)
        elif fault.now:
            strike(self._body(fault.device), fault.fault, self._clock.now())
        self.touch()
        return {"pending": len(self._faults.pending())}

    def _repair(self, device: str) -> None:
        if device in self._units:
            self._units[device][1].repair()
        else:
            self._body(device).repair(self._clock.now())

    def _body(self, device: str) -> SerialBody:
        own: list[SyringePump | Oven] = [*self._pumps.values(), *([self._oven] if self._oven else [])]
        bodies: dict[str, SerialBody] = {one.name: one for one in own}
        bodies |= {name: Case(body) for name, body in self._bodies.items()}
        if device not in bodies:
            raise ValueError(f"no serial device '{device}'; the plant has {', '.join(bodies)}")
        return bodies[device]

    def _states(self) -> dict[str, Any]:
        self.touch()
        ovens = {} if self._oven is None else {self._oven.name: self._oven.describe()}
        units = {
            name: {**(self._bodies[name].describe() if name in self._bodies else {}), **unit.describe()}
            for name, (unit, _) in self._units.items()
        }
        return {
            "lab_s": self._clock.now().lab,
            **{pump.name: pump.describe() for pump in self._pumps.values()},
            **ovens,
            **{body.name: body.describe() for body in self._bodies.values()},
            **units,
            "faults": [fault.model_dump(mode="json") for fault in self._faults.pending()],
        }


def _protocol(bodies: Sequence[Body]) -> LineProtocol:
    """Return how the bodies of one line, which speak alike, are spoken to."""
    if speech_of(type(bodies[0])) != "lines":
        return RegisterLine([BodyUnit(body) for body in bodies])
    declared = [body for body in bodies if isinstance(body, TextStandIn)]
    return StandInLine(declared) if declared else BodyLine(bodies)


def _cdse(seed: int | None, *, segmented: bool) -> Chemistry:
    return CdSeChemistry(CdSeConstants() if seed is None else draw_task(np.random.default_rng(seed)), segmented)


def _own(folder: Path, stack: ExitStack) -> None:
    """Hold the folder's lock for as long as the stack.

    Raises:
        BadInput: another plant lives here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context((folder / "plant.lock").open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(f"plant folder {folder}: another plant is running here; stop it first") from error


async def _live(run: PlantRun, truth: GroundTruth) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    plant = Plant(run, truth)
    try:
        await plant.start()
        await ended.wait()
    finally:
        await plant.close()


def _arguments(argv: Sequence[str] | None) -> PlantRun:
    parser = argparse.ArgumentParser(prog="simulators.plant", description="Run the simulated devices of a plant.")
    parser.add_argument("--plant", type=Path, metavar="FILE", help="what describes the devices; none: all of them are stand-ins")
    parser.add_argument(
        "--stand-ins", type=Path, metavar="FILE", help="instruments that nothing else simulates, as they are declared; JSON"
    )
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--bench-sha256", required=True, metavar="HEX")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="lab seconds per wall second")
    parser.add_argument("--security", type=Path, metavar="FILE", help="what secured links ask of their clients; JSON, without a secret")
    given = parser.parse_args(argv)
    if not 0.0 < given.rate <= _HIGHEST_RATE:
        raise BadInput(f"--rate {given.rate}: expected more than 0 and at most {_HIGHEST_RATE:g}")
    if given.seed < 0:
        raise BadInput(f"--seed {given.seed}: expected 0 or more")
    access = PlatformAccess.load(given.security, Path()) if given.security else {}
    return PlantRun(
        _loaded(given.plant, given.stand_ins, given.seed), given.folder.resolve(), given.bench_sha256, given.seed, given.rate, access
    )


def _loaded(plant: Path | None, stand_ins: Path | None, seed: int) -> LoadedPlant:
    """Load a plant file, and make the stand-ins of what it does not simulate."""
    loaded = LoadedPlant(PlantFile(), {}) if plant is None else load_plant_file(plant)
    try:
        if stand_ins is not None:
            folder = Path() if plant is None else plant.parent
            loaded = with_stand_ins(loaded, read_declarations(stand_ins), seed=seed, folder=folder)
        check_faults(loaded)
    except BadInput as error:
        raise BadInput(f"{'the simulated bench' if plant is None else f'plant file {plant}'}: {error}") from error
    return loaded


def main(argv: Sequence[str] | None = None) -> int:
    """Run a plant until it is told to stop; give the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # it warns at every start that loopback is not encrypted
    # a request that is refused is its client's matter
    logging.getLogger("asyncua.server.uaprocessor").addFilter(lambda record: not record.msg.startswith("sending service fault"))
    try:
        with ExitStack() as stack:
            run = _arguments(argv)
            _own(run.folder, stack)
            os.chdir(run.folder)  # the lab may be moved while the plant runs: here its folder stays "."
            run = replace(run, folder=Path())
            truth = stack.enter_context(GroundTruth(run.folder / "ground-truth.jsonl"))
            asyncio.run(_live(run, truth))
    except (AthanorError, OSError) as error:
        sys.stderr.write(f"plant: {error}\n")
        return error.exit_code if isinstance(error, AthanorError) else AthanorError.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
