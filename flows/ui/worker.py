"""The worker of a lab: starts the runs that people ask for in Prefect's page, and winds them down before it leaves.

    python -m flows.ui.worker --home HOME --lab LAB --pool POOL

It leaves when it is told to, and when whoever started it has died: its standard input is a pipe that then ends. Runs
are cancelled first and waited for: a worker that is merely ended kills what it has started, and nothing is cleaned up.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Cancelling
from prefect.workers.process import ProcessWorker

from flows.plans.lab import open_lab
from flows.prefect_server.server_users import keep_server
from flows.prefect_view.stale_review_runs import close_decided_runs
from flows.ui.deployments import apply
from instruments.lab_processes.process_identity import Process
from instruments.lab_processes.state_files import write_state_file
from orchestrator.errors import AthanorError

logger = logging.getLogger(__name__)

READY: Final = "worker.json"
"""Note in the server's home: the worker's pid and what can be started."""
DRAIN_SECONDS: Final = 75.0
"""Wall seconds for cancelled runs to end: Prefect kills one that has not after 30."""
_POLL_SECONDS: Final = 0.5
_ACTIVE: Final = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.SCHEDULED)


async def serve_pool(pool: str, leave: asyncio.Event) -> None:
    """Carry out the runs of a pool until told to leave; then cancel them, wait for their end and stop."""
    worker = ProcessWorker(work_pool_name=pool, name=f"athanor-{os.getpid()}", create_pool_if_not_found=False)
    working = asyncio.create_task(worker.start(printer=logger.info))
    leaving = asyncio.create_task(leave.wait())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leave.is_set():
            await drain(pool)
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
    if not leave.is_set():
        working.result()  # why it ended by itself


async def drain(pool: str) -> None:
    """Cancel the runs of a pool that are on their way, and wait until none is; close those whose process is gone."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_SECONDS
    async with get_client() as client:
        while active := await _active(client, pool):
            for run in active:
                await _cancel(client, run, force=_is_gone(run) or loop.time() > deadline)
            await asyncio.sleep(_POLL_SECONDS)


async def _cancel(client: PrefectClient, run: FlowRun, *, force: bool) -> None:
    if force:
        logger.warning("run %s is closed: its process is gone, or did not end", run.name)
        await client.set_flow_run_state(run.id, Cancelled(message="its process was gone when athanor serve stopped"), force=True)
    elif run.state is not None and not run.state.is_cancelling():
        logger.info("cancelling %s", run.name)
        await client.set_flow_run_state(run.id, Cancelling(message="athanor serve is stopping"))


def _is_gone(run: FlowRun) -> bool:
    """Say whether the process that a worker started for a run has died."""
    pid = run.infrastructure_pid or ""
    return run.state is not None and not run.state.is_scheduled() and pid.isdigit() and Process.of(int(pid)) is None


async def _active(client: PrefectClient, pool: str) -> list[FlowRun]:
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_ACTIVE)))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )


async def _live(pool: str) -> None:
    leave, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):  # also where they were ignored when this process began
        loop.add_signal_handler(number, leave.set)
    loop.add_reader(sys.stdin.fileno(), _heard, leave)
    try:
        await serve_pool(pool, leave)
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _heard(leave: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        leave.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Work for a lab until told to leave."""
    parser = argparse.ArgumentParser(prog="python -m flows.ui.worker", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--own-server", action="store_true")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with keep_server(given.home if given.own_server else None):
            lab = open_lab(given.lab)
            close_decided_runs(lab)
            offered = apply(given.pool, lab, given.suffix)
            write_state_file(given.home / READY, {"pid": os.getpid(), "deployments": offered})
            asyncio.run(_live(given.pool))
    except AthanorError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
