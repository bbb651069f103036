"""Bodies that follow LADS: their programs on the published nodes, with the lock, results, watchdog and faults of the platform."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulators.body import Body
from simulators.clock import LabClock, Moment
from simulators.faults import FaultBook
from simulators.measurement import Measuring
from simulators.opcua_access import PlatformAccess
from simulators.opcua_server import PlatformServer, ServerTraits
from simulators.synthesis_platform import ProgramResult, ResultShelf, SynthesisPlatform
from simulators.truth import Record


@dataclass(frozen=True, slots=True)
class BodyFilling:
    """A body behind its unit's programs."""

    body: Body

    def fill(self, result: ProgramResult, lab: float) -> Measuring:
        """Let the body take what the program is about; a code for how it ended counts, whatever the body measured."""
        self.body.live(Moment(lab, self.body.now().wall))
        return self.body.run(result.order)


@dataclass(frozen=True, slots=True)
class Around:
    """What a plant lends to a body that is served."""

    folder: Path
    faults: FaultBook
    clock: LabClock
    record: Record
    touched: Callable[[], None]


def lads_unit(body: Body, around: Around, access: PlatformAccess | None) -> tuple[SynthesisPlatform, PlatformServer]:
    """Make the unit of a body that follows LADS, and what serves it; results outlive the device's power in the plant's folder."""
    shelf = ResultShelf(around.folder / f"results-{body.name}")
    unit = SynthesisPlatform(body.name, shelf, around.record, around.clock.now(), body.PROGRAMS)
    serial_number = str(body.options.get("serial_number", ""))
    traits = ServerTraits(serial_number, plate=body.PLATE, has_functions=False)
    server = PlatformServer(unit, BodyFilling(body), around.faults, around.clock, traits, touched=around.touched, access=access)
    return unit, server
