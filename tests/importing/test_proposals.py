"""A proposed mapping says what it rests on, leaves what can be read in two ways to a person, and never contradicts what is so."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.campaign import CampaignFile, parse_campaign
from orchestrator.errors import BadInput
from orchestrator.importing.mapping import LayoutSpec, parse_mapping
from orchestrator.importing.opening import Source
from orchestrator.importing.proposing import Proposal, propose
from tests.importing.read_right import READ
from tests.importing.table import CAMPAIGN, GERMAN, PLAIN, File
from tests.importing.workbooks import EXCEL

TEXTS = [file for file in READ if file.name not in {"lines before the header", "constants for what is not there"}]
"""But one whose first lines hold quotation marks that stand for nothing, and one of a single column: no guess finds their tables."""


@pytest.fixture(scope="module")
def campaign() -> CampaignFile:
    return parse_campaign(CAMPAIGN, Path("campaign.toml"), free=True)


def proposed(content: bytes, campaign: CampaignFile, name: str = "t.csv") -> tuple[Proposal, dict[str, Any]]:
    found, _ = propose(Source(name, content), campaign)
    return found, tomllib.loads(found.text)


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_what_is_proposed_is_so_or_left_open(file: File, campaign: CampaignFile) -> None:
    table = proposed(file.content, campaign)[1]["table"]
    declared = parse_mapping(file.mapping, "m").spec.table
    if table["encoding"] != "?":
        assert file.content.decode(table["encoding"]).lstrip("\ufeff") == file.content.decode(declared.encoding).lstrip("\ufeff")
    for key in ("delimiter", "decimal", "thousands", "header", "units_row", "comment"):
        said, right = table.get(key, LayoutSpec.model_fields[key].default), getattr(declared, key)
        assert said in (right, "?") or (key == "thousands" and said == "" and table["decimal"] == "?"), key


def test_a_proposal_without_a_question_is_a_mapping(campaign: CampaignFile) -> None:
    found, document = proposed(PLAIN.encode(), campaign)
    assert found.undecided == []
    assert set(parse_mapping(found.text, "m").spec.columns) == {"T", "t", "solvent", "yield"}
    assert document["columns"]["T"] == {"parameter": "T", "unit": "degC"}


def test_a_proposal_with_a_question_is_refused_as_a_mapping(campaign: CampaignFile) -> None:
    found, document = proposed(b"T;t;solvent;yield\n25;1.234;DMF;5\n", campaign)
    assert document["table"]["decimal"] == "?"
    assert found.undecided == ["decimal: '.' on line 2: nothing says whether it is a decimal sign or parts thousands"]
    with pytest.raises(BadInput, match=r"table.decimal = '\?': Input should be"):
        parse_mapping(found.text, "m")


def test_a_fraction_elsewhere_settles_what_1_234_is(campaign: CampaignFile) -> None:
    point = proposed(b"T;t;solvent;yield\n25;1.234;DMF;5.5\n", campaign)[1]["table"]
    comma = proposed(b"T;t;solvent;yield\n25;1.234;DMF;5,5\n", campaign)[1]["table"]
    assert (point["decimal"], point.get("thousands")) == (".", None)
    assert (comma["decimal"], comma["thousands"]) == (",", ".")


def test_the_lines_that_speak_for_it_stand_beside_each_guess(campaign: CampaignFile) -> None:
    found, _ = proposed(GERMAN.encode("cp1252"), campaign)
    lines = found.text.splitlines()
    assert 'decimal = ","  # lines 2, 3' in lines
    assert any(line.startswith('encoding = "cp1252"  # not UTF-8 (line 1); it has ° ö') for line in lines)
    assert '"T [°C]" = { parameter = "T", unit = "°C" }  # the campaign has a parameter of this name' in lines


@pytest.mark.parametrize("encoding", ["cp1252", "mac-roman"])
def test_letters_and_signs_tell_encodings_of_a_byte_apart(encoding: str, campaign: CampaignFile) -> None:
    assert proposed(GERMAN.encode(encoding), campaign)[1]["table"]["encoding"] == encoding


def test_bytes_that_are_letters_in_no_encoding_are_a_question(campaign: CampaignFile) -> None:
    found, document = proposed(PLAIN.encode().replace(b"DMF", b"D\xa4\xa6F"), campaign)
    assert document["table"]["encoding"] == "?"
    assert "not UTF-8; its characters beside ASCII would be ¤ ¦ in cp1252" in found.undecided[0]


def test_names_that_the_campaign_does_not_have_are_a_question(campaign: CampaignFile) -> None:
    found, document = proposed(b"T,t,solvent,Ausbeute,Notiz\n25,60,DMF,5,gut\n", campaign)
    assert document["columns"]["Ausbeute"] == {"target": "?"}
    assert document["columns"]["Notiz"] == {"ignored": True}
    assert found.undecided == ["column 'Ausbeute': is it yield, Cd (target), or ignored = true?"]


def test_a_unit_narrows_what_a_column_may_be(campaign: CampaignFile) -> None:
    found, document = proposed("Temp. [°C],t,solvent,yield\n25,60,DMF,5.5\n".encode(), campaign)
    assert found.undecided == ["column 'Temp. [°C]': is it T (parameter), or ignored = true?"]  # and no constant is asked for besides
    assert document["columns"]["Temp. [°C]"] == {"parameter": "?", "unit": "°C"}
    decided = parse_mapping(found.text.replace('parameter = "?"', 'parameter = "T"'), "m").spec.columns["Temp. [°C]"]
    assert (decided.parameter, decided.unit) == ("T", "°C")


def test_a_row_that_is_computed_from_the_others_is_proposed_to_be_skipped(campaign: CampaignFile) -> None:
    found, document = proposed(PLAIN.encode() + b"Mean,,,29.25\n", campaign)
    assert document["table"]["skip"] == ["Mean"]
    assert 'skip = ["Mean"]  # line 4 begins like something computed from the others' in found.text
    assert found.undecided == []


def test_what_has_no_column_is_a_question(campaign: CampaignFile) -> None:
    found, document = proposed(b"T,t,yield\n25,60,5\n", campaign)
    assert document["constants"] == {"solvent": "?"}
    assert found.undecided == ["solvent: no column is called so; name its column, or give it a value"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [("31.12.2026", "%d.%m.%Y"), ("31.12.2026 14:05", "%d.%m.%Y %H:%M"), ("2026-12-31", "iso"), ("46387.58", "excel"), ("12/31/2026", "?")],
)
def test_dates_are_known_by_their_form_and_slashes_are_a_question(cell: str, said: str, campaign: CampaignFile) -> None:
    found, document = proposed(f"T,t,solvent,yield,date\n25,60,DMF,5.5,{cell}\n".encode(), campaign)
    assert document["columns"]["date"] == {"date": said}
    assert any("zone" in one or "day/month" in one for one in found.undecided)


def test_spreads_and_bounds_are_seen(campaign: CampaignFile) -> None:
    found, document = proposed(b"T,t,solvent,yield,u(yield),Cd\n25,60,DMF,5.5,0.5,<0.1\n25,60,DMF,5.5,0.5,n.d.\n", campaign)
    assert document["columns"]["u(yield)"] == {"uncertainty": "yield", "unit": "%"}
    assert document["censored"] == {"below": "refuse"}
    assert any("'n.d.': below detection (words under [censored]), or an empty cell (missing)?" in one for one in found.undecided)


def test_a_sheet_has_its_header_where_most_cells_are(campaign: CampaignFile) -> None:
    _, document = proposed(EXCEL[0].content, campaign, "t.xlsx")
    assert document["table"]["sheet"] == "Runs"
    assert document["table"]["header"] == 3
    assert document["columns"]["date"] == {"date": "iso"}
