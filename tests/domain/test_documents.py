import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.domain.documents import read_line, read_reading, write_line, write_reading
from orchestrator.domain.records import Reading

READING = Reading(
    step=2,
    instrument="lamp",
    channel="Sample",
    unit="counts",
    quality="uncertain",
    wall=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    lab=3.25,
    array=(1.0, 0.1 + 0.2),
    raw=b"\x02\xff\x00",
    sha256="c0",
    seq=7,
)


@pytest.mark.parametrize("one", [READING, replace(READING, array=None, value=-1e-300, raw=b""), replace(READING, array=None, text="E02")])
def test_a_reading_travels_and_comes_back(one: Reading) -> None:
    assert read_line(write_line(one)) == one
    assert read_reading(json.loads(json.dumps(write_reading(one))), seq=one.seq, raw=one.raw) == one


def test_what_travels_has_the_names_that_the_interface_promises() -> None:
    line = json.loads(write_line(READING))
    names = "seq step instrument channel value array text unit quality wall lab_s raw sha256"
    assert sorted(line) == sorted(names.split())
    assert (line["lab_s"], line["raw"], line["wall"]) == (3.25, "Av8A", "2026-01-02T03:04:05.000678+00:00")


def test_numbers_that_json_lacks_are_read_by_name() -> None:
    document = write_reading(READING) | {"value": "-inf", "array": ["inf", 2.0]}
    found = read_reading(document, seq=1, raw=b"")
    assert (found.value, found.array) == (float("-inf"), (float("inf"), 2.0))


def test_the_moment_is_written_in_utc() -> None:
    later = replace(READING, wall=READING.wall.astimezone(timezone(timedelta(hours=2))))
    assert write_reading(later) == write_reading(READING)


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"raw": "?"}', "null"])
def test_what_is_no_reading_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        read_line(line)
