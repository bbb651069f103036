"""The short code of a run, against check characters that others computed."""

import pytest

from orchestrator.domain.run_code import check_character, is_code, read_code, run_code
from orchestrator.errors import BadInput

GRIDS = ["A12425GABC1234002M", "A12425GXYZ98760086", "A12425G1234567890L", "A12589KCCC2586482V", "A11343443434344344"]
"""Global Release Identifiers, which end in a check character of ISO 7064, MOD 37,36: the first is the example of the GRid standard
(IFPI, "GRid Syntax and Semantics"), the others stand in the tests of public validators."""


@pytest.mark.parametrize("grid", GRIDS)
def test_the_check_character_is_that_of_published_identifiers(grid: str) -> None:
    assert check_character(grid[:-1]) == grid[-1]


@pytest.mark.parametrize(("number", "replicate", "code"), [(17, 1, "17a-I"), (1, 1, "1a-D"), (3, 2, "3b-3")])
def test_a_code_names_proposal_and_replicate_and_reads_back(number: int, replicate: int, code: str) -> None:
    assert run_code(number, replicate) == code
    assert read_code(code) == read_code(code.upper()) == read_code(f" {code.lower()} ") == (number, replicate)


def test_every_misread_character_of_a_code_is_found() -> None:
    for number in (1, 17, 208, 4711):
        code = run_code(number, 2)
        for place, right in enumerate(code):
            for wrong in "0123456789abcdefghijklmnopqrstuvwxyz":
                changed = f"{code[:place]}{wrong}{code[place + 1 :]}"
                if right != "-" and wrong != right.lower() and is_code(changed):
                    with pytest.raises(BadInput, match="misread or mistyped"):
                        read_code(changed)


def test_neighbours_that_changed_places_are_found() -> None:
    for number in range(10, 100):
        code = run_code(number)
        swapped = code[1] + code[0] + code[2:]
        if swapped != code:
            with pytest.raises(BadInput, match="misread or mistyped"):
                read_code(swapped)


@pytest.mark.parametrize("text", ["", "17", "17a", "a-K", "17-K", "17ab-K", "01a22512-b770-7000-949f-6d638235c1b5"])
def test_what_has_another_form_is_no_code(text: str) -> None:
    assert not is_code(text)
    with pytest.raises(BadInput, match="is no code of a run"):
        read_code(text)


@pytest.mark.parametrize(("number", "replicate"), [(0, 1), (1, 0), (1, 27)])
def test_there_is_no_code_of_what_cannot_be(number: int, replicate: int) -> None:
    with pytest.raises(ValueError, match="a code needs"):
        run_code(number, replicate)
