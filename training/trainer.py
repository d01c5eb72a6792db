"""One loop for every method: step, log, checkpoint, resume; on one machine or many (accelerate)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from depth_distill_ros.errors import ConfigError
from training import checkpoint as ckpt
from training.config import CommonConfig, OptimizerConfig, to_plain
from training.data.batches import Batch, Source, StepBatches, batch_loader

Losses = dict[str, torch.Tensor]
_MAY_CHANGE_ON_RESUME = ("save_every", "log_every", "workers", "output")


class Objective(nn.Module):
    """What a method brings to the loop: its networks and the wiring of its losses.

    Parameters that require a gradient are trained; frozen modules stay as they are, in
    evaluation mode.
    """

    def __init__(self):
        super().__init__()
        self._frozen: list[nn.Module] = []

    def freeze(self, *modules: nn.Module) -> None:
        """Keep modules out of training: no gradients for their weights, evaluation mode always."""
        for module in modules:
            self._frozen.append(module.requires_grad_(False).eval())

    def train(self, mode: bool = True) -> Objective:
        """Training mode for all but the frozen modules."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def rate_scale(self, parameter_name: str) -> float:
        """Share of the recipe's learning rate that a parameter trains with."""
        return 1.0

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        """Scalar losses by name; the entry "loss" is the one that is differentiated."""
        raise NotImplementedError

    def end_epoch(self, means: dict[str, float]) -> None:
        """Called with the mean of every loss over the epoch that ended."""

    def extra_state(self) -> dict:
        """Plain values that a checkpoint must carry beside the weights."""
        return {}

    def load_extra_state(self, state: dict) -> None:
        """Take back what ``extra_state`` gave."""

    def save_model(self, folder: Path) -> None:
        """Write the trained model for inference."""
        raise NotImplementedError


