"""Shows the platform's state in its nodes: results first, the unit's state last."""

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from simulators.clock import Moment
from simulators.lads_lock import UnitLock
from simulators.lads_nodes import MachineNodes, PlatformNodes
from simulators.lads_results import ResultNodes
from simulators.lads_types import STATES
from simulators.synthesis_platform import ProgramResult, SynthesisPlatform
from simulators.unit_states import PASSED, State

WARM = 24.0
"""degC of the spectrometer's housing."""

_WAITING = ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData))
_TEXT, _NUMBER = ua.VariantType.String, ua.VariantType.Double


class PlatformView:
    """Brings one platform's nodes up to the device."""

    def __init__(self, nodes: PlatformNodes, platform: SynthesisPlatform, lock: UnitLock) -> None:
        self.nodes = nodes
        self.translated = False
        """States are shown in German."""
        self.dark_until = 0.0
        """Wall s until which the unit's state is Bad."""
        self._platform = platform
        self._lock = lock
        self._shown: dict[str, tuple[ResultNodes, ProgramResult]] = {}
        self._unit = self._lamp = State.STOPPED

    async def show(self, now: Moment) -> None:
        """Show everything but what changes with time alone."""
        await self._show_results()
        await self._show_lamp()
        await self.show_lock(now)
        await self.nodes.watchdog.write_value(self._platform.watchdog_seconds, _NUMBER)
        await self._show_active()
        self._unit = await self._show_machine(self.nodes.machine, self._unit, self._platform.state)
        if now.wall < self.dark_until:
            await self._darken(self.nodes.machine)

    async def show_power(self) -> None:
        """Show that the device operates."""
        await self._write_state(self.nodes.device_state, "Operate")

    async def tick(self, now: Moment) -> None:
        """Refresh what changes with time alone."""
        warmth = WARM + (6.0 if self._platform.lamp.is_on else 0.0)
        for node in self.nodes.functions.temperature if self.nodes.functions else ():
            await node.write_value(warmth, _NUMBER)
        if self._platform.state is State.RUNNING:
            runtime = 1e3 * (now.lab - self._platform.active_since)
            await self.nodes.active["CurrentRuntime"].write_value(runtime, _NUMBER)
        await self.show_lock(now)

    async def show_lock(self, now: Moment) -> None:
        """Show who holds the unit."""
        shown, lock = self.nodes.lock, self._lock
        await shown["Locked"].write_value(lock.is_held(now.wall), ua.VariantType.Boolean)
        await shown["LockingClient"].write_value(lock.holder.application_uri, _TEXT)
        await shown["LockingUser"].write_value(lock.holder.user, _TEXT)
        await shown["RemainingLockTime"].write_value(1e3 * lock.remaining(now.wall), _NUMBER)

    async def _show_results(self) -> None:
        for run_id, result in tuple(self._platform.results.items()):
            shown = self._shown.get(run_id)
            if shown is not None and shown[1] is result:
                continue
            view = ResultNodes.build(self.nodes, result) if shown is None else shown[0]
            if result.stopped is not None:
                await view.complete(self.nodes, result)
            self._shown[run_id] = view, result
            if shown is None:
                await self.nodes.version.write_value(str(len(self._shown)), _TEXT)

    async def _show_lamp(self) -> None:
        lamp, shown = self._platform.lamp, self.nodes.functions
        if shown is None:
            return
        await shown.lamp_target.write_value(lamp.target, ua.VariantType.Boolean)
        await shown.lamp_current.write_value(lamp.is_on, ua.VariantType.Boolean)
        self._lamp = await self._show_machine(shown.lamp_state, self._lamp, lamp.state)

    async def _show_active(self) -> None:
        active, nodes = self._platform.active, self.nodes
        if active is None:
            return
        name = ua.LocalizedText(active.ran_template)
        template = nodes.space.structures["NameNodeIdDataType"](Name=name, NodeId=nodes.templates[active.ran_template])
        await nodes.active["CurrentProgramTemplate"].write_value(template, ua.VariantType.ExtensionObject)
        await nodes.active["DeviceProgramRunId"].write_value(active.run_id, _TEXT)

    async def _show_machine(self, machine: MachineNodes, before: State, now: State) -> State:
        """Show a state and the one that lies between it and the last one; the published machine has no shorter way."""
        if (before, now) in PASSED:
            await self._write_state(machine, PASSED[before, now].value)
        await self._write_state(machine, now.value)
        return now

    async def _write_state(self, machine: MachineNodes, state: str) -> None:
        known = STATES[machine.states][state]
        text = ua.LocalizedText(known.german, "de") if self.translated else ua.LocalizedText(state, "en")
        number = ua.Variant(known.number, ua.VariantType.UInt32)
        await machine.state_id.write_value(self.nodes.space.state_id(machine.states, state), ua.VariantType.NodeId)
        await machine.number.write_value(number)
        if machine.effective is not None:
            await machine.effective.write_value(text, ua.VariantType.LocalizedText)
        await machine.state.write_value(text, ua.VariantType.LocalizedText)

    async def _darken(self, machine: MachineNodes) -> None:
        for node in (machine.state_id, machine.number, machine.state):
            await node.write_value(ua.DataValue(ua.Variant(), _WAITING))
