"""What a run shows: a progress bar, TensorBoard, and its losses as JSON lines."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.processes import Processes
from training.records import Records


class Progress:
    """The bar of each machine's first process; logs of the first process of all.

    Values go to ``logs/`` (TensorBoard) and to ``losses.jsonl``, exact to the last digit.
    """

    def __init__(self, output: Path, steps: int, done: int, processes: Processes):
        self._bar = tqdm(
            total=steps, initial=done, unit="step", disable=not processes.is_local_main
        )
        self._writer = self._records = None
        if processes.is_main and done < steps:
            self._writer = SummaryWriter(output / "logs", purge_step=done + 1)
            self._records = Records(output / "losses.jsonl")
            self._records.rewind(done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def show(self, values: dict[str, float]) -> None:
        """Move the bar by a step."""
        self._bar.set_postfix({k: f"{v:.4f}" for k, v in values.items()}, refresh=False)
        self._bar.update()

    def log(self, step: int, values: dict[str, float], rate: float) -> None:
        """Keep the values of a step."""
        if self._writer is None:
            return
        values = {**values, "learning_rate": rate}
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._records.append(step, **values)
