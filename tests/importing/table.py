"""How the files are written down: each with its mapping and its one right end, entries or a refusal with file, line and column."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CAMPAIGN = """
[campaign]
name = "screen"
budget = 9
[[parameters]]
name = "T"
kind = "continuous"
unit = "degC"
min = 20
max = 100
[[parameters]]
name = "t"
kind = "continuous"
unit = "s"
min = 30
max = 6000
[[parameters]]
name = "solvent"
kind = "categorical"
categories = ["DMF", "water"]
[[targets]]
name = "yield"
unit = "%"
goal = "maximise"
low = 0
high = 100
[[targets]]
name = "Cd"
unit = "mg/L"
goal = "minimise"
low = 0
high = 10
"""


@dataclass(frozen=True)
class Row:
    """What an entry must be."""

    T: float | None = None
    t: float | None = None
    solvent: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """By target: value, or (value, uncertainty), or the reason of a quarantine."""
    at: datetime | None = None
    run: str | None = None


def row(T: float, t: float, solvent: str, *, at: datetime | None = None, Cd: Any = None, **values: Any) -> Row:
    """Return an entry's end; `y` is the yield."""
    both = {"yield": values.get("y"), "Cd": Cd}
    return Row(T, t, solvent, {name: one for name, one in both.items() if one is not None}, at)


@dataclass(frozen=True)
class File:
    """A file with its mapping and its end."""

    name: str
    content: bytes
    mapping: str
    entries: tuple[Row, ...] = ()
    said: str = ""
    """The refusal."""
    notes: tuple[str, ...] = ()
    suffix: str = "csv"

    @property
    def path(self) -> str:
        return f"t.{self.suffix}"


def columns(**changed: str) -> str:
    """Write `[columns]`: plain names, changed or added to by name; empty text for none."""
    plain = {"T": 'parameter = "T"', "t": 'parameter = "t"', "solvent": 'parameter = "solvent"', "yield": 'target = "yield"'}
    lines = (f'"{name}" = {{ {one} }}' for name, one in (plain | changed).items() if one)
    return "\n[columns]\n" + "\n".join(lines) + "\n"


def of(names: dict[str, str]) -> str:
    """Write `[columns]` of other names."""
    return columns(**({"T": "", "t": "", "solvent": "", "yield": ""} | names))


def germans(more: str = "") -> str:
    return f'[table]\ndelimiter = ";"\ndecimal = ","\n{more}'


ONE = (row(25, 60, "DMF", y=51.5), row(80, 90, "water", y=7.0))
PLAIN = "T,t,solvent,yield\n25,60,DMF,51.5\n80,90,water,7\n"
GERMAN = "T [°C];t / min;Lösungsmittel;Ausbeute (%)\r\n25,0;1;DMF;51,5\r\n80,0;1,5;Wasser;7,0\r\n"
GERMAN_COLUMNS = of(
    {
        "T [°C]": 'parameter = "T"',
        "t / min": 'parameter = "t", unit = "min"',
        "Lösungsmittel": 'parameter = "solvent", names = { Wasser = "water" }',
        "Ausbeute (%)": 'target = "yield", unit = "%"',
    }
)
DATED = columns(date='date = "iso"')
CADMIUM = columns(Cd='target = "Cd"')


def dated(date: str) -> bytes:
    return f"T,t,solvent,yield,date\n25,60,DMF,51.5,{date}\n".encode()


def measured(*cells: str) -> bytes:
    return ("T,t,solvent,yield,Cd\n" + "".join(f"25,60,DMF,{cell}\n" for cell in cells)).encode()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
