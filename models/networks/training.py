"""What the network learners share: a small network, episodes drawn from source tasks, and the loop that trains on them.

An episode is one task, some of its rows as support and others as query, with the target scaled and shifted at random:
without that a prior learns absolute levels and breaks on a task with another one. Training is float32 and takes
seconds; everything that a campaign computes afterwards is float64.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from models.base import fields_of
from models.gaussian_processes.noise import NoiseModel, fit_noise, restore_noise
from models.tasks import Family, ReportProgress, Scale, TaskData, TrainingProgress, family_scale
from orchestrator.errors import BadInput

HIDDEN: Final = 64
"""Units per layer: a family has some thousands of rows at most."""
FEATURES: Final = 8
"""Learned features that kernels compare."""
GAIN_SPREAD: Final = 0.3
OFFSET_SPREAD: Final = 0.5
"""Random gain exp(0.3 N) and offset 0.5 N of an episode's target, in standard units."""
UNKNOWN_PART: Final = 0.5
"""Part of the episodes that do not say what is known about the task: a campaign may not know either."""
EMPTY_PART: Final = 1 / 16
"""Part of the steps without any support: a campaign's first proposal."""
ENOUGH_TASKS: Final = 6
"""From so many tasks on some are held out whole; with fewer, a part of every task's rows is."""
HELD_OUT_PART: Final = 0.15


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how gently to train."""

    steps: int = 450
    more: int = 200
    """Further steps, at a third of the rate, on all that was held out as well: kin of the judged task may be among it."""
    episodes: int = 16
    """Per step."""
    most_support: int = 40
    query: int = 40
    augment: bool = True
    """Whether targets are scaled and shifted at random, and what is known of a task is now and then left out."""
    rate: float = 3e-3
    """Peak of the one-cycle schedule."""
    decay: float = 1e-2
    """AdamW's weight decay."""
    clip: float = 5.0
    """Largest norm of the gradient."""
    every: int = 50
    """Steps between looks at the held-out episodes."""
    patience: int = 6
    """Looks without improvement, in the second half of the schedule, after which training ends."""
    held_out: int = 48
    """Episodes that decide which weights are kept."""


