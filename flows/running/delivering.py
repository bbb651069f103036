"""What a person answered to a step, from the ledger to the bench host: by whoever comes first, as often as it takes."""

import logging

from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput, HostRefusal
from orchestrator.ports import Bench, RunStore

logger = logging.getLogger(__name__)


def deliver(store: RunStore, bench: Bench, clock: Clock, answer: WorkAnswer, *, by: str) -> WorkAnswer:
    """Tell the bench what a person answered, and record whether it took it; return the answer as it then is.

    Raises:
        HostError: The bench cannot be asked: the answer is kept, and delivered when it can.
    """
    refusal = _refusal(bench, answer)
    if refusal is not None:
        logger.warning("answer %s to step %d of run %s: %s", answer.answer_id, answer.step, answer.run_key, refusal)
    settled = answer.evolve(status=AnswerStatus.ACCEPTED if refusal is None else AnswerStatus.REFUSED, refusal=refusal)
    store.settle_work(settled, by=by, now=clock.now())
    return settled


def _refusal(bench: Bench, answer: WorkAnswer) -> str | None:
    if bench.report(answer.run_key) is None:
        return f"the bench knows nothing of run {answer.run_key}"
    try:
        bench.answer(answer)
    except (BadInput, HostRefusal) as error:
        return str(error)
    return None
