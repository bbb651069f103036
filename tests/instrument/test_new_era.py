"""The pump driver against transcripts (NE-1000 manual): sets are read back, a dose is sent once and decided by evidence."""

from pathlib import Path

import pytest

from instruments.drivers.new_era import NewEraPump
from instruments.drivers.new_era_protocol import pump_number
from instruments.drivers.protocol import Progress, Settings, StepVerdict
from instruments.transport.framing import safe_frame, safe_request
from instruments.transport.serial import SerialTransport
from orchestrator.errors import BadInput, DeviceError, LimitError, LinkError, ProtocolError, Sent
from orchestrator.safety import SetpointLimit
from tests.instrument.cases import CLOCK, call, pump_settings
from tests.instrument.peer import peer_on
from tests.instrument.scripted import ScriptedTransport
from tests.simulator.transcript import read_dialogues

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts" / "new_era.txt"
Lines = list[tuple[str, str | None]]
BASELINE = {"status": "S", "dispensed": 0.0, "cleared": True, "version": "NE1000V3.928", "wall": "2026-01-01T00:00:00+00:00"}
FOUND: Lines = [("VER", "SNE1000V3.928")]
PREPARED: Lines = [
    ("DIRINF", "S"),
    ("DIR", "SINF"),
    ("VOLML", "S"),
    ("VOL1.500", "S"),
    ("VOL", "S1.500ML"),
    ("CLDINF", "S"),
    ("DIS", "SI0.000W0.000ML"),
]


def _pump(*parts: Lines) -> tuple[NewEraPump, ScriptedTransport]:
    lines = [line for part in (FOUND, *parts) for line in part]
    pairs = [(f"1{command}\r".encode(), b"" if reply is None else f"\x0201{reply}\x03".encode()) for command, reply in lines]
    script = ScriptedTransport(pairs)
    return NewEraPump(script, pump_settings(), CLOCK), script


def test_the_manuals_safe_mode_dialogue_is_understood() -> None:
    dialogue = next(one for one in read_dialogues(TRANSCRIPTS) if one.name == "safe mode")
    wanted = (b"1SAF10\r", b"\x02\x081VER>\xbd\x03")
    printed = [pair for pair in dialogue.exchanges if pair[0] in wanted]
    program = [(safe_request(1, asked), safe_frame(b"01S" + said)) for asked, said in (("PHN2", b""), ("FUN", b"STP"), ("PHN1", b""))]
    script = ScriptedTransport([(b"1VER\r", b"\x0201SNE1000V3.928\x03"), *printed, *program])
    pump = NewEraPump(script, pump_settings(watchdog=10.0), CLOCK)
    pump.arm()
    script.finish()


def test_a_pump_in_safe_mode_that_is_silent_to_basic_packets_is_found_all_the_same() -> None:
    replies = [(safe_request(1, asked), safe_frame(b"01S" + said)) for asked, said in (("VER", b"NE1000V3.928"), ("RAT", b"2.000MM"))]
    script = ScriptedTransport([(b"1VER\r", b""), *replies])
    assert NewEraPump(script, pump_settings(), CLOCK).read(["flow_setpoint"])[0].value == 2.0
    script.finish()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([("PHN2", "S"), ("FUN", "SSTP"), ("PHN1", "S")], None),
        ([("PHN2", "A?R"), ("PHN2", "S"), ("FUN", "SSTP"), ("PHN1", "S")], None),
        ([("PHN2", "S?")], None),  # a model without a pumping program
        ([("PHN2", "I?NA")], None),  # somebody's dose is running
        ([("PHN2", "S"), ("FUN", "SRAT"), ("PHN1", "S")], "pump_cd: phase 2 of its pumping program is RAT, so that no dose would end"),
        ([("PHN2", "S"), ("FUN", "SLOP05"), ("PHN1", "S")], "is LOP05"),
    ],
)
def test_a_pumping_program_that_goes_on_after_a_volume_is_refused(lines: Lines, words: str | None) -> None:
    pump, script = _pump([("VER", "SNE1000V3.928")], lines)
    if words is None:
        pump.arm()
    else:
        with pytest.raises(DeviceError, match=words) as caught:
            pump.arm()
        assert caught.value.sent is Sent.NO
    script.finish()


