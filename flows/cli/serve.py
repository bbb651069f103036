"""`athanor serve`: the page, what can be started there, and who carries it out, in the foreground."""

import signal
import threading
from pathlib import Path
from typing import Final

from flows.console import console, log_to
from flows.plans.lab import Kind, find_or_make_lab
from flows.ui.serving import Service

_LOOK_SECONDS: Final = 1.0


def serve_lab(*, lab: Path | None, kind: Kind | None = None) -> None:
    """Serve a lab until interrupted, then cancel what was started in the page, and leave nothing running.

    Raises:
        Fault: Server or worker do not come up, or the worker has died.
    """
    found = find_or_make_lab(lab, here=Path.cwd(), kind=kind, tell=console.print)
    log_to(found.path / "serve.log")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # also where they were ignored when this command began
        signal.signal(number, lambda *_: leave.set())
    with Service(found, tell=console.print) as service:
        console.print(f"Prefect UI: {service.ui_url}")
        if service.moved is not None:
            console.print(service.moved)
        offer = service.start()
        console.print(f"to be started there: {', '.join(offer.deployments)}  (Ctrl-C cancels what runs, and ends all)")
        while not leave.wait(_LOOK_SECONDS):
            service.check()
        console.print("ending: runs are cancelled, then worker and server leave")
