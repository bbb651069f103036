"""BayBE with its task parameter, as its documentation shows transfer learning; all else as the package has it.

The judged task is the only active value, so that the discrete space is the pool. BayBE 0.15 takes as the best so far the
largest posterior mean over all measurements, those of the sources included.

One thing is not as the package has it: its fits are stopped after `FIT_STEPS` steps, for which it has no setting. Its
leave-one-out pseudo-likelihood over 300 rows and as many task factors as tasks still creeps after 500 steps, half a minute
of a core a proposal. Without sources there is no task parameter and no bound; the recommender is the one that BayBE's default
turns to as soon as anything is measured.
"""

from importlib.metadata import version
from typing import Any, Final

import botorch.fit
import pandas as pd
from baybe import Campaign
from baybe.parameters import CategoricalParameter, NumericalDiscreteParameter, TaskParameter
from baybe.recommenders import BotorchRecommender
from baybe.searchspace import SearchSpace, SubspaceDiscrete
from baybe.targets import NumericalTarget

from benchmarks.peers.fits import bounded
from benchmarks.peers.replaying import Case, Draw, Entrant, Measured

TASK: Final = "task"
SCORE: Final = "score"


class BaybePeer:
    """One BayBE campaign over a pool, with the sources' rows as measurements of other tasks."""

    def __init__(self, case: Case, draw: Draw) -> None:
        """Make the campaign and give it the sources' rows."""
        sources = [pd.DataFrame({**one["rows"], TASK: one["task"], SCORE: one["scores"]}) for one in draw["sources"]]
        candidates = pd.DataFrame({**case["candidates"], TASK: case["task"]})
        every = pd.concat([candidates, *sources])
        known = [made for one in case["parameters"] if (made := _parameter(one, every)) is not None]
        if sources:
            known.append(TaskParameter(name=TASK, values=list(every[TASK].unique()), active_values=[case["task"]]))
        self._names, self._sources = [one.name for one in known], bool(sources)
        self._candidates = candidates[self._names]
        self._places = {tuple(row): place for place, row in enumerate(self._candidates.itertuples(index=False))}
        self._campaign = Campaign(
            searchspace=_space(self._candidates, known, sources=bool(sources)),
            objective=NumericalTarget(name=SCORE),
            recommender=BotorchRecommender(),
            allow_recommending_already_measured=False,
        )
        if sources:
            self._campaign.add_measurements(pd.concat(sources)[[*self._names, SCORE]].reset_index(drop=True))

    def propose(self, new: Measured) -> int:
        """Add measurements and return the recommended candidate."""
        rows = self._candidates.iloc[[index for index, _ in new]].reset_index(drop=True)
        self._campaign.add_measurements(rows.assign(**{SCORE: [value for _, value in new]}))
        with bounded(botorch.fit, sources=self._sources):
            found = self._campaign.recommend(batch_size=1)
        return self._places[tuple(found[self._names].iloc[0])]


def _space(candidates: pd.DataFrame, known: list[Any], *, sources: bool) -> SearchSpace:
    """Return the pool as a space; without sources BayBE itself reads off what values a number has.

    It checks given numbers row against value: three minutes over 1,007 rows of as many values.
    """
    if sources:
        return SearchSpace.from_dataframe(candidates, parameters=known)
    named = [one for one in known if not one.is_numerical]
    return SubspaceDiscrete.from_dataframe(candidates, named).to_searchspace()


def _parameter(one: dict[str, Any], every: pd.DataFrame) -> Any:
    """Return a parameter; none for a number that is the same everywhere, which BayBE refuses."""
    name = one["name"]
    if one["categories"] is not None:
        return CategoricalParameter(name=name, values=one["categories"])
    values = sorted({*every[name]})
    return NumericalDiscreteParameter(name=name, values=values) if len(values) > 1 else None


BAYBE: Final = Entrant("baybe", f"baybe-{version('baybe')}", BaybePeer)
