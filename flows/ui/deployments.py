"""What people start in Prefect's page: flows that call the operations that the commands call, in a process of the lab's worker.

Like commands they import what they need when they are called, so that applying deployments loads no model. What is to be
told goes to the run's log, and what is wrong is the run's last message, in one line.
"""

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.flows import Flow
from prefect.states import Cancelled, Completed, Failed
from prefect.types.entrypoint import EntrypointType

from flows.plans.lab import Lab, LabKind, Tell, make_lab, open_lab
from flows.prefect_server.server import home_in_use
from flows.prefect_server.server_users import keep_server
from orchestrator.domain.events import BY_PREFECT
from orchestrator.errors import AthanorError, BadInput
from orchestrator.units import parse

if TYPE_CHECKING:
    from flows.running.carry import Carried
    from flows.running.run_loop import Cycle, Ended
    from flows.running.session import RunOptions

logger = logging.getLogger(__name__)

POOL_TYPE: Final = "process"
_KINDS: Final[Mapping[str, LabKind]] = {"campaign": "live", "dry-run": "dry"}


@flow(name="campaign", persist_result=False)
def campaign(file: str, lab: str | None = None, data: str | None = None) -> State[Any]:
    """Run or resume a campaign on the real bench, or on recorded data.

    Args:
        file: The campaign file, by its absolute path.
        lab: Lab folder, by its absolute path; else the one beside the file.
        data: Folder of recorded tables, by its absolute path, for recorded campaigns.
    """
    from flows.running.session import RunOptions

    def options() -> RunOptions:
        return RunOptions(kind="live", lab=_optional("lab", lab), data=_optional("data", data))

    return _carry_campaign(file, options)


@flow(name="dry-run", persist_result=False)
def dry_run(file: str, lab: str | None = None, rate: str | float = "300", seed: int = 0) -> State[Any]:
    """Run or resume a campaign against simulated instruments, with a database of its own.

    Args:
        file: The campaign file, by its absolute path.
        lab: Lab folder, by its absolute path; else the one beside the file.
        rate: Lab seconds per wall second. Text: a browser's field for numbers drops a decimal comma without a word.
        seed: Seed of the plant's noise and drift.
    """
    from flows.running.session import RunOptions

    def options() -> RunOptions:
        return RunOptions(kind="dry", lab=_optional("lab", lab), rate=parse(rate, "", what="rate"), plant_seed=seed)

    return _carry_campaign(file, options)


@flow(name="meta-training", persist_result=False)
def meta_training(file: str, data: str | None = None, card: bool = True) -> State[Any]:
    """Make a prior from past campaigns, simulated families and tables.

    Args:
        file: The file that describes the prior, by its absolute path.
        data: Folder of recorded tables, by its absolute path.
        card: Whether learners are judged on tasks left out, for the model card.
    """
    from flows.studies.priors import make_prior

    def work(tell: Tell) -> None:
        made = make_prior(_absolute("file", file), data=_optional("data", data), card=card, tell=tell)
        for line in made.lines():
            tell(line)

    return _as_command(work)


@flow(name="report", persist_result=False)
def report(lab: str, campaign: str | None = None) -> State[Any]:
    """Write a campaign's report, one self-contained HTML page.

    Args:
        lab: Lab folder, by its absolute path.
        campaign: The campaign; may be left out where the lab has one.
    """
    from flows.running.report_operations import report as write

    return _as_command(lambda tell: tell(str(write(open_lab(_absolute("lab", lab)), campaign))))


FLOWS: Final[tuple[Flow[..., State[Any]], ...]] = (campaign, dry_run, meta_training, report)


def apply(pool: str, lab: Lab, suffix: str = "") -> tuple[str, ...]:
    """Make the pool and the deployments of a lab, or bring them up to date; return the deployments' names.

    Args:
        pool: The work pool from which the lab's worker takes runs.
        lab: Whose folder the forms begin with, where they need one of its kind.
        suffix: Tells the deployments of several labs on one server apart.
    """
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type=POOL_TYPE), overwrite=True)
    for one in FLOWS:
        fits = lab.is_unsettled or _KINDS.get(one.name, lab.kind) == lab.kind
        known = {"lab": str(lab.path)} if fits and one is not meta_training else {}
        deployment: Any = one.to_deployment(
            f"{one.name}{suffix}", work_pool_name=pool, parameters=known, entrypoint_type=EntrypointType.MODULE_PATH, tags=["athanor"]
        )
        deployment.apply()
    return tuple(f"{one.name}/{one.name}{suffix}" for one in FLOWS)


# ---------------------------------------------------------------------- parameters


def _absolute(name: str, value: str) -> Path:
    path = Path(value)
    if not path.is_absolute():
        raise BadInput(f"{name} = {value!r} is a relative path; expected an absolute one: a run of the page has a temporary working folder")
    return path


