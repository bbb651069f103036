"""One of a few names."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from orchestrator.domain.parameters.kind import FormField, ParameterKind, check_otherwise
from orchestrator.domain.restriction import Allowed
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput


class CategoricalParameter(ParameterKind):
    """One of a few names."""

    kind: Literal["categorical"] = "categorical"
    categories: Annotated[tuple[str, ...], Field(min_length=1)]
    """The names that it may have."""
    otherwise: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """With `when`: what a configuration has, and a bench is sent, where the parameter is absent; any name."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"parameter {self.name}: a category is listed twice in {list(self.categories)}")
        check_otherwise(f"parameter {self.name}", self.when, self.otherwise)
        return self

    @property
    @override
    def names(self) -> tuple[str, ...]:
        return self.categories

    @property
    @override
    def absence(self) -> dict[str, float | str]:
        return {} if self.otherwise is None else {self.name: self.otherwise}

    @property
    @override
    def legal(self) -> str:
        return f"one of {self._listed}"

    @property
    def _listed(self) -> str:
        return ", ".join(self.categories)

    @override
    def complaint(self, configuration: Configuration) -> str | None:
        value = configuration[self.name]
        known = isinstance(value, str) and value in self._known
        return None if known else f"{self.name} = {value!r} is none of {self._listed}"

    @cached_property
    def _known(self) -> frozenset[str]:
        """The names, looked up for each of thousands of rows."""
        return frozenset(self.categories)

    @property
    @override
    def size(self) -> float:
        return len(self.categories)

    @override
    def choices(self) -> Iterator[Configuration]:
        return ({self.name: category} for category in self.categories)

    @override
    def difference(self, one: Configuration, other: Configuration) -> float:
        return float(one[self.name] != other[self.name])

    @override
    def narrowed(self, allowed: Mapping[str, Allowed]) -> "CategoricalParameter":
        mine = allowed[self.name]
        left = [name for name in self.categories if name in mine.names]
        strangers = [name for name in mine.names if name not in self.categories]
        if strangers or not left:
            raise BadInput(f"{self.name} = {strangers[0] if strangers else mine.shown()}: expected some of {self._listed}")
        return self.evolve(categories=left)

    @property
    @override
    def field(self) -> FormField:
        return FormField("one of the names listed", self.categories)
