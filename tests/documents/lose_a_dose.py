"""What no page can tell its reader to do: a pump's power is cut in the middle of a dose, and everything else with it."""

import sys
from pathlib import Path

from tests.faults.laboratory import Laboratory, lose_the_next_dose

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    laboratory = Laboratory(folder / "campaign.toml", folder / ".athanor-dry", rate=1.0)
    lose_the_next_dose(laboratory, "reply-lost-after-execution", "campaign", "supervisor")
