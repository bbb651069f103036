"""Types a command whose review runs have a short time-out in Prefect: `python -m tests.reviewing.entry SECONDS WORDS...`.

The product's is a month. It is handed over here, in this process, as soon as Prefect may be imported.
"""

import sys

from flows.cli import run
from flows.cli.main import main
from flows.plans.lab import Lab
from flows.review.desk import Asker
from orchestrator.ports import ReviewStore


def shorten(seconds: int) -> None:
    """Have whatever puts requests to people give Prefect this time-out."""

    def prefect_asker(lab: Lab, store: ReviewStore, campaign: str) -> Asker:
        from flows.prefect_view.review_runs import PrefectAsker

        return PrefectAsker(lab, store, campaign, timeout=seconds)

    run.prefect_asker = prefect_asker  # where the command looks it up


if __name__ == "__main__":
    shorten(int(sys.argv.pop(1)))
    main()
