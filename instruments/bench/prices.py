"""Prices of stocks: an amount of a currency for a volume, for example "12 EUR/mL"."""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from orchestrator.errors import BadInput
from orchestrator.numerals import NUMBER, misreading, number
from orchestrator.units import convert

_PRICE: Final = re.compile(rf"\s*(?![+-])({NUMBER})\s*([A-Z]{{3}})\s*/\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Price:
    """What one mL costs."""

    per_ml: float
    currency: str
    """Three capital letters, as in ISO 4217; never converted."""

    @classmethod
    def parse(cls, raw: Any, *, what: str) -> Self:
        """Read a text such as "12 EUR/mL" or "80 EUR / L".

        Args:
            raw: The text.
            what: The name of the thing, for the message.

        Raises:
            BadInput: Not of this form, or not for a volume.
        """
        match = _PRICE.fullmatch(raw) if isinstance(raw, str) else None
        if match is None:
            why = misreading(raw) if isinstance(raw, str) else ""
            raise BadInput(f"{what} = {raw!r}{why}; expected an amount, a currency of three capital letters and a volume, like '12 EUR/mL'")
        try:
            volume = convert(1.0, match[3], "mL")
        except BadInput as error:
            raise BadInput(f"{what} = {raw!r}: {match[3]} is no volume; expected a price like '12 {match[2]}/mL'") from error
        return cls(number(match[1], what=what) / volume, match[2])
