"""One loop for every method: step, log, checkpoint, resume; on one machine or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from training import checkpoint as ckpt
from training.config import CommonConfig
from training.data.batches import Feed, MicroBatch, Source, StepBatches, batch_loader
from training.divergence import DivergenceError
from training.interruption import Interrupted, StopRequest
from training.objective import Counts, Objective
from training.optimisation import Optimisation
from training.processes import Processes
from training.progress import Progress
from training.records import SkipLedger
from training.run_folder import claimed, newest_checkpoint
from training.run_state import RunState
from training.sharding import assemble
from training.speed import apply_speed
from training.timing import span


def train(
    objective: Objective,
    feeds: Sequence[Feed] | Source,
    recipe: CommonConfig,
    resume: bool = False,
) -> Path:
    """Run a recipe to its last step and save the model.

    Args:
        objective: networks and losses.
        feeds: data sets and their shares, or a single data set.
        recipe: what the command line gave.
        resume: go on from the newest checkpoint of ``recipe.run.output``; with any number of
            processes.

    Returns:
        The folder of the saved model, ``<output>/model``.

    A run that already reached its last step only saves its model again.

    Raises:
        ConfigError: the output already holds a run, its recipe was another one, or another
            process trains there.
        CheckpointError: the disk is full.
        DataError: too many samples cannot be read, or the checkpoint cannot.
        DivergenceError: a loss is not finite.
        Interrupted: SIGINT or SIGTERM came; the run is saved.
    """
    processes, output = Processes(), Path(recipe.run.output)
    with claimed(output, processes):
        saved = newest_checkpoint(output, processes, resume)
        loop = _Loop(processes, objective, feeds, recipe)
        loop.begin(saved)
        loop.run()
        return loop.save_model(output / "model")


def trial_steps(
    objective: Objective, feeds: Sequence[Feed] | Source, recipe: CommonConfig
) -> Iterator[Optimisation]:
    """Train without saving anything, to measure: yields when all is ready, then after each step."""
    loop = _Loop(Processes(), objective, feeds, recipe)
    loader, request = loop.loader(), StopRequest()
    loop.wrapped.train()
    yield loop.optimisation
    while loop.state.step < recipe.run.steps:
        values, _ = loop._step(loader, request)
        loop.state.end_step(values, loop.batches.epoch_steps)
        yield loop.optimisation


class _Loop:
    def __init__(
        self,
        processes: Processes,
        objective: Objective,
        feeds: Sequence[Feed] | Source,
        recipe: CommonConfig,
    ):
        self.processes, self.objective, self.recipe = processes, objective, recipe
        self.output = Path(recipe.run.output)
        self.batches = StepBatches(feeds, recipe.data, recipe.run, processes.rank, processes.count)
        folder = self.output if self.output.is_dir() else None  # trial steps have none
        self.speed = apply_speed(objective, recipe.speed, folder)
        self.wrapped = processes.wrap(objective)
        self.optimisation = Optimisation(objective, processes, recipe)
        self.state = RunState(objective, self.optimisation, recipe)
        self.skips = SkipLedger(self.output, recipe.run.max_skipped, self.batches.images)

    def begin(self, saved: ckpt.Checkpoint | None) -> None:
        """Take the state of a checkpoint, and make sure that there will be room for more."""
        kept = 0
        if saved is not None:
            changes = self.state.restore(saved)
            self.skips.count = saved.state.get("skipped", 0)
            kept = min(ckpt.KEEP, len(ckpt.list_checkpoints(self.output)))
            for change in changes if self.processes.is_main else ():
                print(f"resumed with another recipe: {change}")
        if self.state.step < self.recipe.run.steps:
            room = self.state.size * (ckpt.KEEP + 1 - kept)
            self.processes.on_main(lambda: ckpt.check_space(self.output, room))
        if self.processes.is_main:
            self.skips.records.rewind(self.state.step)

    def loader(self) -> Iterator[MicroBatch]:
        """The micro-batches of this process from the next step on."""
        start = self.state.step * self.batches.accumulation
        pin = self.processes.device.type == "cuda"
        return batch_loader(self.batches, start, self.recipe.run.workers, pin)

    def run(self) -> None:
        """Train to the last step, or until a signal comes."""
        run, state = self.recipe.run, self.state
        loader = self.loader()
        self.wrapped.train()
        with (
            StopRequest() as request,
            Progress(self.output, run.steps, state.step, self.processes) as progress,
        ):
            while state.step < run.steps:
                values, signal = self._step(loader, request)
                state.end_step(values, self.batches.epoch_steps)
                progress.show(values)
                last = state.step == run.steps
                if state.step % run.log_every == 0 or last:
                    progress.log(state.step, values, self.optimisation.rate)
                if state.step % run.save_every == 0 or last or signal:
                    self._save()
                if signal and not last:
                    raise Interrupted(
                        signal,
                        f"stopped after step {state.step}, which is saved in {self.output}: "
                        "go on with --resume",
                    )

    def save_model(self, folder: Path) -> Path:
        """Save the trained model, or the average of its weights where there is one."""
        self.optimisation.take_averages()
        assemble(self.objective, keep=self.processes.is_main)
        self.speed.restore()
        self.objective.eval()
        self.processes.on_main(lambda: self.objective.save_model(folder))
        return folder

    def _step(
        self, loader: Iterator[MicroBatch], request: StopRequest
    ) -> tuple[dict[str, float], int]:
        """One optimiser step: the mean losses over the whole batch, and the signal that came."""
        with span("data"):
            micros = [next(loader) for _ in range(self.batches.accumulation)]
            counts = self._mean_counts(micros)
        losses = [
            self._backward(micro, counts, now=number == len(micros))
            for number, micro in enumerate(micros, start=1)
        ]
        with span("optimizer"):
            names, norm = list(losses[0]), self.optimisation.gradient_norm()
        table = torch.stack([torch.stack([v.double() for v in row.values()]) for row in losses])
        values, signal = self._agree(table, norm, request)
        if not np.isfinite(values).all() or self.optimisation.is_broken(float(norm)):
            self._refuse(micros, names, table, float(norm))
        with span("optimizer"):
            self.optimisation.step(self.state.step, norm)
        return dict(zip(names, values, strict=True)), signal

    def _mean_counts(self, micros: list[MicroBatch]) -> Counts:
        """The objective's counts, as a mean over all micro-batches of all processes."""
        skips = [skip for micro in micros for skip in micro.skipped]
        sums: Counts = {}
        for micro in micros:
            for name, value in self.objective.counts(micro.tensors).items():
                sums[name] = sums.get(name, 0) + value.double()
        shapes = [value.shape for value in sums.values()]
        parts = [torch.tensor([float(len(skips))]), *(value.flatten() for value in sums.values())]
        total = self.processes.sum(torch.cat([part.double() for part in parts]))
        if total[0]:
            self._note_skips(skips)
        means = (total[1:] / (len(micros) * self.processes.count)).float()
        split = means.split([shape.numel() for shape in shapes])
        device = self.processes.device
        return {
            name: part.view(shape).to(device)
            for name, shape, part in zip(sums, shapes, split, strict=True)
        }

    def _note_skips(self, skips: list) -> None:
        gathered = [skip for part in self.processes.gather(skips) for skip in part]
        step = self.state.step + 1
        self.skips.add(step, gathered, write=self.processes.is_main)
        self.skips.check(step * self.recipe.run.batch_size, gathered[-1])

    def _backward(self, micro: MicroBatch, counts: Counts, now: bool) -> dict[str, torch.Tensor]:
        with span("data"):
            micro = micro.to(self.processes.device)
        with self.processes.synchronised(self.wrapped, now):
            with span("loss"), self.optimisation.autocast():  # less the spans inside
                losses = self.wrapped(micro.tensors, self._generators(micro), counts)
            with span("backward"):
                self.optimisation.backward(losses["loss"] / self.batches.accumulation)
        return {name: value.detach() for name, value in losses.items()}

    def _generators(self, micro: MicroBatch) -> list[torch.Generator]:
        """On the CPU, so that the noise does not depend on the device."""
        keys = ([self.recipe.run.seed, 2, place] for place in micro.places)
        seeds = (np.random.SeedSequence(key).generate_state(1, np.uint64)[0] for key in keys)
        return [torch.Generator().manual_seed(int(seed) >> 1) for seed in seeds]

    def _agree(
        self, table: torch.Tensor, norm: torch.Tensor, request: StopRequest
    ) -> tuple[list[float], int]:
        """The mean of each loss over all processes, and the signal that any of them has had."""
        count = self.processes.count
        heard = torch.zeros(count, dtype=torch.double)
        heard[self.processes.rank] = request.number
        mean = table.mean(dim=0).cpu() / count
        total = self.processes.sum(torch.cat([mean, heard]))
        return total[:-count].tolist(), int(total[-count:].max())

    def _refuse(
        self, micros: list[MicroBatch], names: list[str], table: torch.Tensor, norm: float
    ) -> None:
        rows = [
            {"samples": micro.names, "losses": dict(zip(names, row, strict=True))}
            for micro, row in zip(micros, table.tolist(), strict=True)
        ]
        rows = [row for part in self.processes.gather(rows) for row in part]
        step = self.state.step + 1
        raise DivergenceError.report(self.output, step, rows, norm, self.processes.is_main)

    def _save(self) -> None:
        checkpoint = self.state.checkpoint(keep=self.processes.is_main)
        checkpoint.state["skipped"] = self.skips.count
        self.processes.on_main(lambda: ckpt.save_checkpoint(self.output, checkpoint))
