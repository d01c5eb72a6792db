"""The tables of the methods: means over seeds, their spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from depth_distill_ros.evaluation.streams.measure import MEASURED
from depth_distill_ros.evaluation.streams.predictors import PER_FRAME, STREAMING, WINDOWS
from depth_distill_ros.evaluation.tables import write_json
from training.ablation_report import cell, collect, draw, set_title, spread
from training.scenes.files import replace_file
from training.trials import Reports

_ERRORS = {"abs_rel.clip": "AbsRel", "tae.depth_any_video": "TAE", "boundary_f1": "boundary F1"}
_SPLITS = {"clips": "rendered clips", "frames": "sequence"}


def write_methods(page: Path, images: Reports, videos: Reports, rows: Sequence[str]) -> None:
    """Write the Markdown page and, beside it, ``.json`` with every seed's number and, of images,
    ``.png``.

    Args:
        page: the file.
        images: reports of ``d3epth evaluate`` on images, under "evaluation".
        videos: on clips and a sequence, under "clips" and "frames".
        rows: names in the order of the tables.
    """
    flat = {job: found["evaluation"] for job, found in images.items()}
    names = _names(images, rows)
    sets = collect(flat, names) if flat else []
    streams = {name: video_numbers(videos, name, rows) for name in _SPLITS if videos}
    streams = {name: numbers for name, numbers in streams.items() if numbers}
    write_json(page.with_suffix(".json"), {"images": sets, "videos": streams})
    if sets:
        draw(page.with_suffix(".png"), sets, names, "from d3epth-tiny")
    lines = image_table(sets, rows) if sets else []
    for name, numbers in streams.items():
        lines += ["", *video_table(_SPLITS[name], numbers)]
    text = "\n".join(lines) + "\n"
    replace_file(page, lambda file: file.write(text.encode()))


def image_table(sets: Sequence[dict], rows: Sequence[str]) -> list[str]:
    """AbsRel / δ1 in %, mean ± standard deviation over seeds, a row a variant."""
    lines = [
        f"AbsRel / δ1 in %, mean ± standard deviation over seeds; {sets[0]['alignment']}.",
        "",
        "| | seeds | " + " | ".join(set_title(entry) for entry in sets) + " |",
        "|---" * (len(sets) + 2) + "|",
    ]
    for row in rows:
        found = [entry["variants"].get(row) for entry in sets]
        if all(found):
            cells = " | ".join(cell(values) for values in found)
            lines.append(f"| {row} | {len(found[0]['abs_rel'])} | {cells} |")
    return lines


def video_numbers(reports: Reports, name: str, rows: Sequence[str]) -> dict[str, dict]:
    """By variant: each error of all seeds, the column that it is of, and TAE's floor.

    The column is how a video comes out of ``d3epth predict``: windows of a video model, streaming of
    one with a temporal head, else frame by frame.
    """
    numbers: dict[str, dict] = {}
    for row in _names(reports, rows):
        found = [
            report[name]["streams"]
            for (variant, _), report in sorted(reports.items())
            if variant == row and name in report
        ]
        if not found:
            continue
        means = [report["means"]["all"]["errors"] for report in found]
        column = next(c for c in (WINDOWS, STREAMING, PER_FRAME) if c in means[0])
        values = {
            error: [mean[column][error] for mean in means if error in mean[column]]
            for error in _ERRORS
        }
        floor = means[0].get(MEASURED, {}).get("tae.depth_any_video")
        numbers[row] = {"column": column, "split": found[0]["split"], "floor": floor, **values}
    return numbers


def video_table(title: str, numbers: dict[str, dict]) -> list[str]:
    """AbsRel and TAE in %, one fit a clip; boundary F1 in %, one fit an image."""
    floor = next(iter(numbers.values()))["floor"]
    lines = [
        f"{title}: AbsRel and TAE (`depth_any_video`) in %, one fit a clip; boundary F1 in %. "
        + (f"TAE of the measured depth itself: {100 * floor:.2f}." if floor is not None else ""),
        "",
        "| | seen | seeds | " + " | ".join(_ERRORS.values()) + " |",
        "|---" * (len(_ERRORS) + 3) + "|",
    ]
    for row, values in numbers.items():
        cells = [spread(values[error], 2) if values[error] else "–" for error in _ERRORS]
        seeds = len(values["abs_rel.clip"])
        lines.append(f"| {row} | {values['column']} | {seeds} | " + " | ".join(cells) + " |")
    return lines


def _names(reports: Reports, rows: Sequence[str]) -> list[str]:
    there = {variant for variant, _ in reports}
    return [row for row in rows if row in there]
