"""What `d3epth models` does beside listing: `import`, `card`, `push`, a function a command."""

from __future__ import annotations

import argparse
from pathlib import Path

from depth_distill_ros.errors import ModelError


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands below `d3epth models`, whose own action stays the list."""
    commands = parser.add_subparsers(metavar="import | card | push")

    added = commands.add_parser("import", help=_summary(import_model))
    added.add_argument("source", help="Lotus-D: pipeline folder, or owner/name@commit on the Hub")
    added.add_argument("output", type=Path, help="folder to write, new")
    added.add_argument("--name", help="of the model (default: its own)")
    added.add_argument(
        "--value-space", choices=("disparity",), help="where the source's name does not say it"
    )
    added.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    added.set_defaults(run=import_model)

    added = commands.add_parser("card", help=_summary(card))
    added.add_argument("folder", type=Path, help="a model folder")
    added.add_argument(
        "--metrics",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="reports of d3epth evaluate --output",
    )
    added.add_argument("--licence", default="", metavar="ID", help="as the Hub names it")
    added.add_argument("--description", default="", metavar="TEXT")
    added.set_defaults(run=card)

    added = commands.add_parser("push", help=_summary(push))
    added.add_argument("folder", type=Path, help="a model folder with its card")
    added.add_argument("repo", metavar="REPO", help="owner/name; made where it does not exist")
    added.add_argument("--private", action="store_true")
    added.add_argument("--revision-message", default="Upload model", metavar="TEXT")
    added.set_defaults(run=push)


def import_model(options: argparse.Namespace) -> int:
    """Convert a published diffusers pipeline into a model folder, once."""
    import dataclasses

    import torch

    from depth_distill_ros.models.depth_model import DepthModel

    if options.output.exists():
        raise ModelError(f"{options.output} exists: give a new folder")
    model = DepthModel.from_pretrained(options.source, options.value_space)
    if options.name:
        model.config = dataclasses.replace(model.config, name=options.name)
    model.save_pretrained(options.output, getattr(torch, options.dtype))
    print(options.output)
    return 0


def card(options: argparse.Namespace) -> int:
    """Write or update a model folder's README.md: parts, licences, training, accuracy, limits."""
    from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
    from depth_distill_ros.models.card import CardFacts, read_reports, write_card
    from depth_distill_ros.models.components import stored_parameters

    _refuse_missing(options.folder)
    facts = CardFacts(
        parameters=stored_parameters(options.folder),
        digest=checkpoint_digest(options.folder),
        reports=read_reports(options.metrics),
        licence=options.licence,
        description=options.description,
    )
    print(write_card(options.folder, facts))
    return 0


def push(options: argparse.Namespace) -> int:
    """Upload a model folder to the Hugging Face Hub in one commit and print its pinned id."""
    from depth_distill_ros.models.publish import push_model

    _refuse_missing(options.folder)
    message = options.revision_message
    print(push_model(options.folder, options.repo, options.private, message))
    return 0


def _refuse_missing(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {folder}")


def _summary(function: object) -> str:
    return function.__doc__.splitlines()[0]
