"""The twins that come with Athanor, by name and version."""

from collections.abc import Mapping
from typing import Final

from simulators.twins.cdse import CDSE, CDSE_SEGMENTED
from simulators.twins.declaration import Twin
from simulators.twins.mos2 import MOS2

BUILT_IN: Final[Mapping[str, Twin]] = {one.label: one for one in (CDSE, CDSE_SEGMENTED, MOS2)}
