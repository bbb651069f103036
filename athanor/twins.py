"""What the author of a twin needs: a declared thing that predicts what settings give, or why nothing comes of them.

A twin is a `Twin`, or a function without arguments that makes one, in a file beside the bench file (`chemistry = "./film.py:TWIN"`),
in a module (`chemistry = "lipids.twin:TWIN"`), or in a package that offers it under a name in the entry-point group `athanor.twins`.
"""

from simulators.twins.declaration import Constant, Outcome, PredictMany, Situation, Surrounding, Twin, each

__all__ = ["Constant", "Outcome", "PredictMany", "Situation", "Surrounding", "Twin", "each"]
