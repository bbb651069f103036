"""The golden lab `wanted`: what a campaign may want of its targets, and what it may be told of limits, costs and its end."""

from pathlib import Path
from typing import Final

from tests.golden.campaigns import ALWAYS, NEVER
from tests.golden.desk import Desk
from tests.golden.one_pot import BENCH, GP

_LIMIT: Final = '[[outcomes]]\nname = "purity"\nmax = 0.9\n'
_SOLVENT: Final = """
[[parameters]]
name = "solvent"
kind = "categorical"
categories = ["none", "DMF"]

[[parameters]]
name = "water"
kind = "continuous"
unit = "percent"
min = 1
max = 5
when = { solvent = ["DMF"] }
otherwise = 0
"""
_CHEMIST: Final = """
[instruments.chemist]
driver = "person"

[instruments.chemist.calls.fill]
instructions = "Fill the vial with {solvent}, {water} of it water."
arguments = { solvent = "text", water = "percent" }
returns = { note = "text" }

[[procedure.steps]]
do = "chemist.fill"
with = { solvent = "{solvent}", water = "water" }
"""
_OF_ONE: Final = '[[targets]]\nname = "purity"\ngoal = "match"\nvalue = 0.9\ntolerance = 0.05\n'
_WANTED: Final = {
    "limited": _LIMIT + GP + NEVER,
    "front": '[objective]\nkind = "pareto"\nreference = { yield = 0.1 }\n' + GP + NEVER,
    "response": '[objective]\nkind = "explore"\n' + GP + NEVER,
    "counted": GP + 'cost = "money"\n' + NEVER,
    "advised": "[stop]\nimprovement = 0.001\n" + GP + NEVER,
    "enough": '[stop]\nimprovement = 0.5\nprobability = 0.5\naction = "finish"\n' + GP + NEVER,
    "believed": '[surrogate]\nkind = "gp"\nbeliefs = "learned"\n' + GP + NEVER,
    "conditional": _SOLVENT + GP + NEVER,
    "border": '[objective]\nkind = "level"\nreference = { yield = 0.4 }\n' + GP + NEVER,
}


def write_wanted(folder: Path) -> Path:
    """Carry a campaign of each kind out in a new lab, and one whose proposals people see."""
    desk = Desk.new(folder)
    (folder / "vial.toml").write_text(BENCH + _CHEMIST)
    for name, more in _WANTED.items():
        desk.write(name, "budget = 6\nbatch = 2", more, bench="vial.toml" if name == "conditional" else "bench.toml")
        if name == "border":
            file = folder / f"{name}.toml"
            file.write_text(file.read_text().replace(_OF_ONE, ""))
        ended = desk.sit(name)
        assert ended is not None, name
        assert ended.status == "finished", ended
        assert ended.reason.startswith("stopping rule" if name == "enough" else "budget spent"), ended
    desk.register("Ada")
    desk.write("seen", "budget = 5", _LIMIT + _SOLVENT + "[stop]\n" + GP + ALWAYS, bench="vial.toml")
    ended = desk.sit("seen", otherwise=desk.approve)
    assert ended is not None
    assert ended.status == "finished", ended
    return folder
