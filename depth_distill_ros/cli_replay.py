"""Commands on recordings: `d3epth replay` and `d3epth record-frames`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError


def add_commands(commands: Any, model: argparse.ArgumentParser) -> None:
    """Add both commands; `model` has the arguments of a model."""
    added = commands.add_parser("replay", parents=[model], **_texts(replay))
    add = added.add_argument
    add("bag", type=Path, nargs="?", help="rosbag2 folder, or an .mcap or .db3 file")
    add("--output", type=Path, required=True, metavar="DIR", help="resumed where it has a run")
    add("--depth", metavar="TOPIC", help="the true depth: images, registered or with camera_info")
    add("--lidar", metavar="TOPIC", help="the true depth: PointCloud2")
    add("--poses", metavar="TOPIC", help="or a TUM file: measures the temporal alignment error")
    add("--pose-frame", metavar="FRAME", help="whose poses; else an Odometry's child, the camera")
    add("--image", metavar="TOPIC", help="of the images; the first one by default")
    add(
        "--truth-transform",
        "--lidar-transform",
        type=float,
        nargs=7,
        metavar="N",
        help="x y z qx qy qz qw of the truth's sensor in the optical frame, else /tf_static",
    )
    _add_scale_arguments(added.add_argument_group("the node's parameters"))
    added.set_defaults(run=replay)
    _add_amount_arguments(added.add_argument_group("how much"))

    added = commands.add_parser("record-frames", **_texts(record_frames))
    add = added.add_argument
    add("source", type=Path, help="a bag, or a folder of frames")
    add("--output", type=Path, required=True, metavar="PATH", help="the folder or bag to write")
    add("--image", metavar="TOPIC", help="of the images; the first one by default")
    add("--depth", metavar="TOPIC", help="of depth registered to the images")
    add("--poses", metavar="TOPIC", help="or a TUM file; images without a pose are left out")
    add("--every", type=int, default=1, metavar="N", help="each N-th image (default 1)")
    add("--storage", choices=("mcap", "sqlite3"), default="mcap", help="of the bag to write")
    added.set_defaults(run=record_frames)


def _texts(function: Callable) -> dict[str, str]:
    summary = function.__doc__.splitlines()[0]
    return {"help": summary, "description": summary}


def _add_scale_arguments(group: Any) -> None:
    add = group.add_argument
    modes = ("none", "fixed", "camera_height", "reference")
    add("--scale", choices=modes, help="scale.mode; reference: a part of the truth is split off")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any other, repeatable")
    add("--reference-pixels", type=int, default=200, metavar="N", help="of --depth (default 200)")


def _add_amount_arguments(group: Any) -> None:
    add = group.add_argument
    add("--every", type=int, default=1, metavar="N", help="each N-th image (default 1)")
    add("--max-frames", type=int, metavar="N", help="evaluate no more")
    add("--tolerance", type=float, default=0.02, metavar="S", help="image to truth (default 0.02)")
    add("--clouds", action="store_true", help="also write clouds to the output bag")
    add("--max-abs-rel", type=float, metavar="X", help="exit with 1 above it: metric, else aligned")
    add("--live", action="store_true", help="measure a running node instead of a bag")
    add("--seconds", type=float, metavar="S", help="how long, with --live; else until Ctrl-C")


def replay(options: argparse.Namespace) -> int:
    """Measures the node's depth on a bag: accuracy, scale, temporal error, latency; resumes."""
    from depth_distill_ros.evaluation.replay.options import ReplayOptions, parse_parameters

    parameters = parse_parameters(options.set)
    if options.scale is not None:
        parameters["scale.mode"] = options.scale
    names = ("output", "depth", "lidar", "image", "poses", "pose_frame", "every", "max_frames")
    names += ("tolerance", "reference_pixels", "clouds", "max_abs_rel")
    chosen = {name: getattr(options, name) for name in names}
    if options.truth_transform is not None:
        chosen["transform"] = tuple(options.truth_transform)
    if options.bag is None and not options.live:
        raise ConfigError("give the BAG to replay, or --live to measure a running node")
    replay_options = ReplayOptions(bag=options.bag, parameters=parameters, **chosen)
    if options.live:
        from depth_distill_ros.evaluation.live_metrics import run_live

        report = run_live(replay_options, options.seconds)
        return 0 if report["threshold"]["passed"] else 1
    from depth_distill_ros.evaluation.replay.command import load_model
    from depth_distill_ros.evaluation.replay.command import replay as run_replay

    report = run_replay(
        replay_options, lambda: load_model(options.model, options.device, options.engine)
    )
    return 0 if report["threshold"]["passed"] else 1


def record_frames(options: argparse.Namespace) -> int:
    """Turns a bag into a folder of frames (rgb/, depth/, intrinsics.json), or such a folder back."""
    from depth_distill_ros.evaluation.recorded_frames import bag_to_frames, frames_to_bag

    if (options.source / "rgb").is_dir():
        frames_to_bag(options.source, options.output, options.storage)
    else:
        topics = (options.image, options.depth, options.poses)
        bag_to_frames(options.source, options.output, *topics, every=options.every)
    return 0
