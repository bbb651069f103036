"""Serves the platform over OPC-UA, as a LADS device.

A method changes the device before its first await, since asyncua cancels a running method when its client dies; what then
remains to be shown in the address space is done by tasks of this server.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.common.callback import Callback, CallbackType, ServerItemCallback
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from simulators.address_space import AddressSpace, Method, standard
from simulators.clock import LabClock
from simulators.faults import PLATFORM_KINDS, FaultBook, FaultKind, FaultSpec
from simulators.lads_lock import UnitLock
from simulators.lads_nodes import Methods, Offer, build_platform
from simulators.lads_view import PlatformView
from simulators.measurement import Filling
from simulators.opcua_access import PlatformAccess
from simulators.opcua_sessions import CALLER, Caller, Sessions
from simulators.synthesis_platform import PLATFORM_PLATE, Nameplate, Order, ProgramResult, Sample, SynthesisPlatform
from simulators.unit_states import Refusal

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
PATH = "/athanor/platform"
BEAT = 1.0
"""Wall s between refreshments of what changes with time alone."""

BIND_ATTEMPTS = 5
"""A free port may be taken by another program between asking for it and binding it."""


def _status(code: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(code))


GOOD = ua.StatusCode()
_LOCKED = _status(StatusCodes.BadLocked)
_NOT_YOURS = _status(StatusCodes.BadUserAccessDenied)
_GONE = _status(StatusCodes.BadShutdown)
_STATUS = {
    Refusal.EXISTS: _status(StatusCodes.BadEntryExists),
    Refusal.STATE: _status(StatusCodes.BadInvalidState),
    Refusal.ARGUMENT: _status(StatusCodes.BadInvalidArgument),
}


@dataclass(frozen=True, slots=True)
class ServerTraits:
    """What differs between servers of one kind of device."""

    serial_number: str
    longest_lock: float = 60.0
    """Wall s of silence after which a lock is released."""
    most_nodes: int | None = None
    """Nodes that one request may name; None: no limit."""
    plate: Nameplate = PLATFORM_PLATE
    has_functions: bool = True
    """Whether it has the platform's lamp and thermometer."""


