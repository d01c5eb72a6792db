"""One column of pixels over time: the truth, frame by frame, and streaming, side by side.

    python -m training.scenes --sequence out/walk --frames 120 --size 320x240 --seed 6
    python -m bench.stream_picture --frames out/walk --model d3epth-tiny-stream --output column.png

Time runs to the right. A surface that stands still is a smooth band; flicker shows as stripes. All
maps are fitted to the true disparity, each by one scale and shift for the whole sequence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, UserError, refuse
from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.evaluation.metrics import valid_depth
from depth_distill_ros.evaluation.streams.predictors import (
    PER_FRAME,
    STREAMING,
    WINDOWS,
    Predictors,
)
from depth_distill_ros.evaluation.temporal import ClipFit
from depth_distill_ros.inference.estimator import DepthEstimator


def columns_over_time(folder: Path, model: str | None, column: float) -> dict[str, np.ndarray]:
    """Disparity in 1/m by name, (H, T) each, of the column at a share of the width.

    Raises DataError for a sequence whose frames are not all measured.
    """
    sequence = load_sequence(folder)
    predictors = Predictors(DepthEstimator.from_pretrained(model))
    predictors.begin(sequence)
    names = [name for name in (PER_FRAME, STREAMING, WINDOWS) if name in predictors.names]
    fits = {name: ClipFit(np.zeros(5)) for name in names}
    strips: dict[str, list[np.ndarray]] = {"image": [], "truth": [], **{n: [] for n in names}}
    for frame in sequence:
        if frame.depth is None:
            raise DataError(f"{folder}: frame {frame.name} has no measured depth")
        maps = predictors(frame.rgb, frame.stamp)
        x = round(column * (frame.rgb.shape[1] - 1))
        known = valid_depth(frame.depth, DEPTH_RANGE)
        strips["image"].append(frame.rgb[:, x])
        strips["truth"].append(np.where(known, 1 / np.maximum(frame.depth, 1e-3), 0)[:, x])
        for name in names:
            chosen = known & np.isfinite(maps[name])
            fits[name] += ClipFit.of(maps[name][chosen], frame.depth[chosen])
            strips[name].append(maps[name][:, x])
    strips = {name: np.stack(rows, axis=1) for name, rows in strips.items()}
    for name in names:
        scale, shift = fits[name].solve()
        strips[name] = scale * strips[name] + shift
    return strips


def draw(strips: dict[str, np.ndarray], rate: float, output: Path) -> None:
    """A picture of the strips, one below the other, on one colour scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    high = float(np.quantile(strips["truth"], 0.99))
    figure, axes = plt.subplots(len(strips), sharex=True, figsize=(9, 1.7 * len(strips)))
    for axis, (name, strip) in zip(axes, strips.items(), strict=True):
        extent = (0, strip.shape[1] / rate, strip.shape[0], 0)
        axis.imshow(strip, aspect="auto", extent=extent, cmap="inferno", vmin=0, vmax=high,
                    interpolation="nearest")  # fmt: skip
        axis.set_ylabel(name)
        axis.set_yticks([])
    axes[-1].set_xlabel("seconds")
    figure.tight_layout()
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--frames", type=Path, required=True, metavar="DIR", help="a sequence")
    parser.add_argument("--model", help="a streaming model; the default model without it")
    parser.add_argument("--column", type=float, default=0.5, help="share of the width [0.5]")
    parser.add_argument("--output", type=Path, required=True, metavar="PNG")
    options = parser.parse_args(arguments)
    try:
        strips = columns_over_time(options.frames, options.model, options.column)
        draw(strips, load_sequence(options.frames).rate, options.output)
    except UserError as error:
        return refuse(error)
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
