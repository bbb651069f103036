"""What the author of a family of simulated chemistries needs: tasks for priors and benchmarks, and what reacts in a plant's tube.

A family is a `SimulatedFamily` in a file beside the file that names it (`family = "./dyes.py:DYES"`) or in a package that
offers it under a name in the entry-point group `athanor.chemistries`.
"""

from flows.studies.family import SimulatedFamily
from orchestrator.ports import Observation
from simulators.chemistry.family import Chemistry, Passage, Product

__all__ = ["Chemistry", "Observation", "Passage", "Product", "SimulatedFamily"]
