"""JSON Schema of a class of values, as people write them in TOML: no null, alternatives by their `kind`, a word on every key."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from flows.schemas.key_descriptions import descriptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class FileSchema(GenerateJsonSchema):
    """Describes what stands in a file, not what becomes of it."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    @override
    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if described.get("default", ...) in (None, [], {}) or isinstance(schema.get("default"), BaseModel):
            described.pop("default")
        return described

    @override
    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        return {**described, "additionalProperties": False} if "patternProperties" in described else described

    @override
    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        described = super().tagged_union_schema(schema)
        described.pop("discriminator", None)  # OpenAPI's; each alternative says its own kind
        return described

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        texts = descriptions(schema["cls"])
        for name, field in schema["cls"].model_fields.items():
            key = field.validation_alias if isinstance(field.validation_alias, str) else name
            if key in described.get("properties", {}) and name in texts:
                described["properties"][key]["description"] = texts[name]
        return described


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a file that is read into a class."""
    return {"$schema": DIALECT, **model.model_json_schema(schema_generator=FileSchema)}
