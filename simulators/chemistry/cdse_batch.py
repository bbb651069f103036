"""Many CdSe syntheses at once: the outcomes of `simulators.chemistry.cdse.simulate_one`, some tens of times as fast."""

from collections.abc import Sequence

from simulators.chemistry.cdse import CdSeConditions, CdSeConstants, CdSeOutcome, blended, kinetics, outcome_of, residence_times
from simulators.chemistry.growth_batch import GrowthCourse, grow_many


def simulate_many(conditions: Sequence[CdSeConditions], constants: CdSeConstants) -> tuple[CdSeOutcome, ...]:
    """Compute syntheses under the same hidden constants; each as `simulate_one` would, to rounding."""
    return simulate_pairs([(one, constants) for one in conditions])


def simulate_pairs(pairs: Sequence[tuple[CdSeConditions, CdSeConstants]]) -> tuple[CdSeOutcome, ...]:
    """Compute syntheses each under hidden constants of its own."""
    stages = grow_many([_course(conditions, constants) for conditions, constants in pairs])
    return tuple(
        outcome_of(blended(conditions, reached), conditions, constants)
        for (conditions, constants), reached in zip(pairs, stages, strict=True)
    )


def _course(conditions: CdSeConditions, constants: CdSeConstants) -> GrowthCourse:
    times = tuple(time for time, _ in residence_times(conditions))
    return GrowthCourse(kinetics(conditions, constants), 1e3 * conditions.selenium, times)
