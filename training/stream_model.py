"""Make the bundled streaming model: ``python -m training.stream_model``.

Renders clips, trains the temporal head and the UNet on from the bundled ``d3epth-tiny`` by
``config/training/tiny_stream.yaml`` and then ``tiny_stream_second.yaml``, averages the weights of the
two, measures the result on rendered clips that no step has seen (and on real sequences where they
are given), and writes the model folder with its card. Rendering and training resume, so the command
can be stopped and started again.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch

from depth_distill_ros.evaluation.streams.measure import METRICS
from depth_distill_ros.evaluation.streams.run import StreamOptions, run_streams
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.hub import WEIGHTS_FOLDER
from training import stream
from training.averaging import average_models
from training.bundled import IMAGE_SIZE, RUNS, maker_parser, run_maker
from training.scenes.clips import render_clips

NAME, START = "d3epth-tiny-stream", "d3epth-tiny"
PARTS = {"stream_second": 0.7, "stream": 0.3}
"""Trainings, the latest first, by the name of recipe and run: the share of their weights."""

FRAMES, UNSEEN_FRAMES = 16, 24
SEED, UNSEEN_SEED = 5_000_000, 9_500_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stream_model``."""
    parser = maker_parser(__doc__)
    parser.add_argument("--recipes", type=Path, default=Path("config/training"))
    parser.add_argument("--clips", type=int, default=480, help="training clips to render")
    parser.add_argument("--unseen", type=int, default=40, help="rendered clips to evaluate on")
    return run_maker(parser, make_model, arguments)


def make_model(options: argparse.Namespace) -> int:
    """Render, train, evaluate, write; returns the exit status."""
    clips, unseen = RUNS / "clips", RUNS / "unseen_clips"
    shared = {"size": IMAGE_SIZE, "tier": options.tier, "workers": options.workers}
    render_clips(clips, options.clips, FRAMES, seed=SEED, **shared)
    render_clips(unseen, options.unseen, UNSEEN_FRAMES, seed=UNSEEN_SEED, **shared)
    for name in reversed(PARTS):
        recipe = options.recipes / f"tiny_{name}.yaml"
        if status := stream.main(["--config", str(recipe), "--resume"]):
            return status
    models = [DepthModel.from_pretrained(RUNS / name / "model") for name in PARTS]
    model = average_models(models, list(PARTS.values()))
    folder = RUNS / NAME
    model.save_pretrained(folder, dtype=torch.float16)  # what is measured is what is shipped
    reports = [measured(folder, clips=unseen)]
    if options.frames is not None:
        reports.append(measured(folder, frames=options.frames))
    card = _CARD.format(
        name=NAME,
        clips=options.clips,
        unseen=options.unseen,
        tier=options.tier,
        shares=" : ".join(f"{share:g}" for share in PARTS.values()),
        window=model.temporal_window,
        reports="\n\n".join(f"```\n{report.rstrip()}\n```" for report in reports),
    )
    for target in [folder, *([WEIGHTS_FOLDER / NAME] if options.install else [])]:
        model.save_pretrained(target, dtype=torch.float16, card=card)
        print(f"streaming model: {target}")
    return 0


def measured(model: Path, clips: Path | None = None, frames: Path | None = None) -> str:
    """What ``d3epth evaluate --metrics depth,tae,temporal`` prints about a model."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        run_streams(StreamOptions(frames, clips, METRICS, str(model), "cpu", compare=START))
    print(printed.getvalue(), flush=True)
    return printed.getvalue()


_CARD = """---
license: apache-2.0
tags: [depth-estimation, video-depth, ros2, robotics]
---

# {name}

The streaming model of `depth_distill_ros`: `d3epth-tiny` with a temporal DPT head. Frames of a camera
in, one by one; affine-invariant disparity out, which does not flicker. The head sees {window} frames at
most, the newest among them, looks at none that is still to come, and is told their age in seconds, so
that frames may be dropped. Without a past it is a single-image head.

## How it was made

    python -m training.scenes.fetch
    python -m training.stream_model --clips {clips} --unseen {unseen} --tier {tier} --install

From `d3epth-tiny`, UNet and head together, by `config/training/tiny_stream.yaml`, which teaches the head
to hold still, then `tiny_stream_second.yaml`, in which depth weighs more against that; on {clips} rendered
clips of 16 frames of 256×192 pixels with moving objects, camera shake, exposure changes, dropped frames
and cuts. The frozen autoencoder's decoder is the head's teacher beside the rendered depth. The weights
are the average of the second model's and the first's, {shares}. No photograph with depth was used.

## Licences

Weights: Apache-2.0. As `d3epth-tiny`, whose card names the assets of the scenes and the prior's origin.

## Accuracy, flicker and error in time

`per frame` is this model without memory, `per frame of d3epth-tiny` the model it comes from, `moving
average` what users would try first: each disparity fitted to the running average and mixed into it. TAE
and the temporal gradient error are explained in `docs/streams.md`.

{reports}

## Cost

`d3epth bench --model {name}` prints what a frame with a full memory costs beside one without.

## Limits

Those of `d3epth-tiny`: disparity up to scale and shift, soft edges, weak on long-range driving, table tops
seen from straight above, and glass. Steadiness costs accuracy, most where a camera moves fast outdoors: what
is remembered lags behind.
"""


if __name__ == "__main__":
    sys.exit(main())
