"""What the author of a reduction needs: a way from readings to measured values, with a name and a version.

A reduction is a `Reduction` in a file beside the bench file (`reduction = "./colour.py:COLOUR"`) or in a package that
offers it in the entry-point group `athanor.reductions`, under the name and version that it has itself (`colour/1`).
"""

from instruments.reductions.reduced import Reduced
from instruments.reductions.registry import Reduction
from orchestrator.domain.records import Reading

__all__ = ["Reading", "Reduced", "Reduction"]
