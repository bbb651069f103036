"""The files that people write, and what their schemas say that no class does."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from flows.schemas.generator import schema_of
from flows.studies.benchmark.spec import ELEMENTS, BenchmarkSpec
from flows.studies.metatraining.spec import MetaSpec
from instruments.bench.spec import BenchSpec
from instruments.drivers.declared.spec import ProfileSpec
from orchestrator.domain.campaign import CampaignSpec
from orchestrator.importing.mapping import MappingSpec
from policies.settings import POLICY_NAMES, BayesianSettings


def campaign_schema() -> dict[str, Any]:
    """Return the schema of a campaign file: the policy's settings stand beside its kind."""
    schema = schema_of(CampaignSpec)
    settings = schema_of(BayesianSettings)["properties"]
    gathered = schema["$defs"]["PolicySpec"]["properties"]["settings"] | {"properties": settings, "additionalProperties": False}
    kind = schema["$defs"]["PolicySpec"]["properties"]["kind"] | {"enum": list(POLICY_NAMES)}
    none = {"properties": dict.fromkeys(settings, False) | {"settings": {"maxProperties": 0}}}
    schema["$defs"]["PolicySpec"] |= {
        "properties": {"kind": kind, "settings": gathered, **settings},
        "if": {"properties": {"kind": {"const": "bayesian"}}},
        "then": {"if": {"required": ["settings"]}, "then": {"properties": dict.fromkeys(settings, False)}},
        "else": none,
    }
    return schema


def benchmark_schema() -> dict[str, Any]:
    """Return the schema of a benchmark file: descriptors stand at the parameters that they describe."""
    schema = schema_of(BenchmarkSpec)
    described = schema["properties"].pop("descriptors")["description"]
    places: Mapping[str, dict[str, Any]] = {
        "CategoricalParameter": {"type": "array", "items": {"type": "string"}},
        "CompositionParameter": {"const": ELEMENTS},
    }
    for name, legal in places.items():
        schema["$defs"][name]["properties"]["descriptors"] = {**legal, "description": described}
    return schema


SCHEMAS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "campaign": campaign_schema,
    "bench": lambda: schema_of(BenchSpec),
    "prior": lambda: schema_of(MetaSpec),
    "benchmark": benchmark_schema,
    "profile": lambda: schema_of(ProfileSpec),
    "mapping": lambda: schema_of(MappingSpec),
}
"""What a file is for -> its schema."""
