"""The model card: README.md with the Hub's front matter, made from what the model folder knows.

Everything in it is read from files: the configuration, the stored tensors, the history that
training wrote (``training.json``), and the reports of ``d3epth evaluate --output``. A section
named "Notes" is the author's: it is kept when the card is written again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.hub import read_json
from depth_distill_ros.models.provenance import (
    Credit,
    Provenance,
    inherited_licence,
    is_non_commercial,
    read_provenance,
)

CARD = "README.md"
NOTES = "## Notes"
_RECIPE_FIELDS = ("steps", "batch_size", "mixed_precision", "seed", "ema")


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside what the folder knows.

    Attributes:
        parameters: stored numbers by part.
        digest: of the stored weights, as `d3epth evaluate` prints it.
        reports: benchmark entries of evaluation reports.
        licence: of the weights; empty: what the history leaves.
        description: one paragraph; empty writes a plain one.
    """

    parameters: Mapping[str, int]
    digest: str
    reports: Sequence[dict] = ()
    licence: str = ""
    description: str = ""


def write_card(folder: Path, facts: CardFacts) -> Path:
    """Write or update README.md of a model folder, whole or not at all; returns its path.

    Raises:
        ModelError: the folder is no model, no licence can be told and none is given, or the card
            that is there was written by hand.
    """
    path = folder / CARD
    text = card_text(folder, facts)
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if NOTES in old:
        text = text[: text.index(NOTES)] + old[old.index(NOTES) :]
    elif old.startswith("---"):
        raise ModelError(
            f"{path} was not written by this command and would be lost: move it away, or put a "
            f"line '{NOTES}' above what is to be kept"
        )
    staged = folder / f".{CARD}.tmp"
    staged.write_text(text, encoding="utf-8")
    os.replace(staged, path)
    return path


