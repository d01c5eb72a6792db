"""A loss or a gradient that is not finite: which samples it came from, and what to do."""

from __future__ import annotations

import json
import math
from pathlib import Path

from depth_distill_ros.errors import UserError
from training.checkpoint import list_checkpoints

_NAMED = 8


class DivergenceError(UserError):
    """A loss or a gradient that is not finite; the step was not applied."""

    @classmethod
    def report(
        cls, output: Path, step: int, micro_batches: list[dict], norm: float, write: bool
    ) -> DivergenceError:
        """The error of a step, and ``not-finite.json`` with all of its samples and losses.

        Args:
            output: the run's folder.
            step: counted from 1.
            micro_batches: of all processes, each with "samples" (names) and "losses".
            norm: of the step's gradient.
            write: whether this process writes the file.
        """
        path = output / "not-finite.json"
        if write:
            content = {"step": step, "gradient_norm": norm, "micro_batches": micro_batches}
            path.write_text(json.dumps(content, indent=2))
        bad = [part for part in micro_batches if not _finite(part["losses"])]
        what = f"the losses {bad[0]['losses']}" if bad else f"the gradient's norm, {norm},"
        samples = [name for part in bad or micro_batches for name in part["samples"]]
        more = f" and {len(samples) - _NAMED} more" if len(samples) > _NAMED else ""
        found = list_checkpoints(output)
        good = f"the last good checkpoint is {found[-1]}" if found else "there is no checkpoint yet"
        return cls(
            f"{what} of step {step} are not finite; samples: {', '.join(samples[:_NAMED])}{more} "
            f"(see {path}). The step was not applied; {good}. If the samples are sound, go on "
            "with --resume and a lower optimizer.learning_rate, or run.mixed_precision no"
        )


def _finite(losses: dict[str, float]) -> bool:
    return all(math.isfinite(value) for value in losses.values())
