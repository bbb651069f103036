"""Athanor from Python: look into labs, steer campaigns, or ask and tell without any bench.

Names are bound when they are first used, so that `import athanor` loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` binds the same names
    from athanor.lab import CampaignHandle as CampaignHandle
    from athanor.lab import LabHandle as LabHandle
    from athanor.lab import open_lab as open_lab
    from athanor.started import StartedCampaign as StartedCampaign
    from athanor.started import start as start
    from flows.report.export.campaign import ExportOptions as ExportOptions
    from flows.running.review_operations import Decision as Decision

_HOMES: Final[dict[str, str]] = {
    "CampaignHandle": "athanor.lab",
    "Decision": "flows.running.review_operations",
    "ExportOptions": "flows.report.export.campaign",
    "LabHandle": "athanor.lab",
    "StartedCampaign": "athanor.started",
    "open_lab": "athanor.lab",
    "start": "athanor.started",
}
"""Public name -> the module that it stands in."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'athanor' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