@pytest.mark.parametrize(
    ("told", "words"), [("26.59", None), ("26.60", "a syringe of 26.6 mm; the bench file expects options.diameter = 26.59 mm")]
)
def test_the_syringe_that_the_pump_counts_with_is_the_one_of_the_bench_file(told: str, words: str | None) -> None:
    settings = Settings("pump_cd", address=1, options={"diameter": "26.59 mm"})
    NewEraPump.check_settings(settings)
    script = ScriptedTransport(
        [(f"1{asked}\r".encode(), f"\x0201S{said}\x03".encode()) for asked, said in [*[("VER", "NE1000V3.928")] * 2, ("DIA", told)]]
    )
    pump = NewEraPump(script, settings, CLOCK)
    if words is None:
        assert pump.identify().model == "NE1000"
    else:
        with pytest.raises(DeviceError, match=words):
            pump.identify()
    script.finish()


@pytest.mark.parametrize(
    ("diameter", "words"), [("3 bar", "options.diameter"), ("60 mm", "options.diameter = 60 mm; allowed 0.1 to 50 mm")]
)
def test_a_syringe_that_no_pump_takes_is_refused_before_any_wire_is_opened(diameter: str, words: str) -> None:
    with pytest.raises((BadInput, LimitError), match=words):
        NewEraPump.check_settings(Settings("pump_cd", address=1, options={"diameter": diameter}))


def test_a_flow_is_set_read_back_and_returned_as_sent() -> None:
    pump, script = _pump([("RAT1.235MM", "S"), ("RAT", "S1.235MM")])
    assert pump.perform(call("set_flow", flow=1.23456)) == {"flow": 1.235}
    script.finish()


def test_a_flow_that_is_acknowledged_and_ignored_is_an_error() -> None:
    pump, _ = _pump([("RAT1.500MM", "S"), ("RAT", "S1.000MM")])
    with pytest.raises(DeviceError, match=r"acknowledged flow 1\.500 mL/min but reads back 1 mL/min") as caught:
        pump.perform(call("set_flow", flow=1.5))
    assert caught.value.sent is Sent.YES


def test_a_readback_in_other_units_is_converted() -> None:
    pump, _ = _pump([("RAT1.500MM", "S"), ("RAT", "S1500.UM")])
    assert pump.perform(call("set_flow", flow=1.5)) == {"flow": 1.5}


def test_a_refusal_is_named() -> None:
    pump, _ = _pump([("RAT1.500MM", "S?OOR")])
    with pytest.raises(DeviceError, match="out of range"):
        pump.perform(call("set_flow", flow=1.5))


@pytest.mark.parametrize(("flow", "word"), [(12.0, "allowed 0.001 to 10"), (0.0, "allowed"), (float("nan"), "finite"), ("fast", "finite")])
def test_a_flow_outside_bench_file_or_data_sheet_never_reaches_the_wire(flow: float | str, word: str) -> None:
    pump, script = _pump()
    with pytest.raises(LimitError, match=word) as caught:
        pump.perform(call("set_flow", flow=flow))
    assert caught.value.sent is Sent.NO
    with pytest.raises(LimitError, match="no command"):
        pump.perform(call("fly"))
    with pytest.raises(LimitError, match="no argument"):
        pump.perform(call("set_flow", flow=1.0, colour="red"))
    with pytest.raises(LimitError, match="needs the argument"):
        pump.perform(call("set_flow"))
    with pytest.raises(AssertionError, match="never asked"):
        script.finish()


