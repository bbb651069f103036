"""The short code of a run, as it stands on paper: `17a-D` is replicate a of proposal 17, and D its check character.

The check character is that of ISO 7064, MOD 37,36, over the number and the replicate's letter in capitals. It is one of 0-9 and
A-Z, and shows every single character that was misread, and nearly every two neighbours that changed places.
"""

import re
from typing import Final

from orchestrator.errors import BadInput
from orchestrator.numerals import shown

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE: Final = len(_ALPHABET)
_CODE: Final = re.compile(r"([0-9]+)([a-zA-Z])-([0-9a-zA-Z])")
_LETTERS: Final = 26
"""Replicates that a letter can name; a campaign file allows 20."""


def run_code(number: int, replicate: int = 1) -> str:
    """Return the code of a proposal's replicate, both counted from 1."""
    if number < 1 or not 1 <= replicate <= _LETTERS:
        raise ValueError(f"proposal {number}, replicate {replicate}: a code needs a number from 1 and a replicate of 1 to {_LETTERS}")
    body = f"{number}{_ALPHABET[9 + replicate]}"
    return f"{body.lower()}-{check_character(body)}"


def is_code(text: str) -> bool:
    """Say whether a text has the form of a code, right or not; no run key has it."""
    return _CODE.fullmatch(text.strip()) is not None


def read_code(text: str) -> tuple[int, int]:
    """Return the proposal's number and the replicate that a code names; capitals or not is the same.

    Raises:
        BadInput: It is no code, or its check character is another: somebody misread or mistyped it.
    """
    match = _CODE.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{shown(text)} is no code of a run; expected number, letter and check character, like {run_code(17)}")
    body, given = f"{match[1]}{match[2]}".upper(), match[3].upper()
    if check_character(body) != given:
        raise BadInput(
            f"code {shown(text)} is misread or mistyped: its check character does not belong to {body.lower()}; look at it again"
        )
    return int(match[1]), _ALPHABET.index(body[-1]) - 9


def check_character(text: str) -> str:
    """Return the check character of a text of 0-9 and A-Z (ISO 7064:2003, hybrid system MOD 37,36)."""
    product = _BASE
    for character in text:
        total = (product + _ALPHABET.index(character)) % _BASE or _BASE
        product = total * 2 % (_BASE + 1)
    return _ALPHABET[(1 - product) % _BASE]
