"""Ask and tell on recorded designs; suggests what `athanor run examples/recorded/crossed_barrel/campaign.toml` does.

Run: python examples/ask_and_tell.py DATA, where DATA is the folder of recorded tables.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import athanor
from orchestrator.datasets import load_table
from orchestrator.recorded import recorded_pool

CAMPAIGN = Path(__file__).parent / "recorded" / "crossed_barrel" / "campaign.toml"


def suggested(campaign: Path, data: Path, experiments: int) -> Iterator[athanor.Suggestion]:
    """Ask, crush the next of three recorded specimens, and tell, so many times."""
    optimizer = athanor.Optimizer.from_file(campaign, data=data)
    barrels = recorded_pool(load_table("crossed-barrel", data), optimizer.space.parameters, optimizer.objective.targets)
    for _ in range(experiments):
        (suggestion,) = optimizer.ask()
        specimen = barrels.drawn(suggestion.configuration, seed=optimizer.seed)[0]
        optimizer.tell(suggestion, specimen.values)
        yield suggestion


if __name__ == "__main__":
    for one in suggested(CAMPAIGN, Path(sys.argv[1]), 12):
        print(one)  # noqa: T201 - a script
