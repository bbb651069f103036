"""A logger of the room: it reads what the weather of the plant beside it is, and what no result tells."""

from athanor.drivers import Driver, Identity, channel
from simulators.diary import Diary


class Logger(Driver):
    """Reads the protein in the cells' medium and the temperature of the room."""

    LINKS = ()

    def identify(self) -> Identity:
        """Say what it is."""
        return self.expected(Identity("Diary", "1", None, None))

    @property
    def diary(self) -> Diary:
        """The plant's own."""
        return Diary(self.settings.programs / "truth.jsonl", seed=12)

    @channel("g/L", low=0.0)
    def protein(self) -> float:
        """Protein in the medium."""
        return self.diary.protein

    @channel("degC")
    def room_temperature(self) -> float:
        """Temperature of the room."""
        return self.diary.room
