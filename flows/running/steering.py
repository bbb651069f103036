"""Steering a campaign from Prefect's page: what a press there does to ledger and bench.

A pause is an event in the ledger, as `athanor pause` writes it: the experiment in hand is finished. A cancel is that
and a stop: the bench goes to its safe state at once, whatever the campaign's loop is busy with.
"""

import logging
import threading
from dataclasses import dataclass, field
from typing import Final

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import has_ledger, open_store, record_status
from instruments.lab_processes.stop import stop_bench
from orchestrator.domain.events import BY_PREFECT
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import AthanorError

logger = logging.getLogger(__name__)

CANCELLED: Final = "cancelled"
PAUSED_IN_PAGE: Final = "paused in the page"
LEFT_IN_PAGE: Final = frozenset({CANCELLED, PAUSED_IN_PAGE})
"""Pauses after which nobody is there to look after the bench: its processes end with the campaign's."""
LEDGER_SECONDS: Final = 3.0
"""Wall seconds that the ledger may take before the bench is stopped without it."""


@dataclass(frozen=True)
class Steering:
    """The way from Prefect's page to one campaign that this process carries."""

    lab: Lab
    campaign: str
    wired: bool
    """Whether there is a bench to stop."""
    _pressed: threading.Lock = field(default_factory=threading.Lock)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def cancelled(self) -> bool:
        """Whether a cancel has arrived."""
        return self._cancelled.is_set()

    def pause(self) -> None:
        """Let no new experiment begin; never raises."""
        try:
            self._record(PAUSED_IN_PAGE)
        except AthanorError as error:
            logger.error("campaign %s cannot be paused: %s", self.campaign, error)

    def cancel(self) -> None:
        """Pause the campaign and stop its bench, once; never raises.

        The ledger comes first, so that the loop finds the reason; a ledger that hangs does not delay the bench.
        """
        with self._pressed:
            if self._cancelled.is_set():
                return
            self._cancelled.set()
        over = threading.Event()
        teller = threading.Thread(target=self._tell, args=(over,), name="cancel-ledger", daemon=True)
        teller.start()
        teller.join(LEDGER_SECONDS)
        if self.wired and not over.is_set():
            self._stop_bench()

    def _tell(self, over: threading.Event) -> None:
        try:
            if not self._record(CANCELLED):
                over.set()
        except AthanorError as error:
            logger.error("campaign %s: the ledger does not take the cancel: %s", self.campaign, error)

    def _stop_bench(self) -> None:
        try:
            stopped = stop_bench(self.lab.path, reason=f"campaign {self.campaign} was cancelled in Prefect", by=BY_PREFECT)
            for line in stopped.lines:
                logger.info("cancelled: %s", line)
            logger.log(logging.ERROR if stopped.unsafe else logging.INFO, "cancelled: %s", stopped.verdict)
        except AthanorError as error:
            logger.error("campaign %s was cancelled; its bench: %s", self.campaign, error)

    def _record(self, reason: str) -> bool:
        """Write the pause; return whether the campaign is paused, and not over."""
        with open_store(self.lab) as store:
            record = store.changes(self.campaign).campaign
            if record.status is CampaignStatus.RUNNING:
                record_status(store, record, CampaignStatus.PAUSED, reason, by=BY_PREFECT, now=clock_of(self.lab, store).now())
                return True
            return record.status is CampaignStatus.PAUSED


def was_paused_in_page(lab: Lab, campaign: str) -> bool:
    """Say whether a campaign waits for somebody to press Resume in the page."""
    if not has_ledger(lab):
        return False
    with open_store(lab, read_only=True) as store:
        records: dict[str, CampaignRecord] = {record.name: record for record in store.campaigns()}
    found = records.get(campaign)
    return found is not None and found.status is CampaignStatus.PAUSED and found.reason == PAUSED_IN_PAGE
