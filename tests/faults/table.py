"""The fault table: one declaration for each fault and driver, which the tests carry out and the reference page shows."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).parent / "ends"
GROUPS: Final = ("link", "device", "measurement")
TITLES: Final = {
    "lads": "LADS",
    "eurotherm": "Eurotherm",
    "new_era": "New Era",
    "line": "profile, lines",
    "modbus": "profile, Modbus",
    "opcua": "profile, OPC-UA",
    "plugin": "plug-in",
}
"""Column -> what people call it."""
ENDS: Final = {
    "completed": "the run goes to its end, and what it says is true",
    "believed": "the run goes to its end with a wrong value: nothing says that it is wrong; a rule of the bench file can",
    "quarantined": "the run goes to its end; the value is kept, and nothing is learnt from it",
    "failed": "the run fails, in one line that names the device; the bench is made safe",
    "unknown": "nobody can tell what happened: a person is asked, nothing is sent again, the bench is made safe",
    "refused": "the bench does not come up; nothing is sent to it",
}
"""How a cell may end -> what that means."""
OTHERS: Final = {"n/a": "cannot happen there", "elsewhere": "another test holds it", "open": "not shown by any test"}
"""What else a cell may say, with a reason behind a colon."""


@dataclass(frozen=True)
class Cell:
    """What one driver makes of one fault."""

    fault: str
    column: str
    says: str
    """An end, or one of the others with its reason."""

    @property
    def is_tested(self) -> bool:
        """Whether the table's own test carries it out."""
        return self.says in ENDS

    @property
    def word(self) -> str:
        """The end, or `n/a`, `elsewhere`, `open`."""
        return self.says.partition(":")[0]

    @property
    def reason(self) -> str:
        """Why, where there is no end."""
        return self.says.partition(":")[2].strip()


@dataclass(frozen=True)
class Fault:
    """One row."""

    name: str
    group: str
    says: str
    """What happens."""
    cells: tuple[Cell, ...]


def table() -> tuple[Fault, ...]:
    """Read the table, group by group."""
    found: list[Fault] = []
    for group in GROUPS:
        for name, row in tomllib.loads((FILES / f"{group}.toml").read_text(encoding="utf-8")).items():
            found.append(Fault(name, group, row["says"], tuple(Cell(name, column, row["ends"][column]) for column in TITLES)))
    return tuple(found)


def cells() -> tuple[Cell, ...]:
    """Return the cells that the table's own test carries out."""
    return tuple(cell for fault in table() for cell in fault.cells if cell.is_tested)
