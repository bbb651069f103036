"""Serves the platform over OPC-UA, as a LADS device.

A method changes the device before its first await, since asyncua cancels a running method when its client dies; what then
remains to be shown in the address space is done by tasks of this server.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from asyncua import ua
from asyncua.common.callback import Callback, CallbackType, ServerItemCallback
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from simulators.clock import LabClock
from simulators.faults import PLATFORM_KINDS, FaultBook, FaultKind, FaultSpec
from simulators.lads_nodes import PlatformNodes, build_namespaces, build_platform, build_structures
from simulators.lads_results import ResultNodes
from simulators.measurement import Analyser
from simulators.opcua_access import PlatformAccess
from simulators.synthesis_platform import Order, ProgramResult, Refusal, Sample, State, SynthesisPlatform

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
PATH = "/athanor/platform"
BEAT = 1.0
"""Wall s between heartbeats."""

BIND_ATTEMPTS = 5
"""A free port may be taken by another program between asking for it and binding it."""

WARM = 24.0
"""degC of the spectrometer's housing."""

_STATUS = {
    Refusal.EXISTS: ua.StatusCode(ua.UInt32(StatusCodes.BadEntryExists)),
    Refusal.STATE: ua.StatusCode(ua.UInt32(StatusCodes.BadInvalidState)),
    Refusal.ARGUMENT: ua.StatusCode(ua.UInt32(StatusCodes.BadInvalidArgument)),
}
GOOD = ua.StatusCode()


