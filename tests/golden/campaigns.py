"""The campaigns of the golden lab `desk`: each shows some of what a ledger can hold.

All goes through the application's own code (loop, desk, command line), but for what `by_hand` writes.
"""

import time
from pathlib import Path
from typing import Final

from orchestrator.clock import LiveClock
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import MeasurementStatus, RunStatus
from orchestrator.domain.records import CampaignRecord
from orchestrator.domain.review import ReviewRequest, ReviewRun
from orchestrator.errors import StoreError
from tests.golden.desk import Desk
from tests.golden.one_pot import GP, RANDOM, SOBOL, Ending, OnePot

NEVER: Final = '[review]\nmode = "never"\n'
ALWAYS: Final = '[review]\nmode = "always"\n'
_CANDIDATES: Final = "T,tau\n205,40\n215,60\n225,80\n235,50\n245,100\n"
_R: Final = RunStatus


def write_all(folder: Path) -> Desk:
    """Carry all campaigns out in a new lab."""
    desk = Desk.new(folder)
    plain(desk)
    gaussian_process(desk)
    table(desk)
    for name in ("Ada", "Ben", "Dee", "Eve"):
        desk.register(name)
    asked(desk)
    deadlines(desk)
    rules(desk)
    amended(desk)
    amended_while_asked(desk)
    stopped(desk)
    thirsty(desk)
    lost(desk)
    aborted(desk)
    left(desk)
    waiting(desk)
    by_hand(desk)
    return desk


def plain(desk: Desk) -> None:
    """Every way in which a run ends, no people, two replicates, values in doubt."""
    desk.write("plain", "budget = 10\nbatch = 2\nreplicates = 2", RANDOM + NEVER)
    endings = {
        1: Ending(_R.FAILED, {"not_executed": "the oven did not answer before anything was dosed"}),
        2: Ending(_R.FAILED),
        3: Ending(_R.INFEASIBLE),
        5: Ending(read={"pump.flow": (None, "good")}),
        6: Ending(read={"cell.yield": (float("nan"), "good")}),
        7: Ending(read={"cell.purity": (0.5, "uncertain")}),
        8: Ending(_R.ABORTED),
    }
    ended = desk.sit("plain", OnePot(endings))
    assert ended is not None
    assert ended.status == "finished", ended


def gaussian_process(desk: Desk) -> None:
    """A space-filling design, then a Gaussian process, paused and resumed by hand between."""
    desk.write("gp", "budget = 7\nbatch = 2", GP + NEVER)
    desk.sit("gp", OnePot({1: Ending(meanwhile=lambda: void(desk.type("pause", "gp", "--by", "Ada", "--reason", "lunch")))}))
    desk.type("resume", "gp", "--by", "Ada", "--reason", "lunch is over")
    ended = desk.sit("gp")
    assert ended is not None
    assert ended.reason.startswith("budget spent"), ended


def table(desk: Desk) -> None:
    """A candidate table, whose rows run out before the budget."""
    (desk.folder / "candidates.csv").write_text(_CANDIDATES)
    more = '[candidates]\nfile = "candidates.csv"\n' + GP + NEVER
    desk.write("table", "budget = 9", more)
    ended = desk.sit("table")
    assert ended is not None
    assert ended.reason == "nothing is left to propose", ended