def test_a_flow_that_misses_its_limit_by_rounding_alone_is_sent_as_the_gate_allows_it() -> None:
    pump, script = _pump([("RAT0.001MM", "S"), ("RAT", "S0.001MM")])
    assert SetpointLimit(0.001, 10.0, "mL/min").allows(0.001 - 5e-12)
    assert pump.perform(call("set_flow", flow=0.001 - 5e-12)) == {"flow": 0.001}
    with pytest.raises(LimitError, match="allowed"):
        pump.perform(call("set_flow", flow=0.001 - 5e-8))
    script.finish()


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123"), (9.9999, "10.00"), (12.345, "12.35"), (123.45, "123.5"), (1234.4, "1234")])
def test_numbers_have_at_most_four_digits(value: float, text: str) -> None:
    assert pump_number(value) == text


def test_a_dose_is_prepared_read_back_and_run_once() -> None:
    pump, script = _pump(PREPARED, [("RUN", "I"), ("DIS", "II0.012W0.000ML")])
    assert pump.perform(call("dose", volume=1.5)) == {"volume": 1.5}
    script.finish()


def test_a_dose_whose_reply_is_lost_is_never_run_again() -> None:
    pump, script = _pump(PREPARED, [("RUN", None)])
    with pytest.raises(LinkError) as caught:
        pump.perform(call("dose", volume=1.5))
    assert caught.value.sent is Sent.MAYBE
    script.finish()


def test_a_run_that_is_acknowledged_and_ignored_is_an_error() -> None:
    pump, _ = _pump(PREPARED, [("RUN", "S"), ("DIS", "SI0.000W0.000ML")])
    with pytest.raises(DeviceError, match="acknowledged RUN but is stopped"):
        pump.perform(call("dose", volume=1.5))


def test_a_run_that_arrives_damaged_may_be_sent_after_reconciliation() -> None:
    pump, _ = _pump(PREPARED, [("RUN", "S?COM")])
    with pytest.raises(ProtocolError) as caught:
        pump.perform(call("dose", volume=1.5))
    assert caught.value.sent is Sent.MAYBE


def test_an_alarm_while_a_dose_is_prepared_keeps_it_from_starting() -> None:
    pump, script = _pump([("DIRINF", "A?R")])
    with pytest.raises(DeviceError, match="was reset") as caught:
        pump.perform(call("dose", volume=1.5))
    assert caught.value.sent is Sent.NO
    script.finish()


def test_the_baseline_of_a_dose_clears_the_totaliser_first() -> None:
    pump, script = _pump([("DIS", "SI1.500W0.000ML"), ("VER", "SNE1000V3.928"), ("CLDINF", "S"), ("DIS", "SI0.000W0.000ML")])
    baseline = pump.baseline(call("dose", volume=1.5))
    assert (baseline["dispensed"], baseline["cleared"], baseline["status"]) == (0.0, True, "S")
    script.finish()


def test_a_totaliser_that_does_not_clear_is_an_error() -> None:
    pump, _ = _pump([("DIS", "SI1.500W0.000ML"), ("VER", "SNE1000V3.928"), ("CLDINF", "S"), ("DIS", "SI1.500W0.000ML")])
    with pytest.raises(DeviceError, match="acknowledged CLDINF"):
        pump.baseline(call("dose", volume=1.5))


RECONCILED: list[tuple[Lines, StepVerdict]] = [
    ([("DIS", "SI0.000W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")], StepVerdict.NOT_EXECUTED),
    ([("DIS", "SI1.500W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")], StepVerdict.FINISHED),
    ([("DIS", "SI1.488W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")], StepVerdict.FINISHED),
    ([("DIS", "II0.700W0.000ML"), ("VOL", "I1.500ML"), ("VER", "INE1000V3.928")], StepVerdict.RUNNING),
    ([("DIS", "II0.700W0.000ML"), ("VOL", "I9.000ML"), ("VER", "INE1000V3.928")], StepVerdict.UNDECIDABLE),
    ([("DIS", "SI0.700W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")], StepVerdict.UNDECIDABLE),
    ([("DIS", "PI0.700W0.000ML"), ("VOL", "P1.500ML"), ("VER", "PNE1000V3.928")], StepVerdict.UNDECIDABLE),
    ([("DIS", "SI0.000W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V4.000")], StepVerdict.UNDECIDABLE),
    ([("DIS", "A?R"), ("DIS", "SI0.000W0.000ML"), ("VOL", "S1.500ML")], StepVerdict.UNDECIDABLE),
    ([("DIS", "A?S"), ("DIS", "SI0.000W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")], StepVerdict.UNDECIDABLE),
]


