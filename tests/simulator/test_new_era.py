"""The syringe pump: the manual's dialogues, doses that end by themselves, the safe mode's time-out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clock import Moment
from simulators.new_era import NewEraLine, four_digits, parse_number, safe_packet, split_packets
from simulators.syringe_pump import Alarm, Motion, SyringePump
from simulators.truth import PhysicalEvent
from tests.simulator.transcript import Dialogue, read_dialogues

DIALOGUES = read_dialogues(Path(__file__).parent.parent / "transcripts" / "new_era.txt")


class Rig:
    """Pumps 1 and 2 on a line, and a hand on both clocks."""

    def __init__(self) -> None:
        self.events: list[PhysicalEvent] = []
        self.pumps = {address: SyringePump(f"pump {address}", self.events.append) for address in (1, 2)}
        self.line = NewEraLine(self.pumps)
        self.lab = self.wall = 0.0

    @property
    def now(self) -> Moment:
        return Moment(self.lab, self.wall)

    def send(self, data: bytes) -> bytes:
        return b"".join(request.execute(self.now) for request in self.line.feed(data, self.now))

    def ask(self, command: str) -> str:
        return self.send(command.encode() + b"\r").decode("latin-1")

    def wait(self, lab: float, wall: float = 0.0) -> None:
        self.lab += lab
        self.wall += wall
        for pump in self.pumps.values():
            pump.advance(self.now)

    def ready(self) -> "Rig":
        for pump in self.pumps.values():
            pump.alarm = None
        return self


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.name)
def test_the_pump_answers_as_in_the_transcript(dialogue: Dialogue) -> None:
    rig = Rig()
    for sent, answer in dialogue.exchanges:
        assert rig.send(sent) == answer, sent


def test_the_packet_that_leaves_safe_mode_is_the_one_printed_in_the_manual() -> None:
    assert safe_packet("SAF0") == b"\x02\x08SAF0\x55\x43\x03"


def test_a_dose_ends_by_itself_after_its_volume() -> None:
    rig = Rig().ready()
    for command in ("1RAT0.5MM", "1VOL2", "1RUN"):
        rig.ask(command)
    rig.wait(lab=60.0)
    assert rig.ask("1DIS") == "\x0201II0.500W0.000ML\x03"
    rig.wait(lab=10_000.0)
    assert rig.ask("1DIS") == "\x0201SI2.000W0.000ML\x03"
    end = rig.events[-1]
    assert (end.event, end.values["phase"]) == ("dose", "end")
    assert end.t == pytest.approx(240.0)
    assert end.values["volume_ml"] == pytest.approx(2.0)


def test_a_rate_changed_while_running_moves_the_end_of_the_dose() -> None:
    rig = Rig().ready()
    for command in ("1RAT1MM", "1VOL2", "1RUN"):
        rig.ask(command)
    rig.wait(lab=60.0)
    rig.ask("1RAT0.5MM")
    assert rig.pumps[1].ends_at == pytest.approx(180.0)


def test_a_run_without_volume_goes_on() -> None:
    rig = Rig().ready()
    rig.ask("1RAT1MM")
    rig.ask("1RUN")
    rig.wait(lab=600.0)
    assert rig.ask("1DIS") == "\x0201II10.00W0.000ML\x03"


def test_a_pumping_program_with_a_second_phase_pumps_on_after_the_volume() -> None:
    rig = Rig().ready()
    for command in ("1PHN2", "1FUNRAT", "1PHN1", "1RAT1MM", "1VOL2", "1RUN"):
        rig.ask(command)
    rig.wait(lab=300.0)
    assert rig.ask("1DIS") == "\x0201II5.000W0.000ML\x03"
    assert [event.values["phase"] for event in rig.events if event.event == "dose"] == ["start", "goes on"]


def test_a_dose_in_microlitres_is_the_same_liquid() -> None:
    rig = Rig().ready()
    for command in ("1VOLUL", "1VOL750", "1RAT500UM", "1RUN"):
        rig.ask(command)
    assert rig.pumps[1].ends_at == pytest.approx(90.0)
    rig.wait(lab=100.0)
    assert rig.ask("1DIS") == "\x0201SI750.0W0.000UL\x03"
    assert rig.pumps[1].infused == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("diameter", "legal", "illegal"),
    [
        ("26.59", ("28.32MM", "1699MH", "0.390UM", "23.36UH"), ("28.33MM", "0.389UM")),
        ("14.43", ("8.341MM", "0.115UM"), ("8.342MM", "0.114UM")),
    ],
)
def test_the_syringe_says_how_fast_the_pump_can_go(diameter: str, legal: tuple[str, ...], illegal: tuple[str, ...]) -> None:
    rig = Rig().ready()
    rig.ask(f"1DIA{diameter}")
    assert [rig.ask(f"1RAT{rate}") for rate in legal] == ["\x0201S\x03"] * len(legal)
    assert [rig.ask(f"1RAT{rate}") for rate in illegal] == ["\x0201S?OOR\x03"] * len(illegal)


def test_stop_pauses_and_run_goes_on_with_what_is_left() -> None:
    rig = Rig().ready()
    for command in ("1RAT1MM", "1VOL3", "1RUN"):
        rig.ask(command)
    rig.wait(lab=60.0)
    assert rig.ask("1STP") == "\x0201P\x03"
    rig.wait(lab=600.0)
    rig.ask("1RUN")
    rig.wait(lab=600.0)
    assert rig.ask("1DIS") == "\x0201SI3.000W0.000ML\x03"
    assert [event.values["volume_ml"] for event in rig.events if event.values.get("phase") == "end"] == pytest.approx([1.0, 3.0])


def test_clearing_sets_the_total_to_zero_and_a_second_dose_counts_from_there() -> None:
    rig = Rig().ready()
    for command in ("1RAT6MM", "1VOL1", "1RUN"):
        rig.ask(command)
    rig.wait(lab=20.0)
    rig.ask("1CLDINF")
    rig.ask("1RUN")
    rig.wait(lab=5.0)
    assert rig.ask("1DIS") == "\x0201II0.500W0.000ML\x03"


def test_silence_in_safe_mode_stops_the_pump_and_raises_the_time_out_alarm() -> None:
    rig = Rig().ready()
    rig.ask("1RAT1MM")
    rig.ask("1SAF5")
    rig.send(safe_packet("1RUN"))
    rig.wait(lab=30.0, wall=4.9)
    assert rig.pumps[1].motion is Motion.INFUSING
    rig.wait(lab=1.0, wall=0.2)
    assert (rig.pumps[1].motion, rig.pumps[1].alarm) == (Motion.STOPPED, Alarm.TIME_OUT)
    assert rig.events[-1].event == "safe-state"
    assert rig.events[-1].values["cause"] == "watchdog"
    assert rig.send(safe_packet("1")) == safe_packet("01A?T")
    assert rig.send(safe_packet("1")) == safe_packet("01S")


def test_packets_to_another_pump_do_not_feed_this_ones_time_out() -> None:
    rig = Rig().ready()
    rig.ask("1SAF5")
    for _ in range(6):
        rig.wait(lab=0.0, wall=1.0)
        rig.ask("2VER")
    assert rig.pumps[1].alarm is Alarm.TIME_OUT


def test_the_time_out_starts_anew_only_with_the_next_packet() -> None:
    rig = Rig().ready()
    rig.ask("1SAF5")
    rig.wait(lab=0.0, wall=6.0)
    rig.pumps[1].alarm = None
    rig.wait(lab=0.0, wall=60.0)
    assert rig.pumps[1].alarm is None
    rig.send(safe_packet("1"))
    rig.wait(lab=0.0, wall=6.0)
    assert rig.pumps[1].alarm is Alarm.TIME_OUT


def test_a_power_cut_ends_the_dose_and_clears_the_totals_but_keeps_rate_and_volume() -> None:
    rig = Rig().ready()
    for command in ("1RAT1MM", "1VOL5", "1RUN"):
        rig.ask(command)
    rig.wait(lab=60.0)
    rig.pumps[1].power_cycle(rig.now)
    assert rig.ask("1DIS") == "\x0201A?R\x03"
    assert rig.ask("1DIS") == "\x0201SI0.000W0.000ML\x03"
    assert rig.ask("1VOL") == "\x0201S5.000ML\x03"


def test_a_stalled_motor_stops_with_an_alarm() -> None:
    rig = Rig().ready()
    rig.ask("1RUN")
    rig.pumps[1].stall(rig.now)
    assert rig.ask("1RUN") == "\x0201A?S\x03"
    assert rig.pumps[1].motion is Motion.STOPPED


def test_an_unfinished_packet_is_forgotten_after_half_a_second() -> None:
    rig = Rig().ready()
    assert rig.send(b"1RA") == b""
    rig.wait(lab=0.0, wall=0.6)
    assert rig.ask("1VER") == "\x0201SNE1000V3.928\x03"


def test_the_flow_history_shows_what_really_left_the_syringe() -> None:
    rig = Rig().ready()
    for command in ("1RAT2MM", "1VOL1", "1RUN"):
        rig.ask(command)
    rig.wait(lab=100.0)
    flow = rig.pumps[1].flow
    assert [flow.held(t) for t in (0.0, 29.0, 31.0)] == [2.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (0.123, "0.123"), (1.234, "1.234"), (9.9996, "10.00"), (12.345, "12.35"), (123.44, "123.4"), (1234.0, "1234.")],
)
def test_numbers_are_written_with_four_digits_at_most(value: float, text: str) -> None:
    assert four_digits(value) == text


@given(st.floats(min_value=0.001, max_value=9999.0))
def test_a_written_number_is_read_back_within_its_last_digit(value: float) -> None:
    read = parse_number(four_digits(value))
    assert read is not None
    assert abs(read - value) <= max(0.0006, 0.0006 * value)


@given(st.lists(st.sampled_from(["1VER", "1RAT5MM", "2DIS", "1"]), min_size=1, max_size=5), st.data())
def test_packets_are_found_whatever_the_chunks(commands: list[str], data: st.DataObject) -> None:
    stream = b"".join(safe_packet(command) if data.draw(st.booleans()) else command.encode() + b"\r" for command in commands)
    cut = data.draw(st.integers(min_value=0, max_value=len(stream)))
    first, rest = split_packets(stream[:cut])
    second, left = split_packets(rest + stream[cut:])
    assert [packet.text for packet in first + second] == commands
    assert left == b""
