"""Every key of the files that people write, from their JSON Schemas."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from docs.extension.reference.markdown import code, section, table
from flows.plans.twins.files import RecordedFile, RevisionFile
from flows.schemas.files import SCHEMAS
from flows.schemas.generator import schema_of
from orchestrator.domain.written import UNIT
from simulators.declarations import StandInSection
from simulators.responses import ResponseSection

Schema = Mapping[str, Any]
_HEADS: Final = ("key", "what it is", "unit", "default", "meaning")


def written(kind: str) -> str:
    """Write all tables of one kind of file."""
    schema = SCHEMAS[kind]()
    whole = section(f"The whole {kind} file", _keys(schema, schema["$defs"]))
    return whole + "".join(_tables(schema, schema["$defs"]))


def stand_ins() -> str:
    """Write the tables of a plant file that say how stand-ins behave and what they measure."""
    found: Mapping[str, type[BaseModel]] = {"stand_ins.INSTRUMENT": StandInSection, 'responses."INSTRUMENT.CHANNEL"': ResponseSection}
    schemas = {place: schema_of(model) for place, model in found.items()}
    return "".join(section(code(f"[{place}]"), one["description"], _keys(one, one.get("$defs", {}))) for place, one in schemas.items())


def twins() -> str:
    """Write the tables of a twin's own file: a revision, or a table of recorded predictions."""
    schemas = {what: schema_of(model) for what, model in (("A revision", RevisionFile), ("A table", RecordedFile))}
    return "".join(section(what, one["description"], "") + "".join(_tables(one, one["$defs"])) for what, one in schemas.items())


def _tables(schema: Schema, tables: Mapping[str, Schema]) -> Iterator[str]:
    for place, name in _places(schema, tables, "", set()):
        yield section(place, tables[name]["description"], _keys(tables[name], tables))


def _places(schema: Schema, tables: Mapping[str, Schema], above: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Iterate over all tables in the order of the file, each once: how its head is written, and its name."""
    for key, one in schema.get("properties", {}).items():
        for pattern, name in _named(one) if isinstance(one, Mapping) else ():
            if name in seen:
                continue
            seen.add(name)
            path = f"{above}{key}"
            place = pattern.format(path)
            kind = tables[name]["properties"].get("kind", {}).get("const")
            yield f"{code(place)}{f', kind {code(kind)}' if kind else ''}", name
            yield from _places(tables[name], tables, f"{path}{'.NAME' if 'NAME' in pattern else ''}.", seen)


def _named(one: Schema) -> Iterator[tuple[str, str]]:
    """Iterate over the tables that a key holds, each with how its head is written."""
    alternatives = [one, *one.get("anyOf", ()), *one.get("oneOf", ())]
    yield from (("[{}]", _name(each)) for each in alternatives if "$ref" in each)
    for each in (one.get("items"), *one.get("patternProperties", {}).values(), one.get("additionalProperties")):
        if isinstance(each, Mapping):
            pattern = "[[{}]]" if each is one.get("items") else "[{}.NAME]"
            yield from ((pattern, name) for _, name in _named(each))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _keys(schema: Schema, tables: Mapping[str, Schema]) -> str:
    required = schema.get("required", ())
    rows = [
        (code(key), _type(one, tables), _unit(one), _default(one, is_required=key in required), one.get("description", ""))
        for key, one in schema.get("properties", {}).items()
    ]
    kept = [column for column in range(len(_HEADS)) if column == len(_HEADS) - 1 or any(row[column] for row in rows)]
    return table([_HEADS[column] for column in kept], ([row[column] for column in kept] for row in rows))


def _default(one: Schema, *, is_required: bool) -> str:
    return "required" if is_required else code(_toml(one["default"])) if "default" in one else ""


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _unit(one: Schema) -> str:
    inner = [one, *(each for each in (one.get("items"), one.get("additionalProperties")) if isinstance(each, Mapping))]
    return next((str(each[UNIT]) for each in inner if UNIT in each), "")


def _type(one: Schema, tables: Mapping[str, Schema]) -> str:
    if "const" in one:
        return code(_toml(one["const"]))
    if "enum" in one:
        return " or ".join(code(_toml(value)) for value in one["enum"])
    if "$ref" in one:
        return "table"
    if "anyOf" in one or "oneOf" in one:
        return " or ".join(dict.fromkeys(_type(each, tables) for each in one.get("anyOf", one.get("oneOf", ()))))
    if "prefixItems" in one:
        return f"list of {' and '.join(_type(each, tables) for each in one['prefixItems'])}"
    kinds = one.get("type", "value")
    return " or ".join(_simple(kind, one, tables) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _simple(kind: str, one: Schema, tables: Mapping[str, Schema]) -> str:
    if kind == "array":
        return f"list of {_type(one['items'], tables)}{_range(one, 'minItems', 'maxItems')}"
    if kind == "object":
        inner = [*one.get("patternProperties", {}).values(), one.get("additionalProperties")]
        held = next((_type(each, tables) for each in inner if isinstance(each, Mapping)), "")
        return f"table of {held}" if held and held != "table" else "tables by name" if held else "table"
    if kind == "string":
        return f"text like {code(_toml(one['examples'][0]))}" if "examples" in one else "text"
    if kind == "boolean":
        return "`true` or `false`"
    return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(one)}"


def _range(one: Schema, least: str, most: str) -> str:
    return f", {one[least]} at least" if one.get(least) else "" if most not in one else f", {one[most]} at most"


def _bounds(one: Schema) -> str:
    words = (("exclusiveMinimum", "above"), ("minimum", "from"), ("exclusiveMaximum", "below"), ("maximum", "to"))
    found = [f"{word} {one[key]:g}" if abs(one[key]) < 1e6 else f"{word} {one[key]}" for key, word in words if key in one]
    return f", {' '.join(found)}" if found else ""
