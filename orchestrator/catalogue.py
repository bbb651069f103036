"""The catalogue of recorded tables: where each comes from, under which licence, and what its columns mean.

The tables are measurements of others and are not part of this project. A file is known by its sha256, so that a figure
quoted from it can be checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """The header's text, without a byte-order mark."""
    role: Literal["parameter", "target", "task", "descriptor", "index"]
    unit: str = ""
    """Unit of the numbers as they stand in the file."""
    text: bool = False
    """Whether the entries are names, not numbers."""
    goal: Literal["maximise", "minimise"] | None = None
    """The direction in which a target is good."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file, as its authors published it."""

    name: str
    """What a campaign file calls it."""
    file: str
    """Path below the data folder."""
    repository: str
    """GitHub owner and name."""
    path: str
    """Path inside that repository."""
    licence: str
    citation: str
    columns: tuple[Column, ...]
    rows: int
    sha256: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group -> its tasks, where tasks share so much that judging one with the other would leak."""
    absent: float | None = None
    """What an absent column of this family means: on plates of other elements, a fraction of 0."""
    note: str = ""
    """What a reader of the figures must know."""

    @property
    def origin(self) -> str:
        """Where to get it, for a message."""
        return f"get {self.path} from https://github.com/{self.repository} (licence {self.licence})"


_OLYMPUS: Final = "aspuru-guzik-group/olympus"
_OLYMPUS_PATH: Final = "src/olympus/datasets/dataset_{}/data.csv"
_PV_LAB: Final = "PV-Lab/Benchmarking"


def _numbers(role: Literal["parameter", "target"], **units: str) -> tuple[Column, ...]:
    return tuple(Column(name, role, unit=unit) for name, unit in units.items())


def _texts(role: Literal["parameter", "task", "descriptor"], *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, role, text=True) for name in names)


_AHNEMAN: Final = "Ahneman, Estrada, Lin, Dreher, Doyle, Science 360 (2018) 186, doi:10.1126/science.aar5169"
_SHIELDS: Final = "Shields et al., Nature 590 (2021) 89, doi:10.1038/s41586-021-03213-y"
_REIZMAN: Final = "Reizman, Wang, Buchwald, Jensen, React. Chem. Eng. 1 (2016) 658, doi:10.1039/C6RE00153J"
_ROHR: Final = "Rohr et al., Chem. Sci. 11 (2020) 2696, doi:10.1039/C9SC05999G"
_LIANG: Final = "in the collection of Liang et al., npj Comput. Mater. 7 (2021) 188"
_HAESE: Final = "in the collection of Haese et al., Mach. Learn.: Sci. Technol. 2 (2021) 035021"
_GONGORA: Final = f"Gongora et al., Sci. Adv. 6 (2020) eaaz1708, {_LIANG}"
_BASH: Final = f"Bash et al., Adv. Funct. Mater. 31 (2021) 2102606, {_LIANG}"
_ROCH: Final = f"Roch et al., PLoS ONE 15 (2020) e0229862, {_HAESE}"
_SCHWEIDTMANN: Final = f"Schweidtmann et al., Chem. Eng. J. 352 (2018) 277, {_HAESE}"
_HICKMAN: Final = "Hickman et al., Olympus, enhanced (2023), dataset lnp3"

_SUZUKI_SHA: Final = {
    "i": "5fa1b8aa27962a815bfcba15e9d83ebaa7c1bb42cfcdcb754cc6ee866d942d63",
    "ii": "7eb1127527dcb4baf4ab18969ee953a874f4a007f6c8b7b88385c6220a1b7197",
    "iii": "126eee6ac820c1eaf3cb6b1d5646b1a4152b7667a8a895061320ca3732015825",
    "iv": "85ae12f86d3126a7a8d155210c94ee975d68c0b0df74b74d6c3d986c5e4274cf",
}
_OER_SHA: Final = {
    "3496": "4ac55295d753f2448ca4e12532234f4d3dc678fd0f1602f90c11747a46bdbae9",
    "3851": "c966038c0b09a0fca757d8c1006f54586584230e1a5dd8f5cb309b7a3573d3d6",
    "3860": "362ed34364193a4a6b26350b1cb22e7a8a48a4c93fc42137edbab0c268e3ef6f",
    "4098": "642fc6d1118aa5b3ce9ef35000305fe028acda3b6d2e49e79416c0912afc07cf",
}


def _suzuki(case: str, rows: int) -> Dataset:
    yields = (Column("yield", "target", "percent", goal="maximise"), Column("turnover", "target", goal="maximise"))
    return Dataset(
        name=f"suzuki-{case}",
        file=f"suzuki_flow/suzuki_{case}.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format(f"suzuki_{case}"),
        licence="MIT",
        citation=_REIZMAN,
        columns=(
            *_texts("parameter", "ligand"),
            *_numbers("parameter", res_time="s", temperature="degC", catalyst_loading="percent"),
            *yields,
        ),
        rows=rows,
        sha256=_SUZUKI_SHA[case],
        note="rows were chosen by an adaptive campaign (a biased pool); ligand L7 is declared at the source and never occurs",
    )


def _oer(plate: str, rows: int, *elements: str) -> Dataset:
    return Dataset(
        name=f"oer-plate-{plate}",
        file=f"oer_plates/oer_plate_{plate}.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format(f"oer_plate_{plate}"),
        licence="MIT",
        citation=_ROHR,
        columns=(
            *_numbers("parameter", **{f"{element}_load": "" for element in elements}),
            Column("overpotential", "target", "V", goal="minimise"),
        ),
        rows=rows,
        sha256=_OER_SHA[plate],
        absent=0.0,
        note="overpotential at 3 mA/cm2; about half of the rows of 3851 and 3860 stand on another plate as well",
    )


_ENTRIES: Final = (
    Dataset(
        name="cn-coupling",
        file="cn_coupling/cn.csv",
        repository="doyle-lab-ucla/ochem-data",
        path="deebo/cn-processed.csv",
        licence="CC-BY-4.0",
        citation=_AHNEMAN,
        columns=(
            Column("", "index"),
            *_texts("descriptor", "base_smiles", "ligand_smiles", "substrate_smiles", "additive_smiles", "product_smiles"),
            Column("yield", "target", "percent", goal="maximise"),
            *_texts("parameter", "additive_id"),
            *_texts("task", "substrate_id"),
            *_texts("parameter", "base_name", "ligand_name"),
        ),
        rows=3600,
        sha256="ba39d92c438771570fcafc0ec67f41918e96a21906c13a67b62cabac8c2d04ec",
        groups={f"scaffold-{n // 3 + 1}": (f"s{n + 1}", f"s{n + 2}", f"s{n + 3}") for n in range(0, 15, 3)},
        note="a1 is no additive; the halides of a group differ only in the leaving halogen",
    ),
    Dataset(
        name="direct-arylation",
        file="direct_arylation/direct_arylation.csv",
        repository="emdgroup/baybe",
        path="benchmarks/data/direct_arylation/data.csv",
        licence="Apache-2.0",
        citation=_SHIELDS,
        columns=(
            Column("entry", "index"),
            *_texts("descriptor", "Base_SMILES", "Ligand_SMILES", "Solvent_SMILES"),
            *_numbers("parameter", Concentration="mol/L"),
            Column("Temp_C", "task", "degC"),
            Column("yield", "target", "percent", goal="maximise"),
            *_texts("parameter", "Base", "Ligand", "Solvent"),
        ),
        rows=1728,
        sha256="0aac33253d799c2e5f978b2962c34f9b57ba4863dae408721cabe8fa815d74ea",
        note="starts with a byte-order mark; the three temperatures correlate at 0.88 to 0.93: copying is as good as learning",
    ),
    _suzuki("i", 89),
    _suzuki("ii", 91),
    _suzuki("iii", 88),
    _suzuki("iv", 88),
    _oer("3496", 2121, "ni", "fe", "co", "mn", "ce", "la"),
    _oer("3851", 2119, "ni", "fe", "co", "ta", "mn", "cu"),
    _oer("3860", 2120, "sn", "fe", "co", "ta", "mn", "cu"),
    _oer("4098", 2121, "sn", "sb", "co", "ca", "ni", "mn"),
    Dataset(
        name="lnp",
        file="lnp/lnp3.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format("lnp3"),
        licence="MIT",
        citation=_HICKMAN,
        columns=(
            *_numbers("parameter", drug_input=""),
            *_texts("parameter", "solid_lipid"),
            *_numbers("parameter", solid_lipid_input="", liquid_lipid_input="", surfractant_input=""),
            Column("drug_loading", "target", goal="maximise"),
            Column("encap_efficiency", "target", goal="maximise"),
            Column("particle_diameter", "target", goal="minimise"),
        ),
        rows=768,
        sha256="6621b2cff5efeb8a928a196e4e95e76274ed3aa6471e3bc7856108d5c09ad1c2",
        note="the source gives no units; diameters of 0.4 to 3.6 are treated as dimensionless",
    ),
    Dataset(
        name="crossed-barrel",
        file="singles/Crossed_barrel_dataset.csv",
        repository=_PV_LAB,
        path="datasets/Crossed barrel_dataset.csv",
        licence="MIT",
        citation=_GONGORA,
        columns=(
            *_numbers("parameter", n="", theta="degree", r="mm", t="mm"),
            Column("toughness", "target", "J", goal="maximise"),
        ),
        rows=1800,
        sha256="2c01f875f3c210e986ca6142bf20f417884c2ad7d6f008c2fc574b44a3d5f606",
        note="600 designs, each made and tested three times",
    ),
    Dataset(
        name="p3ht",
        file="singles/P3HT_dataset.csv",
        repository=_PV_LAB,
        path="datasets/P3HT_dataset.csv",
        licence="MIT",
        citation=_BASH,
        columns=(
            *_numbers("parameter", **{f"{part} content (%)": "percent" for part in ("P3HT", "D1", "D2", "D6", "D8")}),
            Column("Conductivity (measured) (S/cm)", "target", "S/cm", goal="maximise"),
        ),
        rows=233,
        sha256="db33eeb63e3f09ebeb3c1985c14b39e4284668b3ed1fc6a23d17998c21a45dde",
        note="fractions sum to 99.9 to 100.1 % by rounding: give the composition a tolerance of 0.0015",
    ),
    Dataset(
        name="hplc",
        file="singles/hplc.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format("hplc"),
        licence="MIT",
        citation=_ROCH,
        columns=(
            *_numbers("parameter", sample_loop="mL", additional_volume="mL", tubing_volume="mL"),
            *_numbers("parameter", sample_flow="mL/min", push_speed="Hz", wait_time="s"),
            Column("peak_area", "target", goal="maximise"),
        ),
        rows=1386,
        sha256="15c553280c23363e7e884cfbee7732b16032c36fe5fd1437dba7e3693e33f99e",
        note="379 groups of repeated settings",
    ),
    Dataset(
        name="snar",
        file="singles/snar.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format("snar"),
        licence="MIT",
        citation=_SCHWEIDTMANN,
        columns=(
            *_numbers("parameter", residence_time="min", ratio="", concentration="mol/L", temperature="degC"),
            Column("impurity", "target", goal="minimise"),
        ),
        rows=66,
        sha256="50b99b630371004263ce886a2bfe0dd3b96c35f921a384a9cea334860d6b0068",
        note="the column is called impurity; the source's description calls it the E-factor (mass of waste per mass of product)",
    ),
    Dataset(
        name="benzylation",
        file="singles/benzylation.csv",
        repository=_OLYMPUS,
        path=_OLYMPUS_PATH.format("benzylation"),
        licence="MIT",
        citation=_SCHWEIDTMANN,
        columns=(
            *_numbers("parameter", flow_rate="mL/min", ratio="", solvent="", temperature="degC"),
            Column("impurity", "target", "percent", goal="minimise"),
        ),
        rows=73,
        sha256="6112150217e135682ba100f32ffc2875d49d9f973e8f8da1ebb5a42f9b3a2de5",
    ),
)

CATALOGUE: Final[Mapping[str, Dataset]] = {entry.name: entry for entry in _ENTRIES}
"""All known tables by name."""