class PlatformServer:
    """One platform on one port of the loopback interface."""

    def __init__(
        self,
        platform: SynthesisPlatform,
        bench: Analyser,
        faults: FaultBook,
        clock: LabClock,
        serial_number: str,
        *,
        touched: Callable[[], None],
        access: PlatformAccess | None = None,
    ) -> None:
        self._access = access
        self._platform = platform
        self._bench = bench
        self._faults = faults
        self._clock = clock
        self._serial_number = serial_number
        self._touched = touched
        self._server = Server()
        self._nodes: PlatformNodes | None = None
        self._shown: dict[str, tuple[ResultNodes, ProgramResult]] = {}
        self._showing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        """Build the address space and listen."""
        await self._server.init()
        self._server.set_server_name("Simulated synthesis platform")
        if self._access is None:
            self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        else:
            await self._access.secure(self._server)
        names = await build_namespaces(self._server)
        structures = await build_structures(self._server, names)
        self._nodes = await build_platform(self._server, names, structures, self._serial_number)
        await self._add_methods(self._nodes)
        self._server.subscribe_server_callback(CallbackType.PostWrite, self._written)
        await self._show()
        await self._listen()
        self._spawn(self._beat())

    async def close(self) -> None:
        """Stop listening and end all tasks."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()

    def device_changed(self) -> None:
        """Show in the address space what changed by itself (watchdog, power cut)."""
        self._spawn(self._show())

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

    async def _add_methods(self, nodes: PlatformNodes) -> None:
        lads, text = nodes.names.lads_name, ua.NodeId(ua.Int32(ObjectIds.String))
        inputs = [
            _argument("ProgramTemplateId", text),
            _argument("Properties", nodes.structures.key_value_id, rank=1),
            _argument("SupervisoryJobId", text),
            _argument("SupervisoryTaskId", text),
            _argument("Samples", nodes.structures.sample_info_id, rank=1),
        ]
        start = lads("StartProgram")
        fresh = ua.NodeId(NamespaceIndex=start.NamespaceIndex)
        await nodes.machine.add_method(fresh, start, self._start_program, inputs, [_argument("DeviceProgramRunId", text)])
        for name, method in (("Stop", self._stop), ("Abort", self._abort), ("Clear", self._clear)):
            await nodes.machine.add_method(fresh, lads(name), method, [], [])
        kick = nodes.names.own_name("Kick")
        await nodes.device.add_method(ua.NodeId(NamespaceIndex=kick.NamespaceIndex), kick, self._kick, [], [])

    async def _start_program(
        self,
        _parent: ua.NodeId,
        template: ua.Variant,
        properties: ua.Variant,
        job: ua.Variant,
        task: ua.Variant,
        vials: ua.Variant,
    ) -> list[ua.Variant] | ua.StatusCode:
        pairs = tuple((pair.Key or "", pair.Value or "") for pair in properties.Value or ())
        samples = tuple(
            Sample(vial.ContainerId or "", vial.SampleId or "", vial.Position or "", vial.CustomData or "") for vial in vials.Value or ()
        )
        order = Order(template.Value or "", pairs, job.Value or "", task.Value or "", samples)
        answer = self._start_on_device(order)
        if isinstance(answer, Refusal):
            return _STATUS[answer]
        await asyncio.shield(self._spawn(self._show()))
        return [ua.Variant(answer.run_id, ua.VariantType.String)]

    def _start_on_device(self, order: Order) -> ProgramResult | Refusal:
        """Change the device; no await may come before this has ended."""
        now = self._clock.now()
        fault = self._faults.take(self._platform.name, f"start {order.template}", PLATFORM_KINDS)
        kind = None if fault is None else fault.fault
        if kind is FaultKind.POWER_CYCLE:
            self._platform.power_cycle(now)
        answer = self._platform.start(order, now, confused=kind is FaultKind.WRONG_TEMPLATE)
        if isinstance(answer, ProgramResult) and answer is self._platform.active:
            self._spawn(self._carry_out(answer, fault))
        if kind is FaultKind.START_REPLY_LOST:
            self._drop_connections()
        self._touched()
        return answer

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
        if not isinstance(event, ServerItemCallback) or not event.is_external or self._nodes is None:
            return
        nodes, now = self._nodes, self._clock.now()
        for written, status in zip(event.request_params.NodesToWrite, event.response_params, strict=True):
            if not status.is_good():
                continue
            value = written.Value.Value.Value
            if written.NodeId == nodes.lamp_target.nodeid:
                self._platform.set_lamp(now, on=bool(value))
            elif written.NodeId == nodes.watchdog.nodeid and value >= 0.0:
                self._platform.set_watchdog(now, float(value))
        await self._changed()

    async def _show(self) -> None:
        """Bring the address space up to the device: results first, the state last."""
        if self._nodes is None:
            return
        async with self._showing:
            await self._show_results(self._nodes)
            await self._show_state(self._nodes)

    async def _show_results(self, nodes: PlatformNodes) -> None:
        for run_id, result in tuple(self._platform.results.items()):
            shown = self._shown.get(run_id)
            if shown is not None and shown[1] is result:
                continue
            view = await ResultNodes.build(nodes, result) if shown is None else shown[0]
            if result.stopped is not None:
                await view.complete(nodes.names, result)
            self._shown[run_id] = view, result
            if shown is None:
                await nodes.version.write_value(str(len(self._shown)), ua.VariantType.String)

    async def _show_state(self, nodes: PlatformNodes) -> None:
        platform = self._platform
        state, active = platform.state, platform.active
        text, number = ua.VariantType.String, ua.VariantType.Double
        await nodes.boot_id.write_value(platform.boot_id, text)
        await nodes.watchdog.write_value(platform.watchdog_seconds, number)
        await nodes.lamp_target.write_value(platform.lamp, ua.VariantType.Boolean)
        await nodes.lamp_current.write_value(platform.lamp, ua.VariantType.Boolean)
        if active is not None:
            await nodes.template.write_value(active.ran_template, text)
            await nodes.run_id.write_value(active.run_id, text)
        await nodes.state_id.write_value(nodes.state_ids[state], ua.VariantType.NodeId)
        await nodes.state.write_value(ua.LocalizedText(state.value), ua.VariantType.LocalizedText)

    async def _beat(self) -> None:
        """Count the heartbeat and refresh what changes with time alone."""
        if self._nodes is None:
            return
        nodes, platform, beats = self._nodes, self._platform, 0
        while True:
            now, beats = self._clock.now(), beats + 1
            await nodes.heartbeat.write_value(beats & 0xFFFFFFFF, ua.VariantType.UInt32)
            await nodes.uptime.write_value(now.lab - platform.booted.lab, ua.VariantType.Double)
            await nodes.temperature.write_value(WARM + (6.0 if platform.lamp else 0.0), ua.VariantType.Double)
            if platform.state is State.RUNNING:
                await nodes.runtime.write_value(1e3 * (now.lab - platform.active_since), ua.VariantType.Double)
            await asyncio.sleep(BEAT)


def _argument(name: str, data_type: ua.NodeId, rank: int = -1) -> ua.Argument:
    return ua.Argument(Name=name, DataType=data_type, ValueRank=ua.Int32(rank), ArrayDimensions=[])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
