"""The package's twin: the physics that its plant runs, priors of its family, and how its example bench would ask it."""

from pathlib import Path

import numpy as np
import pytest
from lipid_mixing.family import LIPID_STOCK, configurations, draw_lipid, mixtures
from lipid_mixing.mixing import REFERENCE_KELVIN, Lipid, mix
from lipid_mixing.twin import TWIN

from athanor.twins import Situation
from flows.plans.twins.bound import bound_twin
from flows.plans.twins.table import twin_table
from instruments.bench.file import parse_bench
from orchestrator.domain.campaign import load_campaign
from tests.lnp.test_package import BENCH, PACKAGE
from tests.plugins.writing import install

SECTION = """
[twin]
chemistry = "lnp/1"
inputs = { lipid = "stocks.lipid.lipid", ph = 4, hold = "1 s" }
"""


def test_it_predicts_what_the_plant_mixes() -> None:
    rows = configurations(40, 3)
    made = mix(mixtures(rows, REFERENCE_KELVIN, 1.0), Lipid())
    asked = [Situation({**row, "lipid": LIPID_STOCK, "ph": 4.0, "hold": 1.0}, TWIN.values, TWIN.reference) for row in rows]
    for place, outcome in enumerate(TWIN.predict(asked)):
        if isinstance(outcome, str):
            assert outcome == made.reason[place]
        else:
            assert (outcome["size"], outcome["potency"]) == pytest.approx((made.diameter[place], made.potency[place]))


def test_its_priors_are_the_spread_of_its_family() -> None:
    drawn = [draw_lipid(np.random.default_rng([11, index])) for index in range(2000)]
    for one in TWIN.constants:
        spread = float(np.std([one.coordinate(getattr(lipid, one.name)) for lipid in drawn]))
        assert one.sd == pytest.approx(spread, rel=0.12), one.name


def test_a_warmer_room_makes_other_particles() -> None:
    cold, warm = (
        Situation(
            {"flow": 6.0, "frr": 3.0, "lipid": 12.5, "np": 6.0, "peg": 1.5, "ph": 4.0, "hold": 1.0}, TWIN.values, {"room_temperature": degc}
        )
        for degc in (18.0, 30.0)
    )
    sizes = [one["size"] for one in TWIN.predict([cold, warm]) if not isinstance(one, str)]
    assert abs(sizes[1] - sizes[0]) > 0.1


def test_the_example_bench_can_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = install(tmp_path, "lipid-twin-points", "", {"athanor.twins": {"lnp/1": "lipid_mixing.twin:TWIN"}})
    monkeypatch.syspath_prepend(str(site))
    file = load_campaign(BENCH / "campaign.toml")
    text = (BENCH / "bench.toml").read_text() + SECTION
    assert 'lnp/1" = "lipid_mixing.twin:TWIN' in (PACKAGE / "pyproject.toml").read_text()
    bench = parse_bench(text, BENCH / "bench.toml")
    bound = bound_twin(bench, file.space(), file.objective.measured)
    assert bound is not None
    table = twin_table(bound, configurations(6, 3))
    assert set(table.measured) == {"size", "pdi", "encapsulation"}
    assert np.isfinite(table.mean[table.feasible]).all()
    assert np.abs(table.sensitivities[table.feasible]).max() > 0.0
