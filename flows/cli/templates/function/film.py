"""The experiment: put in here whatever carries yours out, or computes it."""

import math


def cast(temperature: float, speed: float) -> dict[str, float]:
    """Cast a film, anneal it and measure it; here a formula stands for all that.

    Args:
        temperature: Of annealing, in degC, as the bench file says.
        speed: Of the spin coater, in rpm.
    """
    order = math.exp(-(((temperature - 63.0) / 18.0) ** 2))
    coverage = 1.0 / (1.0 + ((speed - 1800.0) / 900.0) ** 2)
    return {"conductivity": 480.0 * order * coverage, "thickness": 4.2e3 / math.sqrt(speed)}
