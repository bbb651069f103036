"""What the code has, the reference has: found in the sources by other ways than those by which the reference is written."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from pydantic import BaseModel
from sphinx.application import Sphinx

import athanor
from docs.extension.generated import fill
from flows.studies.benchmark.spec import BenchmarkSpec
from flows.studies.metatraining.spec import MetaSpec
from instruments.bench.spec import BenchSpec
from orchestrator.domain.campaign import CampaignSpec
from orchestrator.importing.mapping import MappingSpec
from policies.settings import BayesianSettings

ROOT = Path(__file__).parents[2]
PACKAGES = ("athanor", "orchestrator", "instruments", "policies", "models", "flows", "simulators")


def page(name: str) -> str:
    source = [(ROOT / "docs" / "reference" / f"{name}.md").read_text()]
    fill(cast(Sphinx, None), name, source)
    return source[0]


def sources(*folders: str) -> str:
    return "\n".join(path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


def missing(words: set[str], text: str) -> list[str]:
    assert words, "nothing was looked for"
    return sorted(word for word in words if word not in text)


def test_every_command_and_every_option_is_described() -> None:
    text, code = page("command-line"), sources("flows/cli")
    named = re.findall(r"_?app\.command\((?:name=)?\"([a-z-]+)\"", code)
    plain = re.findall(r"_?app\.command\(\)\ndef ([a-z_]+)\(", code)
    assert missing({f" {name}\n" for name in named} | {f" {name.rstrip('_')}\n" for name in plain}, text.replace("## ", "##  ")) == []
    assert missing(set(re.findall(r"typer\.Option\(\s*\"(--[a-z-]+)", code)), text) == []
    assert "|  |\n" not in text, "an argument or option has no help"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("campaign-file", CampaignSpec),
        ("bench-file", BenchSpec),
        ("prior-file", MetaSpec),
        ("benchmark-file", BenchmarkSpec),
        ("mapping-file", MappingSpec),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_every_key_of_a_file_is_described(name: str, model: type[BaseModel]) -> None:
    text = page(name)
    found = [(owner, key) for owner, key in keys(model) if not re.search(rf"^\| `{key}` \|.*\S \|$", text, re.MULTILINE)]
    assert found == []


def keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Iterate over class and key of all that a file may hold."""
    for name, field in model.model_fields.items():
        yield model.__name__, str(field.validation_alias or name)
        for one in models_in(field.annotation):
            yield from keys(one)
    if model is CampaignSpec:
        yield from keys(BayesianSettings)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def test_every_kind_of_event_is_described() -> None:
    kinds = re.findall(r"^    ([A-Z_]+) = auto\(\)$", (ROOT / "orchestrator/domain/events.py").read_text(), re.MULTILINE)
    text = page("events")
    assert missing({f"| `{kind.lower().replace('_', '-')}` |" for kind in kinds}, text) == []
    assert "|  |" not in text, "a kind of event has no line of meaning"


def test_every_environment_variable_is_described() -> None:
    assert missing(set(re.findall(r"\bATHANOR_[A-Z_]+\b", sources(*PACKAGES))), page("environment")) == []


def test_every_exit_code_and_every_error_is_described() -> None:
    text, code = page("exit-codes"), (ROOT / "orchestrator/errors.py").read_text()
    codes = {*re.findall(r"exit_code: ClassVar\[int\] = (\d+)", code), *re.findall(r"sys\.exit\((\d+)\)", sources("flows/cli")), "0", "2"}
    assert missing({f"| {number} |" for number in codes}, text) == []
    assert (
        missing({f"| `{name}` |" for name in re.findall(r"^class (\w+)\(\w*(?:Error|Person|Fault)\w*\)", code, re.MULTILINE)}, text) == []
    )


def test_every_path_of_the_bench_host_is_described() -> None:
    text, code = page("bench-host"), (ROOT / "instruments/host/service.py").read_text()
    assert missing({f"`{method} {path}`" for method, path in re.findall(r'\("(PUT|GET|POST)", "(/[^"]*)"', code)}, text) == []
    assert "|  |\n" not in text, "a path has no line of meaning"


def test_every_driver_with_its_commands_and_options_is_described() -> None:
    text, code = page("drivers"), sources("instruments/drivers")
    words = {
        *re.findall(r'"([\w-]+)": CommandSpec\(', code),
        *re.findall(r"@command\([^\n]*\n(?:    @safe\n)?    def (\w+)\(", code),
        *re.findall(r'"([\w-]+)": ChannelSpec\(', code),
        *re.findall(r'^    "([\w-]+)": \w+,$', code, re.MULTILINE),
    }
    assert missing({f"`{word}`" for word in words}, text) == []


def test_every_state_of_a_life_cycle_is_described() -> None:
    code = (ROOT / "orchestrator/domain/lifecycle.py").read_text()
    with_steps = set(re.findall(r"^[A-Z_]+_STEPS: Final\[Mapping\[(\w+),", code, re.MULTILINE))
    assert len(with_steps) == len(re.findall(r"^[A-Z_]+_STEPS", code, re.MULTILINE))
    bodies = (re.search(rf"^class {name}\(StrEnum\):\n(.*?)(?=^\S|\Z)", code, re.MULTILINE | re.DOTALL) for name in with_steps)
    states = {state for body in bodies if body for state in re.findall(r'^    [A-Z_]+ = "(\w+)"', body[1], re.MULTILINE)}
    assert missing({f"| `{state}` |" for state in states}, page("life-cycles")) == []


def test_every_public_python_name_is_described() -> None:
    text = page("python")
    assert [name for name in athanor.__all__ if not re.search(rf"^\.\. auto\w+:: {name}$", text, re.MULTILINE)] == []


def test_every_page_of_the_reference_is_named_for_whom_it_is() -> None:
    pages = {f"({path.name})" for path in (ROOT / "docs/reference").glob("*.md") if path.stem != "index"}
    assert missing(pages, (ROOT / "docs/reference/index.md").read_text()) == []
