"""Where a ledger is, as people write it."""

import pytest

from orchestrator.errors import BadInput
from orchestrator.store.place import ServerLedger, read_address, schema_of


def test_a_url_names_a_ledger_with_its_schema_and_reads_back() -> None:
    place = ServerLedger("postgresql://ada@db.example:5432/lab?sslmode=verify-full", "athanor_0123456789ab", "id", "live")
    assert str(place) == "postgresql://ada@db.example:5432/lab?sslmode=verify-full&schema=athanor_0123456789ab"
    assert read_address(str(place), what="it") == (place.address, place.schema)
    assert read_address("postgresql:///lab?host=/var/run/postgresql", what="it") == ("postgresql:///lab?host=/var/run/postgresql", None)


def test_a_lab_has_a_schema_of_its_own() -> None:
    assert schema_of("01a22513-275f-7000-99f6-4c1e68edfed6") == "athanor_4c1e68edfed6"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ada:s3cret@db/lab",
        "postgresql://ada:s3cret@[::1/lab",
        "postgresql://ada@db/lab?password=s3cret",
        "postgresql://db/lab?sslpassword=s3cret",
        "mysql://ada:s3cret@db/lab",
        "ada:s3cret@db/lab",
        "postgresql:ada:s3cret@db/lab",
        "host=db user=ada password=s3cret dbname=lab",
        "postgresql://ada:s3cret/x@db/lab",
        "postgresql://ada:12/s3cret@db/lab",
        "postgresql://ada:12?s3cret@db/lab",
        "postgresql://ada:12#s3cret@db/lab",
        "postgresql://ada:s3cret℀@db/lab",
        "postgresql://ada@db/lab?p%61ssword=s3cret",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read_address(text, what="ATHANOR_LEDGER")
    assert "s3cret" not in str(refusal.value)
    assert str(refusal.value).startswith("ATHANOR_LEDGER")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://ada:s3cret@db/lab", "it: there is a password in the URL; take it out: a password stands in ~/.pgpass"),
        ("sqlite:///x", r"it begins with 'sqlite://'; expected postgresql://USER@HOST:PORT/DATABASE"),
        ("postgresql://ada@db:many/lab", r"it is no URL; expected postgresql://USER@HOST:PORT/DATABASE"),
        ("postgresql://db/lab?schema=My-Lab", "it: schema = 'My-Lab'; expected small letters, digits and _"),
        ("postgresql://db/lab?schema=", "it: schema = ''; expected small letters"),
        ("postgresql://db/lab?options=-c%20x", "it: options = '-c x' is not taken"),
    ],
)
def test_what_is_no_place_of_a_ledger_is_one_line(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_address(text, what="it")
