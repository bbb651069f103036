"""The same meta-gradients by learn2learn, in an environment of its own: `.venv-interop/bin/python benchmarks/interop/reference.py FILE`.

Importing learn2learn also asks for torchvision, PIL, qpth and gsutil, which its algorithms never use: empty modules stand in.
"""

import importlib.abc
import importlib.machinery
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from typing_extensions import override

UNUSED: Final = ("torchvision", "PIL", "qpth", "gsutil", "gslib")
TOLERANCE: Final = 1e-12
"""Relative to the largest component: rounding of some dozens of float64 operations."""


class _Empty(ModuleType):
    __path__: list[str] = []  # noqa: RUF012 - a package without files

    @override
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Stand(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    @override
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] in UNUSED else None

    @override
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    @override
    def exec_module(self, module: ModuleType) -> None:
        """Leave it empty."""


def reference(case: dict[str, Any], steps: int, size: float) -> torch.Tensor:
    """Return learn2learn's gradient by the start."""
    from learn2learn.algorithms import MAML  # type: ignore[import-not-found]  # lives in another environment; after the stand-ins

    F, z, Q, t, start = (torch.tensor(case[name], dtype=torch.float64) for name in ("F", "z", "Q", "t", "start"))
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(start.unsqueeze(0))
    learner = MAML(model, lr=size, first_order=False).clone()
    for _ in range(steps):
        learner.adapt(0.5 * (learner(F).squeeze(-1) - z).square().mean())
    (0.5 * (learner(Q).squeeze(-1) - t).square().mean()).backward()
    assert model.weight.grad is not None
    return model.weight.grad.squeeze(0)


def main(path: Path) -> int:
    """Compare and print the largest difference."""
    sys.meta_path.insert(0, _Stand())
    found = json.loads(path.read_text())
    differences = []
    for case in found["cases"]:
        theirs, ours = reference(case, found["steps"], found["size"]), torch.tensor(case["gradient"], dtype=torch.float64)
        differences.append(float((theirs - ours).abs().max() / theirs.abs().max()))
    worst = max(differences)
    what = f"{len(differences)} meta-gradients of {found['steps']} second-order steps"
    print(f"{what}: largest relative difference to learn2learn {worst:.2e}, allowed {TOLERANCE:.0e}")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
