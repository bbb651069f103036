"""What a stored campaign's own files say, without its bench, its data or a model."""

from pathlib import Path

from orchestrator.domain.campaign import parse_campaign
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.space import SearchSpace


def files_of(record: CampaignRecord) -> tuple[SearchSpace, Objective]:
    """Return space and objective of a stored campaign, without its bench or data."""
    file = parse_campaign(record.snapshot["files"]["campaign"], Path(record.snapshot["path"]), record.snapshot["files"].get("candidates"))
    return file.space(), file.objective
