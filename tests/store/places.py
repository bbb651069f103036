"""The place of a ledger as a word on a command line."""

from pathlib import Path

from orchestrator.store.place import LedgerPlace, ServerLedger, read_address


def read_place(text: str) -> LedgerPlace:
    """Read what `str` makes of a place of these tests."""
    if "://" not in text:
        return Path(text)
    address, schema = read_address(text, what="a test")
    assert schema is not None
    return ServerLedger(address, schema, "a-lab", "dry")


def numbered(place: LedgerPlace, number: int) -> LedgerPlace:
    """Return the place of one ledger of several."""
    if isinstance(place, Path):
        return place.with_name(f"{number:02}.sqlite")
    return ServerLedger(place.address, f"{place.schema}_{number:02}", place.lab, place.kind)
