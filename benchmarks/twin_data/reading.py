"""Reads the data: files that others published, known by their sha256, in the folder that `ATHANOR_DATA` or `--data` names."""

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orchestrator.datasets import DATA_VARIABLE
from orchestrator.errors import BadInput

SHA256: Final[Mapping[str, str]] = {
    "protein_corona/particles.csv": "9cc9ecc9bc53a32a228e63e5531ace8d7b1f1cb1b931ee9a530d8537cc4fc084",
    "multi_fidelity/uvvis_tddft.csv": "3c8dd8ea0ac010db14f68faef84845ee114b5d665dbb6f8694dea7397a586161",
    "solids_levels/matbench_expt_pbe_gap.csv": "be14c6d3ba96a61c44fa1f77f84334f9574f071f244a683e9d8c61b9a3d0edf1",
    "perovskite_aging/aging_samples.csv": "e0a63be7e9448b460b30c46c05675bc2764e64eb2c4bf437df35c5453c7ebcce",
    "perovskite_crystallization/reactions.csv.gz": "e0e33c11feff8a114febe67510687f73a90932196503f2e1e7ed79d04844a6e2",
}
"""File below the data folder -> its hash: another version gives other figures."""
Rows = list[dict[str, str]]


def rows(name: str, data: Path | None = None) -> Rows:
    """Read a file's rows, as text by column.

    Args:
        name: One of `SHA256`.
        data: The data folder; without it the one that `ATHANOR_DATA` names.

    Raises:
        BadInput: No folder is named, or the file is missing or another one.
    """
    given = data if data is not None else os.environ.get(DATA_VARIABLE)
    if not given:
        raise BadInput(f"no data folder is named; give --data DIR or set {DATA_VARIABLE} to the folder that holds {name}")
    path = Path(given) / name
    if not path.is_file():
        raise BadInput(f"there is no {path}; docs/benchmarks/twins-on-recorded-data.md says where to get it")
    content = path.read_bytes()
    came = hashlib.sha256(content).hexdigest()
    if came != SHA256[name]:
        raise BadInput(f"{path} has sha256 {came}; expected {SHA256[name]}: another version gives other figures")
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))