def asked(desk: Desk) -> None:
    """People who approve, edit, refuse, suggest, restrict and sign in pairs; answers that do not count."""
    desk.write("asked", "budget = 7\nbatch = 2", GP + ALWAYS, highest=260)

    def first(request: ReviewRequest) -> None:
        desk.refused("review", "decide", "1", "--approve-rest", "--by", "Ada", "--code", "wrong", "--campaign", "asked")
        desk.type("people", "revoke", "Eve", "--reason", "has left", "--by", "Ada")
        desk.refused("review", "decide", "1", "--approve-rest", "--by", "Eve", "--code", next(desk.codes["Eve"]), "--campaign", "asked")
        desk.type("suggest", "asked", "--set", "T=255 degC", "--set", "tau=60 s", "--by", "Cyd", "--reason", "beyond the ridge")
        desk.answer_in_page(request, "Ada", T=999.0)  # refused when it is carried out, and asked again

    def second(request: ReviewRequest) -> None:
        desk.decide(request, "Ada", "--approve", "1", "--reject", "2=too hot", "--comment", "the left one first")
        desk.refused("review", "decide", str(request.number), "--approve-rest", "--by", "Ben", "--code", "late", "--campaign", "asked")

    def signed(request: ReviewRequest) -> None:
        desk.decide(request, "Ben", "--approve", "3")

    def signed_twice(request: ReviewRequest) -> None:
        again = ("--by", "Ben", "--code", next(desk.codes["Ben"]), "--campaign", "asked")
        desk.refused("review", "decide", str(request.number), "--approve-rest", *again)
        desk.decide(request, "Dee", "--approve-rest")

    def edited(request: ReviewRequest) -> None:
        number = request.asked[0].number
        desk.type("constrain", "asked", "--set", "T=..245 degC", "--by", "Ada", "--reason", "the seal softens")
        desk.type("constrain", "asked", "--set", "tau=60 s", "--batches", "1", "--by", "Ben")
        desk.type("constrain", "asked", "--lift", "3", "--by", "Ben", "--reason", "a slip")
        desk.decide(request, "Ada", "--set", f"{number}:T=231.5 degC", "--approve-rest")

    script = {((1, 2), 1): first, ((1, 2), 2): second, ((3,), 1): signed, ((1, 3), 1): signed_twice, ((4, 5), 1): edited}
    ended = desk.sit("asked", script=script, otherwise=desk.approve)
    assert ended is not None
    assert ended.status == "finished", ended


def deadlines(desk: Desk) -> None:
    """What a deadline of a second decides: nothing is carried out, all of it, or people are waited for."""
    for what in ("skip", "approve", "hold"):
        more = f'[review]\nmode = "always"\ndeadline = "1 s"\non_deadline = "{what}"\n'
        desk.write(f"late-{what}", "budget = 1", SOBOL + more, highest=245)
    desk.sit("late-skip", script={((1,), 1): patience}, otherwise=None)
    assert_ended(desk.sit("late-approve", otherwise=patience))
    looks = iter(range(3))

    def at_last(request: ReviewRequest) -> None:
        if next(looks, None) is None:
            desk.approve(request)
        else:
            patience(request)

    assert_ended(desk.sit("late-hold", otherwise=at_last))


def rules(desk: Desk) -> None:
    """Written rules approve some, and put others to people: the first, what is far off, what is uncertain."""
    more = '[review]\nmode = "rules"\nfirst = 1\nrefusal_batches = 0\n'
    more += '[[review.when]]\nname = "far"\nquantity = "novelty"\nabove = 0.4\n'
    more += '[[review.when]]\nname = "unsure"\nquantity = "sd.yield"\nabove = 0.2\n'
    desk.write("rules", "budget = 5", GP + more, highest=245)
    assert_ended(desk.sit("rules", otherwise=desk.approve))


def amended(desk: Desk) -> None:
    """Approved runs that wait: one withdrawn, one that lapses since its bench file changes under it."""
    name = "amended"
    (desk.folder / "bench-amended.toml").write_text((desk.folder / "bench.toml").read_text())
    desk.write(name, "budget = 4\nbatch = 3", SOBOL + NEVER, bench="bench-amended.toml")
    desk.sit(name, OnePot({0: Ending(meanwhile=lambda: void(desk.type("pause", name, "--by", "Ada", "--reason", "refill")))}))
    desk.type("review", "withdraw", "2", "--by", "Ben", "--reason", "not today", "--campaign", name)
    bench = desk.folder / "bench-amended.toml"
    bench.write_text(bench.read_text().replace('lot = "A-1"', 'lot = "A-2"'))
    desk.type("amend", str(desk.folder / f"{name}.toml"), "--by", "Ada", "--reason", "a new bottle")
    desk.type("resume", name, "--by", "Ada", "--reason", "refilled")
    assert_ended(desk.sit(name))


