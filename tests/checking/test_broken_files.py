"""Every broken file gets one clear line that names the thing, what came and what is legal."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.plans.plan import load_plan
from flows.studies.metatraining.spec import load_meta_file
from orchestrator.domain.campaign import load_campaign, parse_campaign
from orchestrator.errors import BadInput

EXAMPLE = Path(__file__).parents[2] / "flows" / "cli" / "scaffold"


@dataclass(frozen=True)
class Case:
    """One typing error: replace `old` by `new` in a file; the message must hold all of `says`."""

    file: str
    old: str
    new: str
    says: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.file.partition('.')[0]}-{' '.join(self.says)[:60]}"


C, B = "campaign.toml", "bench.toml"
T_RANGE = 'unit = "degC"\nmin = 200\nmax = 280'
POLICY = 'kind = "bayesian"'
FLOW_SE = 'with = { flow = "V/tau * c_se / stocks.se.Se" }'
WAIT = 'with = { time = "flush * tau" }'
POSITIONS = 'positions = "A1:H12"'
HAZARD = '[[hazards]]\nname = "hot"\nvalue = "T"\nabove = "270 degC"\n'
PARK = '[[park.steps]]\ndo = "oven.off"\n'


def parked(step: str) -> str:
    """Declare one park step behind the last key of `[bench]`."""
    return f'{POSITIONS}\npark_after = "30 min"\n[[park.steps]]\n{step}\n'


OTHER = '[objective]\nkind = "explore"\n'
NEVER = 'mode = "never"'
RULES = 'mode = "rules"\n[[review.when]]\nname = "far"\n'
CASES = [
    # review
    Case(C, NEVER, 'mode = "sometimes"', ("review.mode", "sometimes", "always", "rules")),
    Case(C, NEVER, 'mode = "always"\ndeadline = "3 mL"', ("deadline", "3 mL", "s")),
    Case(C, NEVER, 'mode = "always"\ndeadline = 0', ("deadline", "greater than 0")),
    Case(C, NEVER, 'mode = "always"\non_deadline = "skip"', ("on_deadline", "skip", "needs a deadline")),
    Case(C, NEVER, 'mode = "always"\nwhom = "Ada"', ("unknown key review.whom", "deadline", "valid_for")),
    Case(C, NEVER, RULES + 'quantity = "novelty"', ("far", "above or below")),
    Case(C, NEVER, RULES + 'quantity = "colour"\nabove = 1', ("quantity", "colour")),
    Case(C, NEVER, RULES + 'quantity = "sd.size"\nabove = 1', ("far", "sd.size", "sd.wavelength")),
    Case(C, NEVER, 'mode = "always"\n[[review.when]]\nname = "far"\nquantity = "novelty"\nabove = 1', ("review.when", "rules", "always")),
    # objective
    Case(C, "[campaign]", '[objective]\nkind = "best"\n[campaign]', ("objective.kind", "best", "pareto", "explore")),
    Case(C, "[campaign]", '[objective]\nreference = { fwhm = "40 nm" }\n[campaign]', ("objective.reference", "pareto", "utility")),
    Case(C, "[campaign]", '[objective]\nkind = "level"\n[campaign]', ("level", "one target", "reference")),
    Case(C, "[campaign]", '[objective]\nkind = "explore"\n[campaign]\ngoal = 0.5', ("campaign.goal", "explore", "nothing is best")),
    Case(
        C,
        "[campaign]",
        '[objective]\nkind = "pareto"\nreference = { fwhm = "40 s" }\n[campaign]',
        ("campaign.toml: objective.reference.fwhm", "40 s", "nm"),
    ),
    Case(C, "[campaign]", '[objective]\nkind = "pareto"\nreference = { size = 1 }\n[campaign]', ("reference.size", "names no target")),
    Case(C, "[campaign]", OTHER + '[[outcomes]]\nname = "quantum_yield"\nmin = 0.3\n[campaign]', ("[[outcomes]]", "utility", "explore")),
    # stop
    Case(C, NEVER, NEVER + "\n[stop]\nprobability = 1", ("stop.probability", "less than 1")),
    Case(C, NEVER, NEVER + "\n[stop]\nimprovement = 0", ("stop.improvement", "greater than 0")),
    Case(C, NEVER, NEVER + '\n[stop]\naction = "pause"', ("stop.action", "'advise' or 'finish'")),
    Case(C, NEVER, NEVER + "\n[stop]\npatience = 3", ("unknown key stop.patience", "improvement", "probability", "action")),
    Case(C, NEVER, NEVER + f"\n[stop]\n{OTHER}", ("[stop]", "utility", "explore")),
    # units
    Case(C, 'min = "4 mmol/L"', 'min = "4 mmol/kg"', ("c_se", "min", "4 mmol/kg", "mol/L")),
    Case(C, 'unit = "s"', 'unit = "sek"', ("sek",)),
    Case(C, 'tolerance = "5 nm"', 'tolerance = "5 s"', ("wavelength", "tolerance", "5 s", "nm")),
    Case(B, 'V = "2 mL"', 'V = "2 mLL"', ("V", "2 mLL")),
    Case(B, 'V = "2 mL"', 'V = "2 m"', ("set_flow", "mL/min")),
    Case(B, 'max = "290 degC"', 'max = "290 mL"', ("oven", "temperature", "290 mL", "degC")),
    Case(B, 'species = { Se = "0.06 mol/L" }', 'species = { Se = "0.06 g" }', ("stock se", "Se", "0.06 g", "mol/L")),
    Case(B, 'grace = "60 s"', 'grace = "60 mL"', ("60 mL", "s")),
    Case(B, 'within = "1 delta_degC"', 'within = "1 mL"', ("within", "1 mL")),
    # decimal commas and other spellings of numbers, wherever a text holds one
    Case(C, 'min = "4 mmol/L"', 'min = "4,5 mmol/L"', ("c_se, min", "4,5", "comma")),
    Case(C, 'tolerance = "5 nm"', 'tolerance = "5,5 nm"', ("wavelength, tolerance", "5,5", "comma")),
    Case(C, NEVER, 'mode = "always"\ndeadline = "1,5 h"', ("deadline", "1,5", "comma")),
    Case(B, 'V = "2 mL"', 'V = "1.234,5 mL"', ("constant V", "1.234,5", "comma")),
    Case(B, 'V = "2 mL"', 'V = "1 234 mL"', ("constant V", "1 234 mL", "groups")),
    Case(B, 'max = "290 degC"', 'max = "2_90 degC"', ("temperature.max", "2_90", "groups")),
    Case(B, 'species = { Se = "0.06 mol/L" }', 'species = { Se = "0,06 mol/L" }', ("stock se, Se", "0,06", "comma")),
    Case(B, 'grace = "60 s"', 'grace = "60,5 s"', ("60,5", "comma")),
    Case(B, 'within = "1 delta_degC"', 'within = "0,5 delta_degC"', ("within", "0,5", "comma")),
    Case(B, 'price = "0.35 EUR/mL"', 'price = "0,35 EUR/mL"', ("stock cd", "price", "0,35", "comma")),
    Case(C, "budget = ", 'goal = "0,5"\nbudget = ', ("campaign.goal", "0,5", "valid number", "comma")),
    Case(B, WAIT, 'with = { time = "200,5 s" }', ("time", "200,5", "comma")),
    Case(B, WAIT, 'with = { time = "1,5 * tau" }', ("time", "1,5 * tau", "comma")),
    Case(B, WAIT, 'with = { time = "2_20 * tau" }', ("time", "2_20", "groups")),
    # bounds and numbers
    Case(C, T_RANGE, 'unit = "degC"\nmin = 280\nmax = 200', ("parameter T", "280", "200")),
    Case(C, T_RANGE, 'unit = "degC"\nmin = nan\nmax = 280', ("parameter T", "min", "nan", "finite")),
    Case(C, T_RANGE, 'unit = "degC"\nmin = 200\nmax = inf', ("parameter T", "max", "inf", "finite")),
    Case(C, T_RANGE, 'unit = "degC"\nmin = "cold"\nmax = 280', ("parameter T", "cold")),
    Case(C, "low = 25\nhigh = 60", "low = 60\nhigh = 25", ("fwhm", "60", "25")),
    Case(C, "low = 25\nhigh = 60", "low = 25", ("fwhm", "low and high")),
    Case(C, "value = 600\n", "", ("wavelength", "match", "value")),
    Case(C, "budget = 24", "budget = 0", ("budget", "0", "1")),
    Case(C, "seed = 7", "seed = -7", ("seed", "-7")),
    Case(B, 'max = "290 degC"', 'max = "10 degC"', ("oven", "temperature", "20", "10")),
    # legal by themselves, but nothing would read them
    Case(C, "[policy]", '[surrogate]\nkind = "gp"\ndevice = "cuda"\n\n[policy]', ("surrogate.device", "cuda", "'cpu' or 'auto'")),
    Case(C, "[policy]", '[surrogate]\nprior = "x.pt"\nbeliefs = "learned"\n\n[policy]', ("beliefs", "learned", "gp")),
    Case(C, "[policy]", '[surrogate]\nkind = "gp"\nguard = false\n\n[policy]', ("surrogate.guard", "default", "gp")),
    Case(C, NEVER, 'mode = "always"\nfirst = 3', ("review.first = 3", "rules", "always")),
    Case(C, 'tolerance = "5 nm"', 'tolerance = "5 nm"\nlow = 500', ("target wavelength", "low", "maximise")),
    Case(B, 'url = "opc.tcp://platform.lab:4840"', 'url = "opc.tcp://platform.lab:4840"\nbaud = 9600', ("link platform", "baud", "serial")),
    # security
    Case(B, 'url = "opc.tcp://platform.lab', 'url = "opc.tcp://ada:pw@platform.lab', ("link platform", "user or a password", "security")),
    Case(
        B,
        'port = "/dev/serial/by-id/usb-oven"\n',
        'port = "/dev/serial/by-id/usb-oven"\nsecurity = { policy = "Basic256Sha256" }\n',
        ("security", "serial"),
    ),
    Case(B, 'policy = "Basic256Sha256"', 'policy = "None"', ("security.policy", "None", "Basic256Sha256")),
    Case(B, 'policy = "Basic256Sha256"', 'policy = "Basic128Rsa15"', ("security.policy", "Basic128Rsa15", "Aes256Sha256RsaPss")),
    Case(B, 'mode = "SignAndEncrypt"', 'mode = "None"', ("security.mode", "None", "SignAndEncrypt")),
    Case(B, 'user = "athanor"\n', "", ("user and password go together",)),
    Case(B, '{ file = "platform.password" }', '{ file = "x", env = "X" }', ("password", "either in a file or", "env")),
    Case(B, '{ file = "platform.password" }', '{ env = "MY-PW" }', ("password.env", "MY-PW")),
    Case(B, 'user = "athanor"', 'user = "athanor"\nuser_certificate = "u.der"', ("user_certificate and user_key go together",)),
    Case(B, 'user = "athanor"', 'user = "athanor"\nuser_certificate = "u.der"\nuser_key = "u.pem"', ("either a name and a password or",)),
    Case(B, '{ file = "platform.password" }', '"secret"', ("security.password", "never written here", "file", "env")),
    Case(B, 'address = 3\nmodel = "NE1000"', "address = 3\noptions = { syringe = 10 }", ("pump_l", "new-era", "no option 'syringe'")),
    Case(B, 'driver = "lads"', 'driver = "lads"\naddress = 4', ("platform", "address = 4", "serial")),
    Case(B, 'link = "oven"\naddress = 1', 'link = "platform"\naddress = 1', ("oven", "eurotherm-modbus", "serial", "platform is opcua")),
    # keys
    Case(C, "budget = 24", "budget = 24\nbugdet = 3", ("unknown key", "bugdet", "budget")),
    Case(C, 'mode = "never"', 'mode = "sometimes"', ("mode", "sometimes", "never")),
    Case(C, POLICY, POLICY + "\nexplore = 2", ("explore", "initial")),
    Case(C, 'kind = "bayesian"', 'kind = "gradient"', ("gradient", "bayesian")),
    Case(C, 'kind = "continuous"\nunit = "s"', 'kind = "smooth"\nunit = "s"', ("smooth", "continuous")),
    Case(C, 'bench = "bench.toml"', 'bench = "brench.toml"', ("brench.toml", "does not exist")),
    Case(C, 'bench = "bench.toml"\n', "", ("bench", "recorded")),
    Case(C, "[campaign]", "[campaign", ("campaign.toml", "TOML")),
    Case(B, "[bench]", "[bench", ("bench.toml", "TOML")),
    Case(B, 'lot = "CD-17"\n', "", ("stocks.cd.lot", "missing")),
    Case(B, "[infeasible]", "[infeasable]", ("unknown key", "infeasable", "infeasible")),
    Case(C, 'name = "tau"', 'name = "T"', ("parameter T", "twice")),
    Case(C, 'name = "fwhm"', 'name = "breadth"', ("breadth", "cdse-emission/1", "fwhm")),
    # instruments
    Case(B, 'driver = "eurotherm-modbus"', 'driver = "eurothem"', ("oven", "eurothem", "eurotherm-modbus")),
    Case(B, 'link = "platform"', 'link = "plattform"', ("platform", "plattform", "pumps")),
    Case(B, "address = 2", "address = 1", ("pump_cd", "pump_se", "address 1", "pumps")),
    Case(B, 'safe_state = ["off"]', 'safe_state = ["freeze"]', ("oven", "freeze", "off")),
    Case(B, 'do = "pump_cd.dose"', 'do = "pump_cd.squirt"', ("pump_cd", "squirt", "dose")),
    Case(B, 'do = "pump_cd.dose"', 'do = "pump_xx.dose"', ("pump_xx", "pump_cd")),
    Case(B, WAIT, 'with = { duration = "flush * tau" }', ("wait", "time")),
    Case(B, '"pump_l.flow"]', '"pump_l.flux"]', ("pump_l.flux", "pump_l.flow")),
    Case(B, 'reduction = "cdse-emission/1"', 'reduction = "cdse-emission/9"', ("cdse-emission/9", "cdse-emission/1")),
    Case(B, 'positions = "A1:H12"', 'positions = "A-H"', ("positions", "A-H", "A1:H12")),
    # formulation
    Case(B, FLOW_SE, 'with = { flow = "V/tau * c_sse / stocks.se.Se" }', ("set_flow", "c_sse")),
    Case(B, FLOW_SE, 'with = { flow = "V/tau + c_se" }', ("set_flow", "V/tau + c_se")),
    Case(B, FLOW_SE, 'with = { flow = "__import__(1)" }', ("__import__", "not allowed")),
    Case(B, FLOW_SE, 'with = { flow = "V.magnitude" }', ("V.magnitude", "unknown name")),
    Case(B, 'tau = "V / (pump_cd.flow', 'tau = "2 * V / (pump_cd.flow', ("[measured] tau", "comes back")),
    Case(
        C,
        '[[targets]]\nname = "wavelength"',
        '[[parameters]]\nname = "stirring"\nkind = "continuous"\nunit = "rpm"\nmin = 0\nmax = 500\n\n[[targets]]\nname = "wavelength"',
        ("stirring", "no step"),
    ),
    # prices, hazards, parking
    Case(B, 'price = "0.35 EUR/mL"', "price = 0.35", ("stock cd", "price", "0.35", "EUR/mL")),
    Case(B, 'price = "0.35 EUR/mL"', 'price = "0.35 EUR/g"', ("stock cd", "price", "0.35 EUR/g", "volume")),
    Case(B, 'price = "0.35 EUR/mL"', 'price = "0.35 USD/mL"', ("EUR and USD", "one currency")),
    Case(B, 'price = "0.35 EUR/mL"', 'prize = "0.35 EUR/mL"', ("unknown key", "prize", "price")),
    Case(B, "[measured]", HAZARD.replace("above", "beyond") + "[measured]", ("unknown key", "beyond", "above", "below")),
    Case(B, "[measured]", HAZARD.replace("270 degC", "270 mL") + "[measured]", ("hazard 'hot'", "'T'", "mL")),
    Case(B, "[measured]", HAZARD.replace("270 degC", "270 degZ") + "[measured]", ("hazard 'hot'", "degZ")),
    Case(B, "[measured]", HAZARD.replace('"T"', '"T * q"') + "[measured]", ("hazard 'hot'", "unknown name 'q'")),
    Case(B, "[measured]", HAZARD + 'below = "1 degC"\n[measured]', ("hazard 'hot'", "either above or below")),
    Case(B, "[measured]", HAZARD + "people = 3\n[measured]", ("people", "3", "1 or 2")),
    Case(B, "[measured]", HAZARD + HAZARD + "[measured]", ("hazard 'hot'", "twice")),
    Case(B, "[measured]", PARK + "[measured]", ("park_after", "park.steps", "together")),
    Case(B, POSITIONS, f'{POSITIONS}\npark_after = "30 min"', ("park_after", "park.steps", "together")),
    Case(B, POSITIONS, parked('do = "oven.heat"'), ("park step 0", "oven", "heat", "set_temperature")),
    Case(B, POSITIONS, parked('do = "pump_cd.dose"\nwith = { volume = "1 mL" }'), ("park step 0 (pump_cd.dose)", "dosing", "setting")),
    Case(B, POSITIONS, parked('do = "platform.run_program"\nwith = { template = "x" }'), ("park step 0", "program", "setting")),
    Case(B, POSITIONS, parked('do = "wait"\nwith = { time = "5 s" }'), ("park step 0 (wait)", "setting")),
    Case(B, POSITIONS, parked('do = "oven.set_temperature"\nwith = { temperature = "T" }'), ("park step 0", "unknown name 'T'")),
    Case(B, POSITIONS, parked('do = "oven.set_temperature"\nwith = { temperature = "3 mL" }'), ("park step 0", "3 mL", "degC")),
    Case(B, POSITIONS, parked('do = "oven.set_temperature"\nwith = { temperature = "299 degC" }'), ("park", "299", "20 to 290 degC")),
    Case(B, POSITIONS, parked('do = "oven.off"\nuntil = 3'), ("unknown key", "until", "do, with")),
    Case(B, POSITIONS, parked('do = "oven.off"').replace("30 min", "30 mL"), ("30 mL", "s")),
    # reach
    Case(C, 'min = "4 mmol/L"\nmax = "25 mmol/L"', 'min = "70 mmol/L"\nmax = "90 mmol/L"', ("exclude the whole space", "c_se", "allowed")),
    Case(
        B,
        'address = 2\nmodel = "NE1000"\nlimits.flow = { min = "0.02 mL/min", max = "6 mL/min" }',
        'address = 2\nmodel = "NE1000"\nlimits.flow = { min = "19 mL/min", max = "20 mL/min" }',
        ("exclude the whole space", "c_se", "19"),
    ),
    Case(
        B,
        'temperature = { min = "20 degC", max = "290 degC" }',
        'temperature = { min = "20 degC", max = "90 degC" }',
        ("whole space", "T", "90"),
    ),
    Case(
        C,
        "[policy]",
        "[[constraints]]\ncoefficients = { T = 1, tau = 1 }\nmax = 100\n\n[policy]",
        ("infeasible", "T"),
    ),
    Case(C, "[policy]", '[[constraints]]\nexpression = "T * q"\nmax = 1\n\n[policy]', ("q", "unknown name")),
    Case(C, "[policy]", '[[constraints]]\nexpression = "tau / ratio"\nunit = "mL"\nmax = 1\n\n[policy]', ("tau / ratio", "mL")),
    Case(C, "[policy]", "[[constraints]]\ncoefficients = { tauu = 1 }\nmax = 1\n\n[policy]", ("tauu", "tau")),
    Case(C, "[policy]", "[[constraints]]\ncoefficients = { tau = 1 }\n\n[policy]", ("min", "max")),
    Case(C, "[policy]", '[candidates]\nfile = "pool.csv"\n\n[policy]', ("pool.csv", "does not exist")),
]


def without_prior(path: Path) -> None:
    """Take the `[surrogate]` table out: what it names is made by `athanor meta-train`."""
    text = path.read_text()
    path.write_text(text[: text.index("[surrogate]")] + text[text.index("[policy]") :])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_file_gets_one_clear_line_and_nothing_is_written(case: Case, tmp_path: Path) -> None:
    for name in ("campaign.toml", "bench.toml", "plant.toml"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    without_prior(tmp_path / "campaign.toml")
    text = (tmp_path / case.file).read_text()
    assert case.old in text, "the example no longer holds what this case breaks"
    (tmp_path / case.file).write_text(text.replace(case.old, case.new, 1))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput) as caught:
        load_plan(tmp_path / "campaign.toml")
    message = str(caught.value)
    assert "\n" not in message
    for word in case.says:
        assert word in message, message
    assert sorted(tmp_path.rglob("*")) == before


def test_the_scaffolded_example_is_sound(tmp_path: Path) -> None:
    for name in ("campaign.toml", "bench.toml"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    without_prior(tmp_path / "campaign.toml")
    plan = load_plan(tmp_path / "campaign.toml")
    assert len(plan.sample) == 64
    assert plan.procedure is not None
    assert all(plan.procedure.round_trip_complaint(one) is None for one in plan.sample)


def test_what_was_stored_with_keys_that_nothing_reads_stays_readable() -> None:
    text = (EXAMPLE / "campaign.toml").read_text().replace(NEVER, f"{NEVER}\nfirst = 3")
    file = parse_campaign(text, EXAMPLE / "campaign.toml")
    with pytest.raises(BadInput, match=r"review\.first"):
        file.refuse_unhonoured()


def test_the_scaffolded_prior_learns_in_the_campaigns_own_space() -> None:
    campaign, meta = load_campaign(EXAMPLE / "campaign.toml"), load_meta_file(EXAMPLE / "prior.toml")
    assert meta.spec.parameters == campaign.spec.parameters
    assert meta.spec.targets == campaign.spec.targets
    assert meta.out == campaign.prior_path


def test_a_deadline_cannot_approve_where_a_hazard_may_fire(tmp_path: Path) -> None:
    for name in ("campaign.toml", "bench.toml", "plant.toml"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    campaign, bench = tmp_path / "campaign.toml", tmp_path / "bench.toml"
    text = re.sub(r"\[surrogate\].*(?=\[review\])", "", campaign.read_text(), flags=re.DOTALL)
    campaign.write_text(text.replace(NEVER, 'mode = "always"\ndeadline = "1 h"\non_deadline = "approve"'))
    load_plan(campaign)
    bench.write_text(bench.read_text() + HAZARD)
    with pytest.raises(BadInput, match=r"on_deadline.*hazard 'hot' may fire.*hold.*skip"):
        load_plan(campaign)
    bench.write_text(bench.read_text().replace('above = "270 degC"', 'above = "285 degC"'))
    load_plan(campaign)
