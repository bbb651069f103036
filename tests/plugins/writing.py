"""A laboratory's own code, as it stands beside a bench file or in an installed package."""

import shutil
from pathlib import Path
from typing import Final

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "attach_your_own"
BURETTE: Final = "./burette.py:Burette"
HANGS: Final = "import time\n\ntime.sleep(600)\n"
RAISES: Final = "import math\n\nROOT = math.sqrt(-1)\n"


def example(folder: Path) -> Path:
    """Copy the example of one burette into a folder; return the bench file."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*package*", "__pycache__"))
    return folder / "bench.toml"


def install(folder: Path, name: str, source: str, groups: dict[str, dict[str, str]], version: str = "1.2") -> Path:
    """Put a package of one module and its metadata into a folder, as an installer does; return the folder, for `sys.path`."""
    module = folder / f"{name.replace('-', '_')}.py"
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(source)
    metadata = folder / f"{module.stem}-{version}.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