def amended_while_asked(desk: Desk) -> None:
    """Files that change while people are asked, and while a suggestion waits: both are expanded and asked anew."""
    name = "renewed"
    (desk.folder / "bench-renewed.toml").write_text((desk.folder / "bench.toml").read_text())
    desk.write(name, "budget = 3\nbatch = 2", SOBOL + ALWAYS, bench="bench-renewed.toml")
    desk.sit(name)
    desk.type("suggest", name, "--set", "T=220 degC", "--set", "tau=45 s", "--by", "Cyd")
    bench = desk.folder / "bench-renewed.toml"
    bench.write_text(bench.read_text().replace('analysis = "60 s"', 'analysis = "50 s"'))
    desk.type("amend", str(desk.folder / f"{name}.toml"), "--by", "Ada", "--reason", "a shorter analysis")
    assert_ended(desk.sit(name, otherwise=desk.approve))


def stopped(desk: Desk) -> None:
    """A bench that is latched in mid-batch: what waited is decided anew after the release, and an old approval lapses."""
    name = "stopped"
    desk.write(name, "budget = 4\nbatch = 3", SOBOL + '[review]\nmode = "never"\nvalid_for = "2 s"\n')
    pot = OnePot(latches_at=1)
    desk.sit(name, pot)
    (desk.lab.path / "latched.json").write_text('{"reason": "smoke", "by": "Ada", "wall": "2026-11-29T02:00:00+00:00"}')  # as the host does
    desk.type("resume", name, "--by", "Ada", "--reason", "no fire")
    pot.endings = {2: Ending(meanwhile=lambda: time.sleep(2.5))}
    assert_ended(desk.sit(name, pot))


def thirsty(desk: Desk) -> None:
    """A stock that does not suffice pauses the campaign; a new bottle lets it go on."""
    name, bench = "thirsty", desk.folder / "bench-thirsty.toml"
    text = (desk.folder / "bench.toml").read_text().replace('lot = "A-1"', 'lot = "T-1"')
    bench.write_text(text.replace('volume = "400 mL"', 'volume = "5 mL"'))
    desk.write(name, "budget = 4", SOBOL + NEVER, bench=bench.name)
    ended = desk.sit(name)
    assert ended is not None
    assert "refill" in ended.reason, ended
    bench.write_text(text.replace('lot = "T-1"', 'lot = "T-2"'))
    desk.type("amend", str(desk.folder / f"{name}.toml"), "--by", "Ada", "--reason", "refilled")
    desk.type("resume", name)
    assert_ended(desk.sit(name))


def lost(desk: Desk) -> None:
    """Runs whose end nobody saw, settled by each of the three verdicts."""
    name = "lost"
    desk.write(name, "budget = 4\nbatch = 3", SOBOL + NEVER)
    pot = OnePot({0: Ending(_R.UNKNOWN), 1: Ending(_R.UNKNOWN), 2: Ending(_R.RUNNING)})
    for verdict in ("--done", "--not-done", "--discard"):
        ended = desk.sit(name, pot)
        if ended is None:  # the last one is forgotten by its host
            pot.forgotten.add(list(pot.requests)[2])
            ended = desk.sit(name, pot)
        assert ended is not None
        assert ended.reason == "unknown", ended
        desk.type("resolve", unknown(desk, name), verdict, "--by", "Ada", "--reason", f"I looked: {verdict[2:]}")
    assert_ended(desk.sit(name, pot))


def aborted(desk: Desk) -> None:
    """An abort with a question open, a run that waits, one that was handed over and one that is lost."""
    name = "aborted"
    desk.write(name, "budget = 9\nbatch = 4", SOBOL + '[review]\nmode = "rules"\nfirst = 1\n')
    pause = Ending(_R.DISPATCHED, meanwhile=lambda: void(desk.type("pause", name)))
    desk.sit(name, OnePot({0: Ending(_R.RUNNING), 1: pause}))
    desk.type("abort", name, "--by", "Ada", "--reason", "the bottle broke")
    desk.type("resolve", unknown(desk, name), "--discard", "--by", "Ben", "--reason", "it is on the floor")


