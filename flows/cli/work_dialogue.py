"""Leading a person through one step that waits for them: what is to be done, then a question for each value."""

from dataclasses import replace
from typing import Final

from flows.cli.dialogue import Talk, yes
from flows.cli.work_commands import line_of, told
from flows.running.waiting_steps import WaitingStep
from flows.running.work_operations import StepReply, Work, answer_step
from orchestrator.domain.lifecycle import AnswerStatus
from orchestrator.domain.work import WantedValue
from orchestrator.errors import BadInput
from orchestrator.work import check_person, expected, read_value

LEFT: Final = "left without an answer; the run waits on"
_DONE: Final = {"d": "done", "n": "not-done", "w": "went-wrong", "q": "quit"}


def shown(work: Work, waiting: WaitingStep) -> str:
    """Write what a step asks for."""
    wanted = [f"  {one.name}: {expected(one)}" for one in waiting.order.values]
    return "\n".join([line_of(work, waiting), "", waiting.order.instructions, *(["", *wanted] if wanted else [])])


def ask(talk: Talk, work: Work, waiting: WaitingStep, said: StepReply) -> str:
    """Ask what came of a step and hand the answer over; return in a line how it ended."""
    talk.say(shown(work, waiting))
    try:
        while (answered := _asked(talk, work, waiting, said)) is not None:
            try:
                kept = answer_step(work.lab, waiting, answered)
            except BadInput as error:
                talk.say(f"refused: {error}")
                continue
            if kept.status is not AnswerStatus.REFUSED:
                return told(waiting, kept)
            talk.say(f"refused: {kept.refusal}")
            if not yes(talk, "again?"):
                break
    except (EOFError, KeyboardInterrupt):
        talk.say("")
    return LEFT


def _asked(talk: Talk, work: Work, waiting: WaitingStep, said: StepReply) -> StepReply | None:
    """Ask for everything; None where the person leaves."""
    match _outcome(talk):
        case "quit":
            return None
        case "done":
            said = replace(said, values={one.name: _value(talk, one) for one in waiting.order.values})
        case "not-done":
            said = replace(said, outcome="not-done", reason=_reason(talk, "why not? "))
        case _:
            said = replace(said, outcome="went-wrong", reason=_reason(talk, "what went wrong? "))
    said = replace(said, by=_person(talk, waiting, said.by))
    if work.needs_code and not said.code:
        said = replace(said, code=talk.ask("one-time code (not shown): ", hidden=True))
    values = ", ".join(f"{name} = {value}" for name, value in said.values.items())
    talk.say(f"run {waiting.code}, by {said.by}: {said.outcome.replace('-', ' ')}{f': {values}' if values else ''}{_because(said)}")
    return said if yes(talk, "send?") else None


def _because(said: StepReply) -> str:
    return f": {said.reason}" if said.reason else ""


def _outcome(talk: Talk) -> str:
    """Ask until one of the menu's entries is named; none is chosen beforehand."""
    while (typed := talk.ask("[d]one, [n]ot done, it [w]ent wrong, [q]uit: ").lower()) not in _DONE:
        talk.say(f"type one of {', '.join(_DONE)}")
    return _DONE[typed]


def _value(talk: Talk, wanted: WantedValue) -> str:
    while True:
        typed = talk.ask(f"  {wanted.name} ({expected(wanted)}): ")
        if not typed:
            continue
        try:
            read_value(wanted, typed, what=wanted.name)
        except BadInput as error:
            talk.say(f"refused: {error}")
        else:
            return typed


def _reason(talk: Talk, question: str) -> str:
    while not (typed := talk.ask(question)):
        talk.say("that needs a reason")
    return typed


def _person(talk: Talk, waiting: WaitingStep, named: str) -> str:
    while True:
        name = named or talk.ask("your name: ")
        try:
            check_person(waiting.order, name)
        except BadInput as error:
            talk.say(f"refused: {error}")
            named = ""
        else:
            if len(name.strip()) > 1:
                return name
            talk.say("a name has two letters at least")
            named = ""
