"""The prior that a campaign names and that is not there yet: the file beside the campaign's that makes exactly this one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from flows.plans.lab import Tell
from flows.plans.plan import Plan
from flows.studies.metatraining.spec import MetaFile, PriorSpec, load_meta_file
from flows.studies.priors import make_prior
from orchestrator.errors import BadInput
from orchestrator.textfile import read_toml


def missing_prior_file(plan: Plan, *, data: Path | None) -> MetaFile | None:
    """Return the file beside the campaign's that makes the prior which a plan lacks; None where there is none.

    Raises:
        BadInput: It is wrong in itself, or several files make this prior.
    """
    wanted = plan.file.prior_path
    if not plan.lacks_prior or wanted is None:
        return None
    found = [path for path, out in _recipes(plan.file.path.parent) if out.resolve() == wanted.resolve()]
    if len(found) > 1:
        raise BadInput(
            f"{plan.file.path}: there is no prior {wanted} yet, and {' and '.join(path.name for path in found)} make it; expected one "
            f"of them, or make the prior with `athanor meta-train`"
        )
    return load_meta_file(found[0], data=data) if found else None


def make_missing_prior(plan: Plan, data: Path | None, tell: Tell) -> None:
    """Make the prior that a plan lacks where a file beside the campaign's says how, without judging it for its model card.

    Raises:
        BadInput: The file, or a source that it names, is wrong.
    """
    recipe = missing_prior_file(plan, data=data)
    if recipe is None:
        return
    tell(f"there is no prior {plan.file.spec.surrogate.prior} yet: making it from {recipe.path.name}")
    made = make_prior(recipe.path, data=data, card=False, tell=tell)
    for line in made.lines():
        tell(line)


def _recipes(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Find the files of a folder that make priors, and where each writes its own; what is no such file is passed over."""
    for path in sorted(folder.glob("*.toml")):
        with suppress(BadInput, ValidationError):
            document = read_toml(path, what=f"file {path}")
            if "prior" in document:
                yield path, PriorSpec.model_validate(document["prior"]).place(folder)
