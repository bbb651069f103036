"""What the files choose from by name: policies, learners, surrogates of benchmarks, families, reductions, recorded tables."""

from collections.abc import Mapping
from typing import Any

from docs.extension.reference.markdown import code, plain, section, table
from flows.studies.families import FAMILIES
from instruments.reductions.registry import REDUCTIONS
from models.meta_learning.registry import META_LEARNERS
from models.peers.baselines import BASELINES
from orchestrator.catalogue import CATALOGUE
from policies.bayesian import BayesianPolicy
from policies.initial import SobolPolicy
from policies.random_search import RandomPolicy
from policies.settings import POLICY_NAMES
from simulators.twins.built_in import BUILT_IN

_POLICIES: dict[str, Any] = {"bayesian": BayesianPolicy, "random": RandomPolicy, "sobol": SobolPolicy}
_COMPARED = {
    "random": "Draws; no model.",
    "copy": "Ranks candidates once by what the sources say, and never adapts.",
    "fresh-gp": "BoTorch's SingleTaskGP, which knows of no source.",
    "multi-task-gp": "BoTorch's MultiTaskGP over sources and task.",
    "rgpe": "Ranking-weighted ensemble of one Gaussian process per source and one of the task.",
}


def written() -> str:
    """Write all lists."""
    return "".join(
        (
            section("Policies", "`policy.kind` of a campaign file.", _policies()),
            section("Learners", "`train.learners` of a prior file, `run.surrogates` of a benchmark file.", _made(META_LEARNERS)),
            section(
                "Surrogates to compare with",
                "`run.surrogates` of a benchmark file.",
                table(("name", "what it is"), ((code(name), _COMPARED[name]) for name in BASELINES)),
            ),
            section("Families of simulated chemistries", "`family` of a source or of benchmark data.", _families()),
            section("Twins", "`twin.chemistry` of a bench file.", _twins()),
            section("Reductions", "`bench.reduction`: from readings to measurements; a changed one gets a new version.", _reductions()),
            section("Recorded tables", "`recorded.table` of a campaign file; the tables are not part of Athanor.", _tables()),
        )
    )


def _policies() -> str:
    rows = ((code(kind), code(name), plain(_POLICIES[kind].__doc__)) for kind, name in POLICY_NAMES.items())
    return table(("kind", "in the ledger", "what it does"), rows)


def _made(learners: Any) -> str:
    return table(("name", "what it is"), ((code(name), plain(type(make()).__doc__)) for name, make in learners.items()))


def _families() -> str:
    rows = ((code(name), ", ".join(map(code, one.parameters)), _units(one.units)) for name, one in FAMILIES.items())
    return table(("family", "varied", "units"), rows)


def _twins() -> str:
    rows = (
        (code(name), _units(one.controls), _units(one.outputs), ", ".join(code(each.name) for each in one.calibratable))
        for name, one in BUILT_IN.items()
    )
    return table(("twin", "controls", "outputs", "may be calibrated"), rows)


def _units(units: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {code(unit)}".strip() for name, unit in units.items())


def _reductions() -> str:
    rows = (
        (code(name), ", ".join(map(code, sorted(one.targets or ()))) or "whatever the readings are called", plain(one.apply.__doc__))
        for name, one in REDUCTIONS.items()
    )
    return table(("reduction", "targets", "how"), rows)


def _tables() -> str:
    rows = ((code(one.name), str(one.rows), one.licence, f"{one.repository}, {one.path}", one.citation) for one in CATALOGUE.values())
    return table(("table", "rows", "licence", "GitHub repository, file", "from"), rows)
