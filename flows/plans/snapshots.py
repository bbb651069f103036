"""What a stored campaign's own files say, without its bench, its data or a model."""

from pathlib import Path

from orchestrator.domain.campaign import CampaignFile, parse_campaign
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.space import SearchSpace


def files_of(record: CampaignRecord) -> tuple[SearchSpace, Objective]:
    """Return space and objective of a stored campaign, without its bench or data."""
    file = file_of(record)
    return file.space(), file.objective


def file_of(record: CampaignRecord) -> CampaignFile:
    """Return the campaign file of a stored campaign."""
    return parse_campaign(record.snapshot["files"]["campaign"], Path(record.snapshot["path"]), record.snapshot["files"].get("candidates"))
