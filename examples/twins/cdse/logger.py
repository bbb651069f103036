"""A logger of the room: it reads what the weather of the plant beside it is, and what no result tells."""

from athanor.drivers import Driver, Identity, channel
from simulators.diary import Diary


class Logger(Driver):
    """Reads humidity and temperature of the room."""

    LINKS = ()

    def identify(self) -> Identity:
        """Say what it is."""
        return self.expected(Identity("Diary", "1", None, None))

    @property
    def diary(self) -> Diary:
        """The plant's own."""
        return Diary(self.settings.programs / "truth.jsonl", seed=11)

    @channel("percent", low=0.0, high=100.0)
    def humidity(self) -> float:
        """Relative humidity."""
        return self.diary.humidity

    @channel("degC")
    def room_temperature(self) -> float:
        """Temperature of the room."""
        return self.diary.room
