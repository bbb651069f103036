"""The CdSe bench asked about in eight parameters: six numbers, a category and a composition."""

import re
from pathlib import Path
from typing import Final

from flows.cli.init import scaffold

PARAMETERS: Final = """
[[parameters]]
name = "T"
kind = "continuous"
unit = "degC"
min = 235
max = 245

[[parameters]]
name = "tau"
kind = "continuous"
unit = "s"
min = 20
max = 40

[[parameters]]
name = "mix"
kind = "composition"
components = ["cd", "se", "ligand"]

[[parameters]]
name = "exposure"
kind = "categorical"
categories = ["0.05", "0.1"]

[[parameters]]
name = "flushes"
kind = "continuous"
min = 4
max = 5

[[parameters]]
name = "reserve"
kind = "continuous"
unit = "s"
min = 120
max = 140

[[parameters]]
name = "soak"
kind = "continuous"
unit = "s"
min = 0
max = 60

[[parameters]]
name = "rest"
kind = "continuous"
unit = "s"
min = 0
max = 60

[[constraints]]
coefficients = { "mix.cd" = 1 }
min = 0.1
max = 0.5

[[constraints]]
coefficients = { "mix.se" = 1 }
min = 0.1
max = 0.3

"""
MEASURED: Final = """
[measured]
T = "oven.temperature"
tau = "V / (pump_cd.flow + pump_se.flow + pump_l.flow)"
"mix.cd" = "pump_cd.flow / (pump_cd.flow + pump_se.flow + pump_l.flow)"
"mix.se" = "pump_se.flow / (pump_cd.flow + pump_se.flow + pump_l.flow)"
"mix.ligand" = "pump_l.flow / (pump_cd.flow + pump_se.flow + pump_l.flow)"

"""


def eight_parameters(folder: Path, *, budget: int = 16, batch: int = 8) -> Path:
    """Scaffold a lab whose proposals have eight parameters and are all put to people; return the campaign file."""
    scaffold(folder)
    bench, campaign = folder / "bench.toml", folder / "campaign.toml"
    text = bench.read_text()
    for stock, old in (
        ("cd", "ratio * c_se / stocks.cd.Cd"),
        ("se", "c_se / stocks.se.Se"),
        ("ligand", "(1 - c_se / stocks.se.Se - ratio * c_se / stocks.cd.Cd)"),
    )[::-1]:
        text = text.replace(f"V/tau * {old}", f"V/tau * mix.{stock}")
    text = text.replace("flush * tau + analysis", "flushes * tau + reserve").replace("flush * tau", "flushes * tau")
    text = text.replace('flush = "4"', '# flush = "4"').replace('analysis = "120 s"', '# analysis = "120 s"')
    text = text.replace('integration_time = "0.1"', 'integration_time = "{exposure}"')
    waits = '[[procedure.steps]]\ndo = "wait"\nwith = { time = "soak + rest" }\n\n'
    text = text.replace('[[procedure.steps]]\ndo = "read"', waits + '[[procedure.steps]]\ndo = "read"')
    bench.write_text(re.sub(r"\n\[measured\].*?(?=\[infeasible\])", lambda _: MEASURED, text, flags=re.DOTALL))
    head, _, rest = campaign.read_text().partition("[[parameters]]")
    rest = rest[rest.index("[[targets]]") :]
    head = head.replace("budget = 24", f"budget = {budget}\nbatch = {batch}\nmax_failures = 1000")
    rest = re.sub(r"\[surrogate\].*(?=\[review\])", '[policy]\nkind = "sobol"\n\n', rest, flags=re.DOTALL)
    campaign.write_text(head + PARAMETERS + rest.replace('mode = "never"', 'mode = "always"'))
    return campaign