def card_text(folder: Path, facts: CardFacts) -> str:
    """The whole card of a model folder; see :func:`write_card`."""
    config = read_json(folder / "config.json")
    if "value_space" not in config or "resolution" not in config:
        raise ModelError(f"{folder}/config.json is not that of a whole model: no card is written")
    provenance = read_provenance(folder)
    licence, why = inherited_licence(provenance)
    if facts.licence:
        licence, why = facts.licence.lower(), "Stated by the publisher of these weights."
    elif provenance == Provenance():
        licence, why = "", "The folder does not say what it learned from."
    if not licence:
        raise ModelError(f"no licence can be told for {folder}: {why} Give it: --licence ID")
    sections = [
        _front_matter(config, provenance, licence),
        f"# {config['name']}\n\n{facts.description or _description(config)}",
        _parts(facts),
        _credits(provenance, licence, why),
        _training(provenance),
        _metrics(facts),
        _use(config),
        _limits(config, licence),
        f"{NOTES}\n\nWhat is written in this section is kept when the card is made again.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(config: dict, provenance: Provenance, licence: str) -> str:
    from huggingface_hub import ModelCardData

    networks = (*provenance.with_role("teacher"), *provenance.with_role("origin"))
    bases = [credit.source.split("@")[0] for credit in networks if "/" in credit.source]
    published = [credit for credit in provenance.with_role("data") if credit.licence]
    data = [_slug(credit.name) for credit in published]
    fields = ModelCardData(
        license=licence,
        library_name="depth_distill_ros",
        pipeline_tag="depth-estimation",
        tags=["depth-estimation", "monocular-depth", "ros2", "robotics"],
        base_model=bases or None,
        datasets=data or None,
        model_name=config["name"],
    )
    return f"---\n{fields.to_yaml()}\n---"


def _slug(name: str) -> str:
    return "-".join(name.lower().split())


def _description(config: dict) -> str:
    decoder = "a DPT head" if config.get("decoder") == "head" else "the autoencoder's decoder"
    prior = ", with a data-driven prior in front" if config.get("prior") else ""
    return (
        "Affine-invariant disparity from one image in one UNet step, decoded by "
        f"{decoder}{prior}. For `depth_distill_ros` (ROS 2 node, command line, Python)."
    )


def _parts(facts: CardFacts) -> str:
    rows = [[part, f"{count / 1e6:.2f}"] for part, count in facts.parameters.items()]
    rows.append(["total", f"{sum(facts.parameters.values()) / 1e6:.2f}"])
    return (
        f"## Parts\n\n{_table(['part', 'parameters (M)'], rows)}\n\n"
        f"Checkpoint `{facts.digest}` (first 12 digits of the SHA-256 of all weights)."
    )


def _credits(provenance: Provenance, licence: str, why: str) -> str:
    lines = [f"## Licences\n\nThese weights: **{licence}**. {why}"]
    networks = [credit for credit in provenance.credits if credit.role != "data"]
    restricted = [c.name for c in networks if is_non_commercial(c.licence)]
    if restricted and not is_non_commercial(licence):
        lines.append(
            f"**{', '.join(restricted)} may not be used commercially**: check whether the licence "
            "above can stand."
        )
    if networks:
        rows = [[c.role, c.name, c.source or "—", c.licence or "unknown"] for c in networks]
        lines.append(_table(["role", "network", "from", "licence"], rows))
    data = provenance.with_role("data")
    if data:
        rows = [_data_row(credit) for credit in data]
        lines.append(_table(["data", "from", "licence", ""], rows))
        lines.append(
            "Licences of data are listed as their publishers state them; whether they reach a "
            "model trained on the data is not settled."
        )
    return "\n\n".join(lines)


def _data_row(credit: Credit) -> list[str]:
    return [credit.name, credit.source or "—", credit.licence or "see its source", credit.note]


def _training(provenance: Provenance) -> str:
    if not provenance.stages:
        return ""
    rows = []
    for stage in provenance.stages:
        recipe = stage.get("recipe", {})
        run = recipe.get("run", {})
        settings = [f"{key} {run[key]}" for key in _RECIPE_FIELDS if key in run]
        rate = recipe.get("optimizer", {}).get("learning_rate")
        size = recipe.get("data", {}).get("size")
        settings += [f"learning_rate {rate}"] if rate is not None else []
        settings += [f"size {size[0]}×{size[1]}"] if size else []
        rows.append([f"`{stage.get('command', '')}`", ", ".join(settings)])
    table = _table(["stage", "recipe"], rows)
    return f"## Training\n\n{table}\n\nThe whole recipes are in `training.json`."


def _metrics(facts: CardFacts) -> str:
    if not facts.reports:
        return "## Accuracy\n\nNot measured yet (`d3epth evaluate`)."
    rows = []
    for report in facts.reports:
        errors = report_errors(report)
        checkpoint = str(report.get("checkpoint", "unknown"))
        mark = "" if checkpoint == facts.digest else f" (checkpoint `{checkpoint}`)"
        split = f"{report.get('benchmark', report.get('split', '?'))}{mark}"
        numbers = [_number(errors, *names) for names in (("abs_rel", "AbsRel"), ("delta1", "d1"))]
        images = report.get("images", report.get("n", "?"))
        rows.append([split, str(images), *numbers, str(report.get("alignment", "?"))])
    return "## Accuracy\n\n" + _table(["split", "n", "AbsRel", "δ1", "alignment"], rows)


def report_errors(report: Mapping) -> Mapping:
    """The mean errors of one entry of an evaluation report; empty when it has none.

    Read by name and place, so that reports of older and newer versions pass.
    """
    means = report.get("means", report)
    if isinstance(means, Mapping):
        means = means.get("all", means)
    errors = means.get("errors", means) if isinstance(means, Mapping) else {}
    errors = errors.get("model", errors) if isinstance(errors, Mapping) else {}
    return errors if isinstance(errors, Mapping) else {}


def _number(errors: Mapping, *names: str) -> str:
    values = [errors[name] for name in names if isinstance(errors.get(name), int | float)]
    return f"{values[0]:.3f}" if values else "—"


def _use(config: dict) -> str:
    return (
        "## Use\n\n    d3epth predict photo.jpg --output out --model FOLDER_OR_OWNER/NAME@COMMIT\n\n"
        f"Output: {config['value_space']}, targets normalised by {config['normalisation']}."
    )


def _limits(config: dict, licence: str) -> str:
    height, width = config["resolution"]
    commercial = " Not for commercial use." if is_non_commercial(licence) else ""
    return (
        "## Limits\n\nDisparity is known up to a scale and a shift that differ from image to "
        "image: distances need a reference. Images are resized to about the area of "
        f"{width}×{height} pixels; thin structures can be lost there. Glass, mirrors and scenes "
        f"unlike the training data are weak. No part of it is made for safety.{commercial}"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def read_reports(paths: Sequence[Path]) -> list[dict]:
    """The benchmark entries of `d3epth evaluate --output` files.

    Raises:
        ModelError: a file is no JSON object, or holds no entry.
    """
    reports = []
    for path in paths:
        content = read_json(path)
        entries = content.get("benchmarks", [content])
        found = [e for e in entries if isinstance(e, dict) and report_errors(e)]
        if not found:
            raise ModelError(f"{path} holds no benchmark: write it with d3epth evaluate --output")
        reports += found
    return reports