@pytest.mark.parametrize(("lines", "verdict"), RECONCILED)
def test_a_dose_is_decided_by_totaliser_and_run_state(lines: Lines, verdict: StepVerdict) -> None:
    pump, script = _pump(lines)
    assert pump.reconcile(call("dose", volume=1.5), BASELINE).verdict is verdict
    if "R" not in str(lines):
        script.finish()


def test_a_reset_before_the_pump_was_identified_is_remembered_by_reconciliation() -> None:
    script = ScriptedTransport(
        [
            (b"1VER\r", b"\x0201A?R\x03"),
            (b"1VER\r", b"\x0201SNE1000V3.928\x03"),
            (b"1VER\r", b"\x0201SNE1000V3.928\x03"),
            (b"1DIS\r", b"\x0201SI0.000W0.000ML\x03"),
            (b"1VOL\r", b"\x0201S1.500ML\x03"),
        ]
    )
    pump = NewEraPump(script, pump_settings(), CLOCK)
    pump.identify()
    assert pump.reconcile(call("dose", volume=1.5), BASELINE).verdict is StepVerdict.UNDECIDABLE


def test_an_uncleared_baseline_never_proves_that_nothing_happened() -> None:
    pump, _ = _pump([("DIS", "SI1.500W0.000ML"), ("VOL", "S1.500ML"), ("VER", "SNE1000V3.928")])
    baseline = {**BASELINE, "cleared": False, "dispensed": 1.5}
    assert pump.reconcile(call("dose", volume=1.5), baseline).verdict is StepVerdict.UNDECIDABLE


@pytest.mark.parametrize(
    ("lines", "progress", "code"),
    [
        ([("DIS", "II0.7W0.0ML")], Progress.RUNNING, None),
        ([("DIS", "II1.512W0.0ML")], Progress.RUNNING, None),
        ([("DIS", "II1.530W0.0ML")], Progress.FAILED, "beyond-its-volume"),
        ([("DIS", "II1530.W0.0UL")], Progress.FAILED, "beyond-its-volume"),
        ([("DIS", "SI1.500W0.0ML")], Progress.FINISHED, "completed"),
        ([("DIS", "SI0.700W0.0ML")], Progress.FAILED, "stopped-short"),
        ([("DIS", "PI0.700W0.0ML")], Progress.FAILED, "paused"),
        ([("DIS", "A?S"), ("DIS", "SI0.700W0.0ML")], Progress.FAILED, "stalled"),
        ([("DIS", "A?R"), ("DIS", "SI0.000W0.0ML")], Progress.FAILED, "reset"),
        ([("DIS", "A?T"), ("DIS", "SI1.500W0.0ML")], Progress.FINISHED, "completed"),
    ],
)
def test_an_outcome_is_told_by_volume_and_alarm(lines: Lines, progress: Progress, code: str | None) -> None:
    pump, script = _pump(lines)
    outcome = pump.outcome(call("dose", volume=1.5), BASELINE)
    assert (outcome.progress, outcome.code) == (progress, code)
    script.finish()


def test_an_alarm_during_a_reading_is_an_error_once() -> None:
    pump, _ = _pump([("RAT", "A?R"), ("RAT", "S1.000MM"), ("RAT", "S1.000MM")])
    with pytest.raises(DeviceError, match="was reset"):
        pump.read(["flow_setpoint"])
    assert pump.read(["flow_setpoint"])[0].value == 1.0


@pytest.mark.parametrize(("prompt", "flow"), [("I", 2.5), ("W", -2.5), ("S", 0.0), ("P", 0.0), ("T", 0.0), ("U", 0.0), ("X", 0.0)])
def test_the_flow_is_what_the_pump_delivers_and_the_programmed_rate_has_a_channel_of_its_own(prompt: str, flow: float) -> None:
    pump, script = _pump([("RAT", f"{prompt}2.500MM")] * 2)
    assert [reading.value for reading in pump.read(["flow", "flow_setpoint"])] == [flow, 2.5]
    script.finish()


