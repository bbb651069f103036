"""The recorded tasks: each is a campaign file of examples/recorded and the pool that its table gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from instruments.recorded import RecordedBench
from orchestrator.datasets import Table, load_table
from orchestrator.domain.campaign import CampaignFile, load_campaign
from orchestrator.errors import BadInput
from orchestrator.recorded import RecordedPool, recorded_pool

EXAMPLES: Final = Path(__file__).parents[1] / "examples" / "recorded"


@dataclass(frozen=True)
class RecordedTask:
    """A recorded campaign to be replayed."""

    file: CampaignFile
    table: Table

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.file.name

    @cached_property
    def pool(self) -> RecordedPool:
        """All experiments that may be asked for."""
        return recorded_pool(
            self.table, self.file.spec.parameters, self.file.spec.targets, columns=self._columns, constraints=self.file.spec.constraints
        )

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Each candidate's score on its replicates' means, larger is better."""
        return tuple(float(self.file.objective.score(self.pool.mean(row))) for row in self.pool.candidates)

    def bench(self, seed: int) -> RecordedBench:
        """Build a bench whose draws of replicates depend on the seed and the configuration alone."""
        return RecordedBench(self.table, self.pool.space, self.file.objective, columns=self._columns, seed=seed)

    @property
    def _columns(self) -> dict[str, str]:
        assert self.file.spec.recorded is not None
        return self.file.spec.recorded.columns


def load_tasks(data: Path | None, names: Sequence[str] = ()) -> tuple[RecordedTask, ...]:
    """Load the tasks.

    Args:
        data: The data folder; without it the one that `ATHANOR_DATA` names.
        names: Campaign names to keep; all of them where none is given.

    Raises:
        BadInput: Data are missing, or a name is unknown.
    """
    files = {file.name: file for file in (load_campaign(path) for path in sorted(EXAMPLES.glob("*/campaign.toml")))}
    for name in names:
        if name not in files:
            raise BadInput(f"recorded task {name!r} is unknown; known: {', '.join(files)}")
    return tuple(_load(files[name], data) for name in names or files)


def _load(file: CampaignFile, data: Path | None) -> RecordedTask:
    recorded = file.spec.recorded
    if recorded is None:
        raise BadInput(f"{file.path} is no recorded campaign: it has no [recorded] table")
    return RecordedTask(file, load_table(recorded.table, data, recorded.task))
