"""Work orders to print: what a person is to do, the run's code to read and to scan, and lines to write the values on."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import segno

from flows.report.quantities import with_unit
from flows.templating import render
from orchestrator.domain.work import WorkOrder

_QUIET: Final = 4
"""Modules of white around a QR code (ISO/IEC 18004:2015, 6.3.8)."""


@dataclass(frozen=True, slots=True)
class PrintedOrder:
    """One step that waits for a person, as it is printed."""

    code: str
    """The run's code."""
    campaign: str
    do: str
    """`instrument.call`."""
    order: WorkOrder
    configuration: Mapping[str, float | str]
    units: Mapping[str, str]
    """Of the configuration's numbers."""
    command: str
    """How the values are typed."""


def work_orders(orders: Sequence[PrintedOrder]) -> str:
    """Return one HTML document with a page for each order; it needs nothing else, not even a network."""
    return render(
        "work_order.html",
        orders=[
            {
                "code": one.code,
                "campaign": one.campaign,
                "do": one.do,
                "whom": one.order.person or "anybody of the lab",
                "instructions": one.order.instructions,
                "values": one.order.values,
                "configuration": [(column, with_unit(value, one.units.get(column, ""))) for column, value in one.configuration.items()],
                "command": one.command,
                "qr": qr_code(one.code),
            }
            for one in orders
        ],
    )


def qr_code(text: str) -> str:
    """Draw a text as a QR code, an SVG picture; a quarter of it may be stained (level Q)."""
    drawn = io.BytesIO()
    segno.make(text, error="q", micro=False).save(
        drawn, kind="svg", border=_QUIET, xmldecl=False, svgns=True, omitsize=True, svgclass=None, lineclass=None
    )
    return drawn.getvalue().decode()
