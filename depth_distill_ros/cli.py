"""The command line `d3epth`: a thin function for each command, more in `cli_*.py`.

A user's mistake is one line on stderr and exit status 2. PyTorch is imported by the commands that
need it, so that `--help` and a refused argument answer at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depth_distill_ros import (
    cli_bench,
    cli_export,
    cli_models,
    cli_predict,
    cli_replay,
    cli_streams,
)
from depth_distill_ros.errors import ConfigError, UserError, refuse


def evaluate(options: argparse.Namespace) -> int:
    """Prints accuracy on benchmarks beside the paper, by sequence beside priors, or on streams."""
    cli_streams.check(options)
    if options.benchmark:
        return _evaluate_benchmarks(options)
    only = ("root", "split", "allow_partial", "predictor", "predictions", "align", "resolution")
    for name in only:
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is for --benchmark")
    if cli_streams.wanted(options):
        return cli_streams.evaluate_streams(options)
    if options.frames is None and options.shards is None:
        raise ConfigError(
            "give --benchmark NAME --root FOLDER, or --frames FOLDER, --shards FOLDER, or both, "
            "or --clips FOLDER: what to evaluate on"
        )
    return _evaluate_sequences(options)


def _evaluate_benchmarks(options: argparse.Namespace) -> int:
    from depth_distill_ros.evaluation.protocols.definition import shipped
    from depth_distill_ros.evaluation.protocols.run import BenchmarkOptions, run_benchmarks
    from depth_distill_ros.evaluation.protocols.selection import PredictorOptions, predictor_maker

    if options.root is None:
        raise ConfigError("give --root FOLDER: where the benchmark's files are")
    if options.frames is not None or options.shards is not None:
        raise ConfigError("--benchmark and --frames or --shards are two calls")
    names = shipped("depth") if options.benchmark == ["all"] else options.benchmark
    chosen = PredictorOptions(
        options.model,
        options.device,
        options.predictor,
        options.predictions,
        options.align,
        own_resolution=options.resolution == "model",
        engine=options.engine,
    )
    data = BenchmarkOptions(
        tuple(names), options.root, options.split, bool(options.allow_partial), options.output
    )
    run_benchmarks(data, predictor_maker(chosen))
    return 0


def _evaluate_sequences(options: argparse.Namespace) -> int:
    from depth_distill_ros.evaluation import benchmarks, tables
    from depth_distill_ros.models import hub

    sets = []
    if options.frames is not None:
        sets.append(benchmarks.frames_benchmark(options.frames))
    if options.shards is not None:
        sets.append(benchmarks.shards_benchmark(options.shards))
    checkpoint = benchmarks.checkpoint_digest(hub.resolve(options.model))
    estimate = cli_predict.load_estimator(options)
    predictors = {"model": lambda rgb: benchmarks.with_invalid(estimate(rgb)), **benchmarks.PRIORS}
    reports = []
    for benchmark in sets:
        print(tables.split_line(benchmark.split, estimate.name, checkpoint))
        for left_out in benchmark.left_out:
            print(f"left out: {left_out}")
        print(tables.row_header(list(predictors)), flush=True)
        rows = []
        for row in benchmarks.score(benchmark.samples, predictors):
            rows.append(row)
            print(tables.row_line(row), flush=True)
        for row in benchmarks.means(rows):
            print(tables.row_line(row))
        print()
        reports.append(benchmarks.benchmark_report(benchmark, rows, estimate.name, checkpoint))
    if options.output is not None:
        tables.write_json(options.output, {"benchmarks": reports})
    return 0


def demo(options: argparse.Namespace) -> int:
    """Runs player, node and recorder on a real graph and reports speed and accuracy."""
    from depth_distill_ros.evaluation.demo import DemoOptions, run_demo

    # Both signals unwind, so that no process is left; a shell that starts the demo in the
    # background has made it ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [field.name for field in dataclasses.fields(DemoOptions)]
    run_demo(DemoOptions(**{name: getattr(options, name) for name in names}))
    return 0


def models(options: argparse.Namespace) -> int:
    """Prints each model's name, parts, parameters in millions, and where the weights are."""
    from depth_distill_ros.evaluation.tables import columns
    from depth_distill_ros.models.summary import list_models

    rows = [["model", "million", "parts", "weights"]]
    for model in list_models():
        parts = ", ".join(f"{part} {millions:.2f}" for part, millions in model.parts.items())
        rows.append([model.name, f"{model.total:.2f}", parts, model.location])
    print(columns(rows))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The arguments of all commands."""
    parser = argparse.ArgumentParser(prog="d3epth", description="Monocular depth, for ROS 2.")
    commands = parser.add_subparsers(dest="command", required=True)

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", help="bundled model, folder, or owner/name@commit on the Hub")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    engine = "torch, onnxruntime (see export), or auto: the latter where it was exported"
    model.add_argument("--engine", default="auto", help=engine)

    def command(
        function: Callable[[argparse.Namespace], int], *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        summary = function.__doc__.splitlines()[0]
        added = commands.add_parser(
            function.__name__, help=summary, description=summary, parents=parents
        )
        added.set_defaults(run=function)
        return added

    cli_predict.add_arguments(command(cli_predict.predict, model))

    added = command(evaluate, model)
    added.add_argument("--frames", type=Path, metavar="DIR", help="a sequence, or several")
    added.add_argument("--shards", type=Path, metavar="DIR", help="rendered shards")
    added.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="JSON file of --frames, --shards and --clips; folder of --benchmark, which resumes in it",
    )
    cli_streams.add_arguments(added.add_argument_group("streams"))
    _add_benchmark_arguments(added.add_argument_group("published benchmarks"))

    added = command(demo, model)
    added.add_argument("--frames", type=Path, metavar="DIR", help="the sequence to play")
    added.add_argument("--bag", type=Path, help="the rosbag2 to play")
    added.add_argument("--video", type=Path, metavar="FILE", help="the video file to play")
    added.add_argument(
        "--camera", metavar="NUMBER", help="the camera to play: its number, or device"
    )
    added.add_argument("--topic", help="the bag's image topic; found by default")
    added.add_argument("--seconds", type=float, default=12.0, help="how long (default 12)")
    added.add_argument("--rate", type=float, help="images a second; the source's by default")
    fov = "horizontal field of view of a video or camera, for clouds"
    added.add_argument("--fov", type=float, metavar="DEGREES", help=fov)
    viewer = "rerun: write demo.rrd, and show it where there is a display"
    added.add_argument("--viewer", choices=("none", "rerun"), default="none", help=viewer)
    added.add_argument("--output", type=Path, default=Path("out/demo"), metavar="DIR")

    cli_bench.add_commands(commands, model)
    cli_replay.add_commands(commands, model)
    cli_models.add_commands(command(models))
    cli_export.add_arguments(command(cli_export.export))
    return parser


def _add_benchmark_arguments(group: Any) -> None:
    add = group.add_argument
    add(
        "--benchmark",
        nargs="+",
        metavar="NAME",
        help="nyuv2, kitti, eth3d, scannet, diode, or all of these; sintel, spring, ibims (outlines "
        "too), am2k, p3m10k, dis5k (mattes), da2k (points), bonn, kitti110 (video); several; or a "
        ".json definition",
    )
    add("--root", type=Path, metavar="DIR", help="the benchmarks, or the folder or tar of one")
    add("--split", type=Path, metavar="FILE", help="'rgb depth' a line, for other layouts")
    partial = "measure also where images lack; says so"
    add("--allow-partial", action="store_true", default=None, help=partial)
    add("--predictor", metavar="hf:MODEL|FILE.py:CLASS", help="another model instead of --model")
    add("--predictions", type=Path, metavar="DIR", help=".npy files instead of a model")
    add("--align", choices=("disparity", "depth"), help="what hf: models and .npy files predict")
    add(
        "--resolution",
        choices=("benchmark", "model"),
        help="what the network sees: the benchmark's size (default), or the model's own",
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    # PyTorch's threads would spin while they wait for each other: beside another busy process,
    # a training for instance, they are several times slower then.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return options.run(options)
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
