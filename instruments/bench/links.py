"""What a bench file says of its links and instruments that nothing could honour: for `check` and `run`.

Only there: what was stored under an earlier release stays readable, and `stop` asks no questions.
"""

import os
from collections.abc import Iterator
from itertools import combinations
from urllib.parse import urlsplit

from instruments.bench.called import inspect_calls
from instruments.bench.file import BenchFile
from instruments.bench.link_spec import LinkSpec
from instruments.lab_processes.endpoint_names import canonical_endpoint, is_url
from orchestrator.errors import BadInput


def refuse_unhonoured(bench: BenchFile) -> None:
    """Refuse secrets in urls, two links on one wire, links of the wrong kind, keys that no driver reads, calls of what is not there.

    Raises:
        BadInput: One line that names the links or the instrument, and what was expected.
    """
    for complaint in (*_with_credentials(bench), *_shared(bench), *_unread(bench)):
        raise BadInput(f"{bench.path}: {complaint}")
    try:
        inspect_calls(bench)
    except BadInput as error:
        raise BadInput(f"{bench.path}: {error}") from error


def _with_credentials(bench: BenchFile) -> Iterator[str]:
    """Name links whose url says who connects; the url itself is not repeated: bench files are kept, lines are logged."""
    for name, link in bench.spec.links.items():
        if is_url(link.endpoint) and "@" in urlsplit(link.endpoint).netloc:
            yield f"link {name}: its url holds a user or a password; [links.{name}.security] has keys for both"


def _shared(bench: BenchFile) -> Iterator[str]:
    for (one, its), (other, others) in combinations(bench.spec.links.items(), 2):
        if (wire := _wire(its)) == _wire(others):
            yield (
                f"links {one} ({its.endpoint}) and {other} ({others.endpoint}) are one wire, {wire}: "
                "one would take the other's replies; expected one link that all its instruments name"
            )


def _wire(link: LinkSpec) -> str:
    return os.path.realpath(link.endpoint) if link.endpoint.startswith("/") else canonical_endpoint(link.endpoint)


def _unread(bench: BenchFile) -> Iterator[str]:
    for name, link in bench.spec.links.items():
        if unread := sorted(link.model_fields_set & {"frame", "baud"} if link.kind != "serial" else ()):
            yield f"link {name}: {unread[0]} belongs to a serial link; a link of kind {link.kind} has neither"
    for name, one in bench.spec.instruments.items():
        driver = bench.driver(name)
        kind = "none" if one.link is None else bench.spec.links[one.link].kind
        if one.link is not None and kind not in driver.LINKS:
            yield f"instrument {name}: driver {one.driver!r} needs a link of kind {' or '.join(driver.LINKS)}; {one.link} is {kind}"
        if kind in ("opcua", "none") and one.address is not None:
            yield f"instrument {name}: address = {one.address} belongs to a serial line; driver {one.driver!r} has none"
        if strangers := sorted(set(one.options) - driver.OPTIONS):
            legal = ", ".join(sorted(driver.OPTIONS)) or "none"
            yield f"instrument {name}: driver {one.driver!r} has no option {strangers[0]!r}; it has {legal}"
