"""Which files beside a bench file belong to it: what it names, what its drivers read, and the modules that those import."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from instruments.bench.spec import BenchSpec
from instruments.drivers.declared.profiles import file_of_profile
from instruments.drivers.protocol import Settings
from instruments.drivers.registry import DRIVERS
from orchestrator.errors import BadInput
from orchestrator.plugins import file_of


def files_beside(folder: Path, spec: BenchSpec, declared: Callable[[str], Settings]) -> dict[str, bytes]:
    """Read the other files that a bench consists of; nothing is imported, and one that is missing is told when it is needed.

    Args:
        folder: Where the bench file lies.
        spec: What it says.
        declared: Returns what it says of an instrument but its limits.

    Returns:
        Contents by paths from the folder.
    """
    named = (spec.bench.reduction, *(one.driver for one in spec.instruments.values()))
    paths = [path for one in named if (path := file_of(one) or file_of_profile(one)) is not None]
    found = {path: (folder / path).read_bytes() for path in paths if (folder / path).is_file()}
    for name, one in spec.instruments.items():
        if one.driver in DRIVERS:
            with suppress(BadInput):
                found |= DRIVERS[one.driver].files(declared(name))
    return with_imports(folder, found)


def with_imports(folder: Path, found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Add the modules in a folder that its files import, and what those import: a changed helper is a changed bench.

    Only what stands in an `import` is seen; what a file imports by a name that it computes is not.
    """
    known, left = dict(found), list(found)
    while left:
        path = left.pop()
        if not path.endswith(".py"):
            continue
        for other in _modules(folder, _imported(PurePosixPath(path), known[path])):
            if other not in known:
                known[other] = (folder / other).read_bytes()
                left.append(other)
    return known


def _imported(path: PurePosixPath, content: bytes) -> Iterator[PurePosixPath]:
    """Yield what a file imports, as paths without their ends: from the folder, or from that of a package for a relative import."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # told when it is imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (PurePosixPath(*one.name.split(".")) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.parents
            base = PurePosixPath() if not node.level else parents[min(node.level, len(parents)) - 1]
            module = base / PurePosixPath(*(node.module or "").split("."))
            yield from (module, *(module / one.name for one in node.names if one.name != "*"))


def _modules(folder: Path, imported: Iterable[PurePosixPath]) -> Iterator[str]:
    """Yield the files in a folder that Python would execute for imports: the module, and each package above it."""
    for module in imported:
        if module.parts:
            packages = (one / "__init__.py" for one in (module, *module.parents) if one.parts)
            yield from (one.as_posix() for one in (module.with_suffix(".py"), *packages) if (folder / one).is_file())