class PlatformServer:
    """One platform on one port of the loopback interface."""

    def __init__(
        self,
        platform: SynthesisPlatform,
        bench: Filling,
        faults: FaultBook,
        clock: LabClock,
        traits: ServerTraits,
        *,
        touched: Callable[[], None],
        access: PlatformAccess | None = None,
    ) -> None:
        self._access = access
        self._platform = platform
        self._bench = bench
        self._faults = faults
        self._clock = clock
        self._traits = traits
        self._touched = touched
        self._lock = UnitLock(traits.longest_lock)
        self._sessions = Sessions(most_nodes=traits.most_nodes)
        self._server = Server(self._sessions)
        self._view: PlatformView | None = None
        self._showing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        """Build the address space and listen."""
        await self._server.init()
        self._server.set_server_name(f"Simulated {self._traits.plate.device}")
        if self._access is None:
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await self._access.secure(self._server)
        space = await AddressSpace.of(self._server)
        traits = self._traits
        offer = Offer(traits.plate, traits.serial_number, self._platform.templates, traits.longest_lock, traits.has_functions)
        nodes = await build_platform(space, self._methods(), offer)
        self._view = PlatformView(nodes, self._platform, self._lock)
        self._sessions.guard, self._sessions.ended = self._guard, self._session_ended
        await self._sessions.show_limits()
        self._server.subscribe_server_callback(CallbackType.PostWrite, self._written)
        await self._show()
        await self._view.show_power()
        await self._listen()
        self._spawn(self._beat())

    async def close(self) -> None:
        """Stop listening and end all tasks."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()

    def device_changed(self) -> None:
        """Show in the address space what changed by itself (the watchdog)."""
        self._spawn(self._show())

    def strike(self, kind: FaultKind) -> None:
        """Let a fault happen that needs no command."""
        if kind is FaultKind.POWER_CYCLE:
            self._cut_power()
        elif kind is FaultKind.TRANSLATED:
            self._speak(german=True)

    def repair(self) -> None:
        """Mend what can be mended: the language."""
        self._speak(german=False)

    def _speak(self, *, german: bool) -> None:
        if self._view is not None:
            self._view.translated = german
            self._spawn(self._show())

    def _cut_power(self) -> None:
        """Cut the power for a moment: connections, lock and program are lost, and the server says when it started anew."""
        self._platform.power_cycle(self._clock.now())
        self._lock.give_back(self._clock.now().wall)
        self._drop_connections()
        self._spawn(self._boot())

    async def _boot(self) -> None:
        """Write a new StartTime, the standard's evidence of a reboot, in the variable and in the structure."""
        started = datetime.now(UTC)
        whole = self._server.get_node(standard(ObjectIds.Server_ServerStatus))
        status = await whole.read_value()
        status.StartTime = started
        await whole.write_value(status)
        await self._server.get_node(standard(ObjectIds.Server_ServerStatus_StartTime)).write_value(started)
        await self._show()

    async def _listen(self) -> None:
        for attempt in range(BIND_ATTEMPTS):
            self.url = f"opc.tcp://{_HOST}:{_free_port()}{PATH}"
            self._server.set_endpoint(self.url)
            try:
                await self._server.start()
            except OSError:
                if attempt == BIND_ATTEMPTS - 1:
                    raise
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("platform %s: a task failed", self._platform.name, exc_info=error)

    def _methods(self) -> Methods:
        unit: dict[str, Method] = {"StartProgram": self._start_program, "Stop": self._stop, "Abort": self._abort, "Clear": self._clear}
        lamp: dict[str, Method] = {
            "Start": self._start_lamp,
            "StartWithTargetValue": self._start_lamp,
            "Stop": self._stop_lamp,
            "Abort": self._abort_lamp,
            "Clear": self._clear_lamp,
        }
        lock: dict[str, Method] = {
            "InitLock": self._take_lock,
            "RenewLock": self._renew_lock,
            "ExitLock": self._exit_lock,
            "BreakLock": self._break_lock,
        }
        return Methods(unit, lamp, lock, self._kick)

    async def _start_program(self, _parent: ua.NodeId, *given: ua.Variant) -> list[ua.Variant] | ua.StatusCode:
        if len(given) != 5:
            return _status(StatusCodes.BadArgumentsMissing if len(given) < 5 else StatusCodes.BadTooManyArguments)
        template, properties, job, task, vials = (variant.Value for variant in given)
        pairs = tuple((pair.Key or "", pair.Value or "") for pair in properties or ())
        samples = tuple(_sample(vial) for vial in vials or ())
        order = Order(template or "", pairs, job or "", task or "", samples)
        fault = self._faults.take(self._platform.name, f"start {order.template}", PLATFORM_KINDS)
        answer = self._start_on_device(order, fault)
        if isinstance(answer, ua.StatusCode):
            return answer
        await asyncio.shield(self._spawn(self._show()))
        if fault is not None and fault.fault is FaultKind.LATE_REPLY:
            await asyncio.sleep(fault.delay_s)
        return [ua.Variant(answer.run_id, ua.VariantType.String)]

    def _start_on_device(self, order: Order, fault: FaultSpec | None) -> ProgramResult | ua.StatusCode:
        """Change the device; no await may come before this has ended."""
        now, caller = self._clock.now(), CALLER.get()
        kind = None if fault is None else fault.fault
        if kind is FaultKind.POWER_CYCLE:
            self._cut_power()
            return _GONE
        confused = kind is FaultKind.WRONG_TEMPLATE
        answer = self._platform.start(order, now, confused=confused, application_uri=caller.application_uri, user=caller.user)
        if isinstance(answer, Refusal):
            return _STATUS[answer]
        if answer is self._platform.active:
            self._spawn(self._carry_out(answer, fault))
        if kind is FaultKind.START_REPLY_LOST:
            self._drop_connections()
        if fault is not None and kind is FaultKind.STATE_BAD:
            self._spawn(self._darken(fault.delay_s))
        if kind is FaultKind.TRANSLATED:
            self._speak(german=True)
        self._touched()
        return answer

    async def _darken(self, seconds: float) -> None:
        """Keep the unit's state Bad for a while."""
        if self._view is not None:
            self._view.dark_until = self._clock.now().wall + seconds
            await asyncio.sleep(seconds)
            await self._show()

    def _drop_connections(self) -> None:
        if self._server.bserver is None:
            return
        for client in tuple(self._server.bserver.clients):
            if client.transport is not None:
                client.transport.abort()

    async def _carry_out(self, result: ProgramResult, fault: FaultSpec | None) -> None:
        """Run a program: the vial is filled at once, the result is there when the program has lasted its time."""
        since, ends = self._platform.active_since, self._platform.ends_at
        measuring = self._bench.fill(result, since)
        outcome, variables = await asyncio.to_thread(measuring)
        await asyncio.sleep(max(self._clock.wall_at(ends or since) - self._clock.now().wall, 0.0))
        if self._platform.active is not result:
            return
        kind = None if fault is None else fault.fault
        now = self._clock.now()
        if fault is not None and kind is FaultKind.PROGRAM_FAILURE:
            self._platform.finish(fault.code, {}, now)
        elif kind is FaultKind.ABORT_MID_RUN:
            self._platform.abort(now, "fault")
        elif self._platform.fate:
            self._platform.finish(self._platform.fate, {}, now)
        else:
            self._platform.finish(outcome, variables, now, bad_status=kind is FaultKind.BAD_STATUS)
        await self._show()

    async def _stop(self, _parent: ua.NodeId) -> ua.StatusCode:
        self._platform.stop(self._clock.now())
        return await self._changed()

    async def _abort(self, _parent: ua.NodeId) -> ua.StatusCode:
        self._platform.abort(self._clock.now())
        return await self._changed()

    async def _clear(self, _parent: ua.NodeId) -> ua.StatusCode:
        refusal = self._platform.clear(self._clock.now())
        return await self._changed() if refusal is None else _STATUS[refusal]

    async def _start_lamp(self, _parent: ua.NodeId, *given: ua.Variant) -> ua.StatusCode:
        """Start the lamp's function; an empty target is none (LADS, 7.6.2.3)."""
        target = given[0].Value if given else None
        if target is not None and not isinstance(target, bool):
            return _status(StatusCodes.BadInvalidArgument)
        return await self._lamp_changed(self._platform.start_lamp(self._clock.now(), target))

    async def _stop_lamp(self, _parent: ua.NodeId) -> ua.StatusCode:
        self._platform.stop_lamp(self._clock.now())
        return await self._lamp_changed(None)

    async def _abort_lamp(self, _parent: ua.NodeId) -> ua.StatusCode:
        self._platform.stop_lamp(self._clock.now(), abort=True)
        return await self._lamp_changed(None)

    async def _clear_lamp(self, _parent: ua.NodeId) -> ua.StatusCode:
        return await self._lamp_changed(self._platform.lamp.clear())

    async def _lamp_changed(self, refusal: Refusal | None) -> ua.StatusCode:
        return await self._changed() if refusal is None else _STATUS[refusal]

    async def _take_lock(self, _parent: ua.NodeId, context: ua.Variant) -> list[ua.Variant]:
        return await self._lock_answered(self._lock.take(CALLER.get(), context.Value or "", self._clock.now().wall))

    async def _renew_lock(self, _parent: ua.NodeId) -> list[ua.Variant] | ua.StatusCode:
        now = self._clock.now().wall
        return _NOT_YOURS if self._lock.refuses(CALLER.get(), now) else await self._lock_answered(self._lock.renew(now))

    async def _exit_lock(self, _parent: ua.NodeId) -> list[ua.Variant] | ua.StatusCode:
        now = self._clock.now().wall
        return _NOT_YOURS if self._lock.refuses(CALLER.get(), now) else await self._lock_answered(self._lock.give_back(now))

    async def _break_lock(self, _parent: ua.NodeId) -> list[ua.Variant]:
        return await self._lock_answered(self._lock.give_back(self._clock.now().wall))

    async def _lock_answered(self, answer: int) -> list[ua.Variant]:
        await self._changed()
        return [ua.Variant(answer, ua.VariantType.Int32)]

    def _guard(self, caller: Caller, node: ua.NodeId) -> ua.StatusCode | None:
        """Refuse what another application's lock keeps; what its holder does starts the lock's time anew."""
        if self._view is None or node not in self._view.nodes.guarded:
            return None
        now = self._clock.now().wall
        if self._lock.refuses(caller, now):
            return _LOCKED
        if self._lock.is_held(now):
            self._lock.renew(now)
        return None

    def _session_ended(self, session: str) -> None:
        if self._lock.session_ended(session):
            with suppress(RuntimeError):  # the plant's loop is ending
                self._spawn(self._show())

    async def _kick(self, _parent: ua.NodeId) -> ua.StatusCode:
        self._platform.kick(self._clock.now())
        self._touched()
        return GOOD

    async def _changed(self) -> ua.StatusCode:
        self._touched()
        await asyncio.shield(self._spawn(self._show()))
        return GOOD

    async def _written(self, event: Callback, _service: object) -> None:
        """Let the device follow what a client wrote."""
        if not isinstance(event, ServerItemCallback) or not event.is_external or self._view is None:
            return
        nodes, now = self._view.nodes, self._clock.now()
        for written, status in zip(event.request_params.NodesToWrite, event.response_params, strict=True):
            if not status.is_good():
                continue
            value = written.Value.Value.Value
            if nodes.functions is not None and written.NodeId == nodes.functions.lamp_target.nodeid:
                self._platform.target_lamp(now, on=bool(value))
            elif written.NodeId == nodes.watchdog.nodeid and value >= 0.0:
                self._platform.set_watchdog(now, float(value))
        await self._changed()

    async def _show(self) -> None:
        """Bring the address space up to the device."""
        if self._view is None:
            return
        async with self._showing:
            await self._view.show(self._clock.now())

    async def _beat(self) -> None:
        """Refresh what changes with time alone."""
        while self._view is not None:
            await self._view.tick(self._clock.now())
            await asyncio.sleep(BEAT)


def _sample(vial: Any) -> Sample:
    return Sample(vial.ContainerId or "", vial.SampleId or "", vial.Position or "", vial.CustomData or "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