def test_after_an_alarm_nothing_flows() -> None:
    pump, _ = _pump([("RAT", "A?S"), ("RAT", "S2.500MM"), ("RAT", "S2.500MM")])
    with pytest.raises(DeviceError, match="stalled"):
        pump.read(["flow"])
    assert pump.read(["flow"])[0].value == 0.0


def test_a_serial_number_that_no_pump_tells_is_refused_in_the_bench_file() -> None:
    settings = Settings("pump_cd", address=1, serial_number="7")
    with pytest.raises(BadInput, match="pump_cd: serial_number = '7', but a New Era pump tells none"):
        NewEraPump.check_settings(settings)
    with pytest.raises(DeviceError, match="expects 7"):
        NewEraPump(_pump(FOUND)[1], settings, CLOCK).identify()


def test_a_query_is_asked_again_in_step_after_a_time_out() -> None:
    pump, script = _pump([("RAT", None), ("VER", "SNE1000V3.928"), ("RAT", "S2.000MM")])
    (reading,) = pump.read(["flow_setpoint"])
    assert (reading.value, reading.unit, reading.raw) == (2.0, "mL/min", b"\x0201S2.000MM\x03")
    script.finish()


def test_a_dead_pump_is_said_to_be_dead_and_nothing_was_sent() -> None:
    script = ScriptedTransport([(b"1VER\r", b""), (b"\x02\x081VER>\xbd\x03", b""), (b"\r1VER\r", b"")])
    with pytest.raises(LinkError, match="does not answer VER in either mode") as caught:
        NewEraPump(script, pump_settings(), CLOCK).perform(call("set_flow", flow=1.0))
    assert caught.value.sent is Sent.NO
    script.finish()


def test_stop_pauses_and_stops() -> None:
    pump, script = _pump([("STP", "P"), ("DIS", "PI0.2W0.0ML"), ("STP", "S"), ("DIS", "SI0.2W0.0ML")])
    pump.make_safe("stop")
    script.finish()


def test_a_stop_that_is_ignored_is_an_error() -> None:
    pump, _ = _pump([("STP", "I"), ("DIS", "II0.2W0.0ML")] * 3)
    with pytest.raises(DeviceError, match="acknowledged STP but is infusing"):
        pump.make_safe("stop")


def test_a_model_that_the_bench_file_does_not_name_is_refused() -> None:
    script = ScriptedTransport([(b"1VER\r", b"\x0201SNE1000V3.928\x03")] * 2)
    with pytest.raises(DeviceError, match="expects NE500"):
        NewEraPump(script, Settings("pump_cd", address=1, model="NE500"), CLOCK).identify()


def test_a_pump_needs_an_address_and_a_watchdog_it_can_keep() -> None:
    with pytest.raises(BadInput, match="address"):
        NewEraPump(ScriptedTransport([]), Settings("pump_cd"), CLOCK)
    with pytest.raises(BadInput, match="255"):
        NewEraPump(ScriptedTransport([]), pump_settings(watchdog=300.0), CLOCK)


def test_a_late_acknowledgement_is_not_taken_for_that_of_the_next_command(tmp_path: Path) -> None:
    replies = {b"1VER\r": b"SNE1000V3.928", b"1RAT1.500MM\r": b"S", b"1RAT\r": b"S1.500MM"}
    delays = iter([0.0, 0.9])
    with peer_on(tmp_path / "tty", lambda request: [(next(delays, 0.0), b"\x0201" + replies[request] + b"\x03")]) as peer:
        pump = NewEraPump(SerialTransport(str(tmp_path / "tty")), pump_settings(), CLOCK)
        assert pump.perform(call("set_flow", flow=1.5)) == {"flow": 1.5}
        pump.close()
    assert peer.heard == [b"1VER\r", b"1RAT1.500MM\r", b"1VER\r", b"1RAT1.500MM\r", b"1RAT\r"]
