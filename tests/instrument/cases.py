"""What several instrument tests share."""

from instruments.drivers.protocol import Call, Limit, Settings
from orchestrator.clock import LiveClock

CLOCK = LiveClock()
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def call(command: str, position: str | None = None, **arguments: float | str) -> Call:
    return Call(command, arguments, RUN, "campaign", position)


def pump_settings(address: int = 1, watchdog: float | None = None) -> Settings:
    return Settings("pump_cd", address=address, limits={"flow": Limit(0.0, 10.0)}, watchdog=watchdog)


def oven_settings(model: str | None = None, watchdog: float | None = None) -> Settings:
    limits = {"temperature": Limit(20.0, 280.0)}
    return Settings("oven", address=1, model=model, limits=limits, watchdog=watchdog)


def platform_settings(serial_number: str | None = None, watchdog: float | None = None) -> Settings:
    options = {"device": "SynthesisPlatform", "unit": "Analyser"}
    return Settings("platform", serial_number=serial_number, watchdog=watchdog, options=options)