class Network(nn.Module):
    """From inputs to learned features, and to a linear mean on the same body."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU())
        self.features = nn.Linear(HIDDEN, FEATURES)
        self.head = nn.Linear(HIDDEN, 1)

    @override
    def forward(self, F: Float[Tensor, "*b f"]) -> tuple[Float[Tensor, "*b 8"], Float[Tensor, " *b"]]:
        hidden = self.body(F)
        return self.features(hidden), self.head(hidden).squeeze(-1)


def initial_network(inputs: int, generator: torch.Generator) -> Network:
    """Return a network whose weights are drawn from the generator."""
    network = Network(inputs)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.in_features)
            with torch.no_grad():
                module.weight.uniform_(-bound * math.sqrt(3.0), bound * math.sqrt(3.0), generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)
    return network


@dataclass(frozen=True, slots=True)
class Inputs:
    """What networks see: a family's features, centred, beside what is known about the task.

    Shapes: `f` features, `k` task descriptors.
    """

    family: Family
    centre: Float[Tensor, " f"]
    width: Float[Tensor, " f"]
    task_centre: Float[Tensor, " k"]
    task_width: Float[Tensor, " k"]

    @property
    def size(self) -> int:
        """Number of a network's inputs."""
        return len(self.centre) + len(self.task_centre)

    def rows(self, X: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n f"]:
        """Return scaled features of encoded configurations."""
        return (self.family.features(X) - self.centre) / self.width

    def known(self, task: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Return scaled task descriptors; zeros, the mean of the sources, where nothing is known.

        Raises:
            BadInput: Another number of descriptors than the sources have.
        """
        if not len(task):
            return torch.zeros_like(self.task_centre)
        if len(task) != len(self.task_centre):
            raise BadInput(f"the task has {len(task)} descriptors; the prior's sources have {len(self.task_centre)}")
        return (task - self.task_centre) / self.task_width

    def state(self) -> dict[str, Tensor]:
        """Return all but the family."""
        return {name: value for name, value in fields_of(self).items() if name != "family"}


def fit_inputs(tasks: Sequence[TaskData], family: Family) -> Inputs:
    """Learn the scales of features and task descriptors from the sources."""
    F = torch.cat([family.features(task.X) for task in tasks])
    known = torch.stack([task.descriptors for task in tasks])
    spans = [
        F[:, where].std(dim=0, correction=0).square().sum().sqrt().expand(where.stop - where.start) for where in family.features.groups
    ]
    width = torch.cat(spans)
    spread = (known - known.mean(dim=0)).square().mean(dim=0).sqrt()
    return Inputs(family, F.mean(dim=0), torch.where(width > 0, width, 1.0), known.mean(dim=0), torch.where(spread > 0, spread, 1.0))


def with_known(F: Float[Tensor, "*b n f"], known: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n i"]:
    """Return what the network sees: features beside what is known about the task."""
    return torch.cat([F, known.expand(*F.shape[:-1], known.shape[-1])], dim=-1)


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """One source task, ready for training, float32."""

    F: Float[Tensor, "n f"]
    known: Float[Tensor, " k"]
    y: Float[Tensor, " n"]
    """In the family's standard units."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Episodes of one size, float32; the first `support` rows of each are its support."""

    F: Float[Tensor, "b n f"]
    known: Float[Tensor, "b k"]
    y: Float[Tensor, "b n"]
    gain: Float[Tensor, "b 1"]
    offset: Float[Tensor, "b 1"]
    support: int

    @property
    def inputs(self) -> Float[Tensor, "b n i"]:
        """What the network sees."""
        return with_known(self.F, self.known.unsqueeze(-2))


@dataclass(frozen=True, slots=True)
class Split:
    """What is trained on, and what decides which weights are kept."""

    training: tuple[TrainingRows, ...]
    held_out: tuple[TrainingRows, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """All that is learned from tasks without a network."""

    inputs: Inputs
    scale: Scale
    noise: NoiseModel
    typical: float
    """Mean variance of one measurement of the sources."""

    def state(self) -> dict[str, Any]:
        """Return what `restore_sources` needs."""
        scale = [self.scale.level, self.scale.spread]
        return {"inputs": self.inputs.state(), "scale": scale, "noise": fields_of(self.noise), "typical": self.typical}


def restore_sources(state: Mapping[str, Any], family: Family) -> Sources:
    """Return the sources of a state."""
    return Sources(Inputs(family, **state["inputs"]), Scale(*state["scale"]), restore_noise(state["noise"]), state["typical"])


def prepare_sources(tasks: Sequence[TaskData], family: Family, generator: torch.Generator) -> tuple[Sources, Split]:
    """Learn scales and noise, and hold out some of the tasks, scaled."""
    scale, inputs = family_scale(tasks), fit_inputs(tasks, family)
    noise = fit_noise(tasks, scale)
    typical = float(noise.variance(torch.cat([scale.standard(task.Y) for task in tasks])).mean())
    return Sources(inputs, scale, noise, typical), hold_out(tasks, inputs, scale, generator)


def hold_out(tasks: Sequence[TaskData], inputs: Inputs, scale: Scale, generator: torch.Generator) -> Split:
    """Hold out whole tasks where there are enough, else a part of each one's rows."""
    rows = [TrainingRows(inputs.rows(one.X).float(), inputs.known(one.descriptors).float(), scale.standard(one.Y).float()) for one in tasks]
    if len(rows) >= ENOUGH_TASKS:
        order = torch.randperm(len(rows), generator=generator).tolist()
        count = max(1, round(HELD_OUT_PART * len(rows)))
        return Split(tuple(rows[index] for index in order[count:]), tuple(rows[index] for index in order[:count]))
    parts = [_parted(one, generator) for one in rows]
    return Split(tuple(part for part, _ in parts), tuple(part for _, part in parts))


def _parted(rows: TrainingRows, generator: torch.Generator) -> tuple[TrainingRows, TrainingRows]:
    order = torch.randperm(len(rows.y), generator=generator)
    count = max(LEAST_EPISODE, round(HELD_OUT_PART * len(order)))
    out, kept = order[:count], order[count:] if len(order) >= 2 * LEAST_EPISODE else order
    return replace(rows, F=rows.F[kept], y=rows.y[kept]), replace(rows, F=rows.F[out], y=rows.y[out])


LEAST_EPISODE: Final = 4
"""TrainingRows of the smallest episode: two of support, two of query."""


def draw(
    tasks: Sequence[TrainingRows], plan: TrainingPlan, generator: torch.Generator, *, support: int | None = None, plain: bool = False
) -> Batch:
    """Draw episodes of one size; `plain` ones keep their level and scale and tell what is known of their task."""
    least = min(len(task.y) for task in tasks)
    n = min(_support(plan, generator) if support is None else support, least // 2)
    total = n + min(plan.query, least - n)
    chosen = torch.randint(len(tasks), (plan.episodes,), generator=generator).tolist()
    picked = [(tasks[index], torch.randperm(len(tasks[index].y), generator=generator)[:total]) for index in chosen]
    y = torch.stack([task.y[rows] for task, rows in picked])
    normal = torch.randn(2, plan.episodes, 1, generator=generator) * (0.0 if plain else 1.0)
    gain, offset = torch.exp(GAIN_SPREAD * normal[0]), OFFSET_SPREAD * normal[1]
    told = torch.ones(plan.episodes, 1) if plain else (torch.rand(plan.episodes, 1, generator=generator) >= UNKNOWN_PART).float()
    known = torch.stack([task.known for task, _ in picked]) * told
    return Batch(torch.stack([task.F[rows] for task, rows in picked]), known, gain * y + offset, gain, offset, n)


def _support(plan: TrainingPlan, generator: torch.Generator) -> int:
    where, empty = torch.rand(2, generator=generator).tolist()
    return 0 if empty < EMPTY_PART else int(math.exp(math.log(2) + where * math.log((plan.most_support + 1) / 2)))


Loss = Callable[[Batch], Tensor]
LearningCurve = list[list[float]]
"""Rows of step, steps, training loss and held-out loss."""


def train_module(
    module: nn.Module, loss: Loss, rows: Split, plan: TrainingPlan, generator: torch.Generator, report: ReportProgress | None
) -> LearningCurve:
    """Train until the held-out episodes get no better, go back to the best weights, then go on with all rows.

    Returns:
        Its last entries, of the second part, have seen what was held out.
    """
    judges = [draw(rows.held_out, replace(plan, episodes=plan.held_out // 3), generator, support=n, plain=True) for n in (3, 8, 20)]
    curve: LearningCurve = []

    def held_out() -> float:
        with torch.no_grad():
            return float(torch.stack([loss(judge) for judge in judges]).mean())

    def look(step: int, seen: float) -> float:
        progress = TrainingProgress(step, plan.steps + plan.more, seen, held_out())
        curve.append([*astuple(progress)])
        if report is not None:
            report(progress)
        return progress.held_out_loss

    best, since, kept = held_out(), 0, copy.deepcopy(module.state_dict())
    for step, seen in _steps(module, loss, rows.training, plan, generator):
        if (found := look(step, seen)) < best:
            best, since, kept = found, 0, copy.deepcopy(module.state_dict())
        elif 2 * step > plan.steps and (since := since + 1) >= plan.patience:
            break
    module.load_state_dict(kept)
    all_rows = (*rows.training, *rows.held_out)
    for step, seen in _steps(module, loss, all_rows, replace(plan, steps=plan.more, rate=plan.rate / 3), generator):
        look(plan.steps + step, seen)
    return curve


def _steps(
    module: nn.Module, loss: Loss, tasks: Sequence[TrainingRows], plan: TrainingPlan, generator: torch.Generator
) -> Iterator[tuple[int, float]]:
    """Take the plan's steps by AdamW with one cycle of the rate; yield now and then with the mean loss since."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.steps)
    seen: list[float] = []
    for step in range(1, plan.steps + 1):
        seen.append(_step(module, loss(draw(tasks, plan, generator, plain=not plan.augment)), optimiser, plan))
        schedule.step()
        if step % plan.every == 0 or step == plan.steps:
            yield step, sum(seen) / len(seen)
            seen.clear()


def _step(module: nn.Module, loss: Tensor, optimiser: torch.optim.Optimizer, plan: TrainingPlan) -> float:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own
    nn.utils.clip_grad_norm_(module.parameters(), plan.clip)
    optimiser.step()
    return float(loss.detach())