class _Averages:
    """Exponential moving average of the trained parameters; a decay of 0 keeps none."""

    def __init__(self, decay: float, parameters: dict[str, nn.Parameter]):
        self.decay = decay
        self.values = {k: p.detach().clone() for k, p in parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self, parameters: dict[str, nn.Parameter], step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # short memory while little is learnt
        for name, value in self.values.items():
            value.lerp_(parameters[name].detach(), 1 - decay)

    @torch.no_grad()
    def copy_to(self, parameters: dict[str, nn.Parameter]) -> None:
        for name, value in self.values.items():
            parameters[name].copy_(value)


def train(objective: Objective, source: Source, recipe: CommonConfig, resume: bool = False) -> Path:
    """Run a recipe to its last step and save the model.

    Args:
        objective: networks and losses.
        source: images and depths.
        recipe: what the command line gave.
        resume: go on from the newest checkpoint of ``recipe.run.output``.

    Returns:
        The folder of the saved model, ``<output>/model``.

    A run that already reached its last step only saves its model again.

    Raises:
        ConfigError: the output already holds a run, or its recipe was another one.
    """
    run, output = recipe.run, Path(recipe.run.output)
    found = ckpt.list_checkpoints(output)
    if found and not resume:
        raise ConfigError(
            f"{output} already holds a run: add --resume to go on, or give another run.output"
        )
    accelerator = Accelerator(
        mixed_precision=run.mixed_precision,
        gradient_accumulation_steps=run.accumulation,
        log_with="tensorboard",
        project_dir=output,
    )
    loop = _Loop(accelerator, objective, source, recipe)
    if found:
        loop.restore(ckpt.load_checkpoint(found[-1]))
    accelerator.init_trackers("logs")
    loop.run()
    accelerator.end_training()
    if accelerator.is_main_process:
        loop.averages.copy_to(loop.parameters)
        objective.eval()
        objective.save_model(output / "model")
    accelerator.wait_for_everyone()
    return output / "model"


class _Loop:
    def __init__(
        self, accelerator: Accelerator, objective: Objective, source: Source, recipe: CommonConfig
    ):
        self.accelerator, self.objective, self.recipe = accelerator, objective, recipe
        self.step = 0
        self.epoch_sums: dict[str, float] = {}
        self.epoch_count = 0
        run, processes = recipe.run, accelerator.num_processes
        self.epoch_steps = max(1, len(source) // (run.batch_size * run.accumulation * processes))
        self.batches = StepBatches(source, recipe.data, run, accelerator.process_index, processes)
        objective.to(accelerator.device)
        self.parameters = {n: p for n, p in objective.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(objective, self.parameters),
            betas=recipe.optimizer.betas,
            weight_decay=recipe.optimizer.weight_decay,
        )
        self.averages = _Averages(run.ema, self.parameters)
        self.wrapped, self.prepared_optimizer = accelerator.prepare(objective, self.optimizer)

    def restore(self, saved: ckpt.Checkpoint) -> None:
        recipe = saved.state["recipe"]
        differences = _differences(recipe, to_plain(self.recipe))
        if differences:
            raise ConfigError(
                f"the run in {self.recipe.run.output} was started with another recipe "
                f"({'; '.join(differences)}): resume with the old values or start a new run"
            )
        self.step = saved.step
        self.objective.load_state_dict(saved.weights, strict=False)
        ckpt.restore_optimizer(self.optimizer, self.parameters, saved.optimizer)
        for name, value in saved.averages.items():
            self.averages.values[name].copy_(value)
        self.objective.load_extra_state(saved.state["objective"])
        self.epoch_sums, self.epoch_count = saved.state["epoch_sums"], saved.state["epoch_count"]

    def save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        names = {id(p): n for n, p in self.parameters.items()}
        state = {
            "recipe": to_plain(self.recipe),
            "objective": self.objective.extra_state(),
            "epoch_sums": self.epoch_sums,
            "epoch_count": self.epoch_count,
        }
        saved = ckpt.Checkpoint(
            step=self.step,
            # running statistics of normalisation layers are learnt too
            weights={**self.parameters, **dict(self.objective.named_buffers())},
            optimizer=ckpt.optimizer_tensors(self.optimizer, names),
            averages=self.averages.values,
            state=state,
        )
        ckpt.save_checkpoint(Path(self.recipe.run.output), saved)

    def run(self) -> None:
        run = self.recipe.run
        loader = batch_loader(self.batches, self.step * run.accumulation, run.workers)
        progress = tqdm(
            total=run.steps,
            initial=self.step,
            unit="step",
            disable=not self.accelerator.is_local_main_process,
        )
        self.wrapped.train()
        with progress:
            while self.step < run.steps:
                values = self._optimise(loader)
                self.step += 1
                self._end_step(values)
                progress.set_postfix({k: f"{v:.4f}" for k, v in values.items()}, refresh=False)
                progress.update()

    def _optimise(self, loader: Iterator[Batch]) -> dict[str, float]:
        run, optimizer = self.recipe.run, self.recipe.optimizer
        rate = optimizer.learning_rate * schedule(optimizer, self.step, run.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_scale"]
        sums: dict[str, float] = {}
        for micro in range(run.accumulation):
            batch = {k: v.to(self.accelerator.device) for k, v in next(loader).items()}
            with self.accelerator.accumulate(self.wrapped):
                with self.accelerator.autocast():
                    losses = self.wrapped(batch, self._generator(micro))
                self.accelerator.backward(losses["loss"])
                if optimizer.clip and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.parameters.values(), optimizer.clip)
                self.prepared_optimizer.step()
                self.prepared_optimizer.zero_grad()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / run.accumulation
        self.averages.update(self.parameters, self.step)
        return self._mean_over_processes(sums)

    def _mean_over_processes(self, values: dict[str, float]) -> dict[str, float]:
        if self.accelerator.num_processes == 1:
            return values
        stacked = torch.tensor(list(values.values()), device=self.accelerator.device)
        means = self.accelerator.reduce(stacked, reduction="mean").tolist()
        return dict(zip(values, means, strict=True))

    def _generator(self, micro: int) -> torch.Generator:
        key = [self.recipe.run.seed, 2, self.step, micro, self.accelerator.process_index]
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1
        return torch.Generator(self.accelerator.device).manual_seed(seed)

    def _end_step(self, values: dict[str, float]) -> None:
        run = self.recipe.run
        if not all(np.isfinite(v) for v in values.values()):
            raise FloatingPointError(
                f"a loss is not finite at step {self.step}: {values}. The last checkpoint is "
                "untouched: lower optimizer.learning_rate or set run.mixed_precision to 'no'"
            )
        for name, value in values.items():
            self.epoch_sums[name] = self.epoch_sums.get(name, 0.0) + value
        self.epoch_count += 1
        if self.epoch_count == self.epoch_steps:
            means = {k: v / self.epoch_count for k, v in self.epoch_sums.items()}
            self.objective.end_epoch(means)
            self.epoch_sums, self.epoch_count = {}, 0
        if self.step % run.log_every == 0 or self.step == run.steps:
            rate = max(group["lr"] for group in self.optimizer.param_groups)
            self.accelerator.log({**values, "learning_rate": rate}, step=self.step)
        if self.step % run.save_every == 0 or self.step == run.steps:
            self.save()


def schedule(config: OptimizerConfig, step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then the decay asked for."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "cosine":
        return config.final_ratio + (1 - config.final_ratio) * (1 + np.cos(np.pi * done)) / 2
    if config.schedule == "exponential":
        return config.final_ratio**done
    return 1.0


def _parameter_groups(objective: Objective, parameters: dict[str, nn.Parameter]) -> list[dict]:
    scales: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        scales.setdefault(objective.rate_scale(name), []).append(parameter)
    return [{"params": group, "rate_scale": scale} for scale, group in scales.items()]


def _differences(before: dict, now: dict, prefix: str = "") -> list[str]:
    found = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new and not (prefix == "run." and key in _MAY_CHANGE_ON_RESUME):
            found.append(f"{prefix}{key} was {old}, now {new}")
    return found
