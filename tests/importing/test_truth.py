"""Tables that are written from known values, in any dialect, come out as these values, or as a question."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.domain.campaign import parse_campaign
from orchestrator.errors import BadInput
from orchestrator.importing.preview import Preview, preview
from tests.importing.read_right import READ
from tests.importing.refused import REFUSED
from tests.importing.table import CAMPAIGN, columns
from tests.importing.workbooks import EXCEL

CAMPAIGN_FILE = parse_campaign(CAMPAIGN, Path("campaign.toml"), free=True)
Values = list[tuple[float, float, str, float]]

rows = st.lists(
    st.tuples(
        st.decimals(20, 100, places=1).map(float),
        st.one_of(st.decimals(30, 6000, places=3).map(float), st.integers(30, 6000).map(float)),
        st.sampled_from(["DMF", "water"]),
        st.decimals(0, 100, places=3).map(float),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Values, bytes, str]:
    """Draw values, a file that holds them, and how it is declared."""
    delimiter, decimal = draw(st.sampled_from([";", "\t", ","])), draw(st.sampled_from(".,"))
    thousands = draw(st.sampled_from(["", ".", ",", " ", "'"]))
    assume(delimiter not in (decimal, thousands) and decimal != thousands)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "mac-roman"]))
    values = draw(rows)

    def written(value: float) -> str:
        text = f"{value:,.3f}".rstrip("0").rstrip(".") if draw(st.booleans()) else f"{value:,.3f}"
        return text.replace(",", "g").replace(".", decimal).replace("g", thousands)

    out = io.StringIO()
    table = csv.writer(out, delimiter=delimiter, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    table.writerow(["T", "t", "solvent", "yield", "Größe"])
    table.writerows([written(T), written(t), solvent, written(y), ""] for T, t, solvent, y in values)
    keys = {"delimiter": delimiter.replace("\t", "\\t"), "decimal": decimal, "thousands": thousands, "encoding": encoding}
    lines = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return values, out.getvalue().encode(encoding), f"[table]\n{lines}" + columns(Größe="ignored = true")


def seen(content: bytes, mapping: str | None, name: str = "t.csv") -> Preview:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        if mapping is not None:
            (Path(folder) / "m.toml").write_text(mapping, encoding="utf-8")
        return preview(path, CAMPAIGN_FILE, None if mapping is None else Path(folder) / "m.toml")


def read(found: Preview) -> Values:
    return [(*(one.configuration or {}).values(), one.values["yield"].value) for one in found.entries]  # type: ignore[misc]  # in order


@given(drawn=tables())
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_under_its_mapping_and_a_proposal_reads_the_same_or_asks(drawn: tuple[Values, bytes, str]) -> None:
    values, content, mapping = drawn
    found = seen(content, mapping)
    assert found.problems == ()
    assert read(found) == values
    proposed = seen(content, None)
    if not proposed.undecided and not proposed.problems:
        assert read(proposed) == values


@given(file=st.sampled_from([*READ, *REFUSED, *EXCEL]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_that_was_damaged_on_the_way_is_read_or_refused_in_a_line(file: object, data: st.DataObject) -> None:
    assert isinstance(file, type(READ[0]))
    at = data.draw(st.integers(0, len(file.content)))
    damage = data.draw(st.one_of(st.binary(max_size=3), st.text(';,"\n\t.-<# ', max_size=3).map(str.encode)))
    content = file.content[:at] + damage + file.content[at + data.draw(st.integers(0, 4)) :]
    for mapping in (None, file.mapping):
        try:
            found = seen(content, mapping, file.path)
        except BadInput as error:
            said = [str(error)]
        else:
            said = [*found.problems, *found.undecided]
        assert [one for one in said if "\n" in one] == []


@pytest.mark.parametrize(
    ("cells", "decimal", "thousands"),
    [
        (["1.234.567"], ",", "."),
        (["1,234,567"], ".", ","),
        (["1.234.567", "1.234"], ",", "."),
        (["1.234", "1.5"], ".", None),
        (["1.234", "1,5"], ",", "."),
        (["1.234,5"], ",", "."),
        (["1 234,5"], ",", " "),
        (["1'234"], ".", "'"),
        (["0.123"], ".", None),
        (["12"], ".", None),
        (["1.234"], "?", None),
        (["1,234"], "?", None),
        (["1.5", "1,5"], "?", None),
        (["1.5", "1.234.567"], "?", None),
    ],
)
def test_numbers_that_leave_no_choice_settle_the_others(cells: list[str], decimal: str, thousands: str | None) -> None:
    content = "T;t;solvent;yield\n" + "".join(f"25;{cell};DMF;5\n" for cell in cells)
    lines = seen(content.encode(), None).mapping.splitlines()
    assert any(line.startswith(f'decimal = "{decimal}"') for line in lines)
    assert any(line.startswith(f'thousands = "{thousands}"') for line in lines) or thousands is None
