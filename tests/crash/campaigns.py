"""Short campaigns for crash tests: the scaffolded CdSe bench, quick experiments, no model."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from flows.cli.init import scaffold
from tests.commands import run_command
from tests.crash.oracle import plant_verdict

RATE = 1000.0


def quick_campaign(folder: Path, *, budget: int, restart_within: str = "60 s") -> Path:
    """Scaffold a lab whose experiments are short in lab time and proposed without a model; return the campaign file.

    A host that a busy machine starts slowly is no reason to latch the bench, so that it has a minute unless told otherwise.
    """
    scaffold(folder)
    path = folder / "campaign.toml"
    make_quick(path)
    path.write_text(path.read_text().replace("budget = 24", f"budget = {budget}"))
    bench = folder / "bench.toml"
    bench.write_text(re.sub(r'restart_within = "[^"]*"', f'restart_within = "{restart_within}"', bench.read_text()))
    return path


def make_quick(path: Path) -> None:
    """Shorten the experiments of a scaffolded campaign file in lab time, and let no model propose them."""
    text = (
        path.read_text().replace("budget = 24", "budget = 24\nmax_failures = 1000").replace("min = 200\nmax = 280", "min = 235\nmax = 240")
    )
    text = text.replace("min = 20\nmax = 180", "min = 20\nmax = 60")
    path.write_text(re.sub(r"\[surrogate\].*(?=\[review\])", '[policy]\nkind = "sobol"\n\n', text, flags=re.DOTALL))


def athanor(*arguments: str, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return run_command(arguments, timeout=timeout)


def entry(file: Path, lab: Path, number: int, when: str) -> subprocess.CompletedProcess[str]:
    """Run a campaign in a process that dies around its n-th commit (0: never)."""
    return run_command([str(file), str(lab), str(RATE), str(number), when], timeout=240.0, module="tests.crash.entry")


def settle(lab: Path, line: str, look: Callable[[Path, str], str] = plant_verdict) -> int:
    """Play the operator: look at what there is to see of a run, type the line; return how many runs were settled."""
    assert "athanor resolve" in line, line
    run_key = line.partition("athanor resolve ")[2].split()[0]
    verdict = look(lab, run_key)
    answer = athanor("resolve", run_key, f"--{verdict}", "--by", "operator", "--reason", "looked at it", "--lab", str(lab))
    assert answer.returncode == 0, answer.stderr
    return 1
