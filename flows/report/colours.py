"""Colours of the report's figures and of the small pictures."""

from typing import Final

ACCENT: Final = "#2f6db3"
INK: Final = "#1f2933"
SOFT: Final = "#52606d"
GRID: Final = "#e6eaef"
FRAME: Final = "#9aa5b1"
GREEN: Final = "#2c8a57"
AMBER: Final = "#c77700"
RED: Final = "#b83227"