def left(desk: Desk) -> None:
    """Left in mid-flight: runs completed, running, handed over, unknown and waiting."""
    pause = Ending(_R.UNKNOWN, meanwhile=lambda: void(desk.type("pause", "left", "--reason", "the weekend")))
    desk.write("left", "budget = 9\nbatch = 5", SOBOL + NEVER)
    desk.sit("left", OnePot({1: Ending(_R.RUNNING), 2: Ending(_R.DISPATCHED), 3: pause}))


def waiting(desk: Desk) -> None:
    """Left while people are asked (`open`), and with an answer that is not carried out yet (`answered`)."""
    for name in ("open", "answered"):
        desk.write(name, "budget = 4\nbatch = 2", SOBOL + ALWAYS)
        desk.sit(name)
    desk.type("suggest", "open", "--set", "T=230 degC", "--set", "tau=50 s", "--by", "Cyd", "--reason", "the middle")
    desk.type("constrain", "open", "--set", "T=210..240 degC", "--batches", "2", "--by", "Ada")
    with desk.store() as store:
        (request,) = store.changes("answered").requests
    desk.decide(request, "Ben", "--approve-rest")


def by_hand(desk: Desk) -> None:
    """Write through the store's own methods what needs Prefect, or no command writes: see the module `write`."""
    now = LiveClock().now()
    with desk.store() as store:
        store.create_campaign(CampaignRecord(name="draft", snapshot=store.changes("plain").campaign.snapshot), by="command", now=now)
        (request,) = store.changes("open").requests
        run = ReviewRun(flow_run_id="0195d3c2-aaaa-7000-8000-000000000001", key=f"{request.request_id}-a1")
        request = request.evolve(runs=(run.model_dump(),))
        store.update_request(request, kind=EventKind.REVIEW_RUN, by="review", now=now)
        request = request.evolve(attempt=2)
        store.update_request(request, kind=EventKind.REVIEW_ASKED_AGAIN, by="review", now=now)
        request = request.evolve(attempt=3, complaint="row 1: T = 'warm' is no number")
        store.update_request(request, kind=EventKind.ANSWER_UNREADABLE, by="review", now=now)
        changes = store.changes("plain")
        accepted = [one for one in changes.measurements if one.status is MeasurementStatus.ACCEPTED]
        doubted = next(one for one in changes.measurements if one.status is MeasurementStatus.QUARANTINED and one.value is not None)
        store.update_measurement(doubted.evolve(status=MeasurementStatus.ACCEPTED, reason=None), by="person Ada", now=now)
        retracted = accepted[0].evolve(status=MeasurementStatus.RETRACTED, reason="the lamp was off")
        store.update_measurement(retracted, by="person Ada", now=now)
        better = accepted[0].evolve(measurement_id="0195d3c2-bbbb-7000-8000-000000000001", revision=2, value=0.5, reduction="person/1")
        store.update_measurement(better, by="person Ada", now=now)
        ended = next(one for one in changes.runs if one.run_key == accepted[1].run_key)
        try:
            store.ingest(ended, [accepted[1].evolve(value=0.123)], (), by="campaign", now=now)
        except StoreError:
            return
        raise AssertionError("another value under a known key was taken")


def patience(_request: ReviewRequest) -> None:
    """Look at a request and say nothing."""
    time.sleep(0.4)


def unknown(desk: Desk, name: str) -> str:
    """Return the key of a campaign's unknown run."""
    with desk.store() as store:
        return next(run.run_key for run in store.changes(name).runs if run.status is RunStatus.UNKNOWN)


def assert_ended(ended: object) -> None:
    """Fail where a campaign did not finish."""
    assert getattr(ended, "status", None) == "finished", ended


def void(_said: str) -> None:
    """Forget what a command printed."""