def _optional(name: str, value: str | None) -> Path | None:
    return _absolute(name, value) if value else None


# ---------------------------------------------------------------------- runs


def _as_command(work: Callable[[Tell], object]) -> State[Any]:
    """Do a command's work; return the run's last state."""
    log = get_run_logger()

    def tell(text: str) -> None:
        for line in text.splitlines():
            log.info("%s", line)

    with keep_server(home_in_use()):
        try:
            work(tell)
        except AthanorError as error:
            return _ended(Failed(message=str(error)))
    return Completed()


def _ended(state: State[Any]) -> State[Any]:
    """Return a state that is no success, and keep the engine from burying its line under a traceback: the process ends now.

    Prefect raises what such a state stands for, and logs that as unexpected, in the run's own log and in its process's.
    """
    logging.getLogger("prefect.flow_runs").addFilter(_is_no_traceback)
    logging.getLogger("prefect.engine").addFilter(_without_traceback)
    return state


def _is_no_traceback(record: logging.LogRecord) -> bool:
    return record.exc_info is None


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


def _carry_campaign(file: str, options: Callable[[], "RunOptions"]) -> State[Any]:
    """Carry a campaign on within this flow run.

    Raises:
        Pause: Somebody paused it in the page; the run's process ends, and Resume there starts it again.
    """
    from flows.prefect_view.review_runs import PrefectAsker
    from flows.running.carry import progress_line
    from flows.running.session import Surroundings, run_campaign
    from flows.studies.missing_prior import make_missing_prior
    from flows.studies.twins.watching import drift_watch

    inside = _Inside()

    def work(tell: Tell) -> None:
        path, wanted = _absolute("file", file), options()
        _lift_own_pause(path, wanted, tell)
        surroundings = Surroundings(tell, lambda _: nullcontext(), PrefectAsker, inside, make_missing_prior, drift_watch)
        ended = run_campaign(path, wanted, surroundings)
        if (account := ended.account) is not None:
            tell(progress_line(account.history, account.objective, account.budget))
            tell(f"wall seconds: {', '.join(f'{name} {seconds:.1f}' for name, seconds in account.phases.items())}")
        for line in ended.lines():
            tell(line)
        if ended.complaint is not None:
            raise ended.complaint

    state = _as_command(work)
    if inside.cancelled:
        return _ended(Cancelled(message=state.message))
    if (now := _state_in_page()) is not None and now.is_paused():
        if now.state_details.pause_reschedule:
            raise Pause(state=now)
        return _ended(Cancelled(message=state.message))  # a pause that waits for this process, which has nothing left to do
    return Completed(message=inside.said or None) if state.is_completed() else state


class _Inside:
    """Carries a campaign on within the flow run that somebody started in the page.

    A worker ends a cancelled run by a signal: it means the same as a press on Cancel, and the command winds down by itself.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self.said = ""
        """How far the campaign came, in a line."""
        self._told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self._told.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the worker's terminal is the worker's to answer

    def __call__(self, carried: "Carried") -> "Ended":
        from flows.prefect_view.campaign_flow import View

        threading.Thread(target=self._obey, args=(carried,), name="cancel-signal", daemon=True).start()
        view = View(carried.shown(), carried.steering, threading.Event())
        view.adopt_run()
        outcome: list[Ended | AthanorError] = []

        def body(cycle: "Cycle") -> None:
            try:
                outcome.append(carried.conduct(view, cycle, threading.Event()))
            except AthanorError as error:
                outcome.append(error)

        said = view.inside(body)
        self.said = said if isinstance(said, str) else ""
        self.cancelled = carried.steering.cancelled
        if isinstance(outcome[0], AthanorError):
            raise outcome[0]
        return outcome[0]

    def _obey(self, carried: "Carried") -> None:
        self._told.wait()
        carried.steering.cancel()


def _lift_own_pause(file: Path, options: "RunOptions", tell: Tell) -> None:
    """Lift a pause that was made in the page when its run is started again there."""
    from flows.running.operations import resume
    from flows.running.steering import was_paused_in_page
    from orchestrator.domain.campaign import load_campaign

    if not _was_paused_in_page():
        return
    name = load_campaign(file).name
    lab = make_lab(options.lab, beside=file, kind=options.kind)
    if was_paused_in_page(lab, name):
        resume(lab, name, by=BY_PREFECT, reason="resumed in the page")
        tell(f"campaign {name} may go on")


def _was_paused_in_page() -> bool:
    """Say whether this very flow run was paused before: then it was Resume that started it again."""
    if (own := _own_id()) is None:
        return False
    with get_client(sync_client=True) as client:
        return any(state.is_paused() for state in client.read_flow_run_states(own))


def _state_in_page() -> State[Any] | None:
    if (own := _own_id()) is None:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(own).state


def _own_id() -> UUID | None:
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.id
