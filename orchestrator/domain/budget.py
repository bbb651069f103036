"""What a campaign may use up: experiments, and beside them money, lab time and stocks where they are limited."""

import re
from typing import Annotated, Any, Final, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.config import JsonDict

from orchestrator.domain.durations import LabSeconds
from orchestrator.domain.values import Frozen
from orchestrator.domain.written import TextWithUnit, Whole
from orchestrator.errors import BadInput
from orchestrator.numerals import NUMBER, misreading, number
from orchestrator.units import parse

MOST: Final = 100_000
"""Experiments of the largest campaign."""
_MONEY: Final = re.compile(rf"\s*(?![+-])({NUMBER})\s*([A-Z]{{3}})\s*")


class Budget(Frozen):
    """What a campaign may use up; a plain number is one of experiments."""

    experiments: Annotated[Whole, Field(ge=1, le=MOST)]
    """Experiments to carry out, failed ones included."""
    money: Annotated[str, Field(json_schema_extra={"examples": ["200 EUR"]})] | None = None
    """What its reagents may cost, an amount and a currency; every stock that the bench delivers then needs a price."""
    lab_time: LabSeconds | None = None
    """For how long its runs may occupy the bench, all together; waiting for people is none of it."""
    stocks: dict[str, TextWithUnit] = Field(default_factory=dict)
    """How much it may take of a stock of the bench, of all its lots together."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Budget) else {"experiments": data}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.money is not None and self.amount[0] <= 0:
            raise ValueError(f"money = {self.money!r}: expected an amount above 0")
        for name, volume in self.volumes.items():
            if volume <= 0:
                raise ValueError(f"stocks.{name} = {self.stocks[name]!r}: expected a volume above 0")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        """A number where it is nothing else: what was bound and stored before there was more stays as it was."""
        kept = {name: value for name, value in handler(self).items() if value not in (None, {})}
        return self.experiments if kept.keys() == {"experiments"} else kept

    @property
    def amount(self) -> tuple[float, str]:
        """The amount of money and its currency, three capital letters.

        Raises:
            BadInput: It is none.
        """
        match = _MONEY.fullmatch(self.money or "")
        if match is None:
            came = f"{self.money!r}{misreading(self.money or '')}"
            raise BadInput(f"campaign.budget.money = {came}; expected an amount and a currency of three capital letters, like '200 EUR'")
        return number(match[1], what="campaign.budget.money"), match[2]

    @property
    def volumes(self) -> dict[str, float]:
        """What may be taken of each limited stock, in mL."""
        return {name: parse(volume, "mL", what=f"campaign.budget.stocks.{name}") for name, volume in self.stocks.items()}


def number_or_table(schema: JsonDict) -> None:
    """Say in a schema that a plain number will do."""
    schema["anyOf"] = [{"type": "integer", "minimum": 1, "maximum": MOST}, {"$ref": schema.pop("$ref")}]
