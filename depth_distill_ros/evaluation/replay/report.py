"""What a replay found: report.json for programs, frames.csv for tables, report.html for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.evaluation.benchmarks import ALIGNMENT
from depth_distill_ros.evaluation.replay.charts import LEFT, RIGHT, WIDTH, Chart
from depth_distill_ros.evaluation.replay.journal import read_lines
from depth_distill_ros.evaluation.replay.measure import ERRORS, DepthRange
from depth_distill_ros.evaluation.replay.pictures import ERROR_END, Album, Pictures
from depth_distill_ros.evaluation.replay.review import FLOOR
from depth_distill_ros.evaluation.replay.table import Table, write_csv
from depth_distill_ros.evaluation.tables import write_json, write_text
from depth_distill_ros.evaluation.temporal import VARIANTS
from depth_distill_ros.geometry.colour import colourise

TEMPLATE = Path(__file__).with_name("report.html.j2")

STAGES = ("decode", "infer", "scale", "depth", "cloud", "total")


@dataclass(frozen=True)
class About:
    """What the numbers are about.

    Attributes:
        title: the bag, or the topic.
        facts: for people, by name.
        temporal: how depth was aligned for the temporal error.
        limits: metres within which depth was compared.
        problems: what the pipeline complained of, and how often.
    """

    title: str
    facts: dict[str, Any]
    temporal: str
    limits: DepthRange
    problems: dict[str, int]


def summarise(about: About, table: Table, max_abs_rel: float | None) -> dict[str, Any]:
    """The report as JSON values; what was not measured is absent or null."""
    summaries = {name: table.summary(name) for name in table.names}
    kind = "metric" if summaries.get("metric.abs_rel") else "aligned"
    judged = summaries.get(f"{kind}.abs_rel")
    refused = table.texts.get("problem", Counter())
    report = {
        "source": about.title,
        **about.facts,
        "frames": table.count,
        "scored": judged["n"] if judged else 0,
        "refused": dict(refused),
        "alignment": ALIGNMENT,
        "depth_range": list(about.limits),
    }
    for name in ("aligned", "metric"):
        report[name] = {error: summaries.get(f"{name}.{error}") for error in ERRORS}
    report["coverage"] = summaries.get("coverage")
    report["scale_error"] = summaries.get("scale_error")
    report["scale_jitter"] = jitter(table.column("scale_error"))
    report["scale_status"] = dict(table.texts.get("scale.status", {}))
    report["tae_alignment"] = about.temporal
    report["tae"] = {name: summaries.get(f"tae.{name}") for name in (*VARIANTS, "measured")}
    report["latency_ms"] = {stage: summaries.get(f"latency.{stage}") for stage in STAGES}
    report["problems"] = about.problems
    report["threshold"] = {
        "max_abs_rel": max_abs_rel,
        "of": kind,
        "abs_rel": judged["mean"] if judged else None,
        "passed": max_abs_rel is None or (judged is not None and judged["mean"] <= max_abs_rel),
    }
    return report


def jitter(scale_error: np.ndarray) -> dict[str, float] | None:
    """Relative change of the scale error from frame to frame: mean and 95th percentile."""
    changes = np.abs(np.diff(np.log(scale_error)))
    changes = changes[np.isfinite(changes)]
    if not changes.size:
        return None
    return {
        "n": int(changes.size),
        "mean": float(changes.mean()),
        "p50": float(np.median(changes)),
        "p95": float(np.percentile(changes, 95)),
    }


def write_report(folder: Path, report: dict, about: About, table: Table, album: Album) -> None:
    """Writes report.json, frames.csv and report.html into the folder of a run."""
    write_json(folder / "report.json", report)
    write_csv(folder / "frames.csv", read_lines(folder / "frames.jsonl"), table)
    write_text(folder / "report.html", page(report, about, table, album))


def page(report: dict, about: About, table: Table, album: Album) -> str:
    """The page: one file, nothing from elsewhere."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    times = (table.column("recorded") - table.column("recorded")[0]) / 1e9
    shown = [chart for chart in charts(table) if chart.lines]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        about=about,
        tiles=tiles(report),
        rows=rows(report),
        charts=[(chart, chart.svg(times)) for chart in shown],
        plot={"left": LEFT / WIDTH, "right": 1 - RIGHT / WIDTH, "end": float(times[-1])},
        moments=[_moment(one, table, times) for one in album.moments()],
        worst=[_moment(one, table, times) for one in album.worst_moments()],
        wide=album.is_wide,
        ramp=_ramp(),
        error_end=ERROR_END,
    )


def _moment(pictures: Pictures, table: Table, times: np.ndarray) -> dict[str, Any]:
    """What the page shows of a frame."""
    row = pictures.frame
    names = {"aligned.abs_rel": "AbsRel aligned", "metric.abs_rel": "AbsRel metric"}
    names |= {"scale_error": "scale", f"tae.{VARIANTS[0]}": "TAE", "latency.total": "latency"}
    values = {text: table.column(name)[row] for name, text in names.items()}
    numbers = []
    for text, value in values.items():
        if np.isfinite(value):
            numbers.append(f"{text} {value:.0f} ms" if text == "latency" else f"{text} {value:.3f}")
    return {
        "frame": row,
        "time": round(float(times[row]), 3),
        "text": " · ".join(numbers) or "not scored",
        "panels": pictures.uris(),
    }


def _ramp() -> list[str]:
    """The colours of the maps from far to near, for a gradient."""
    ramp = colourise(np.linspace(0, 1, 9, dtype=np.float32)[None, :], 0.0, 1.0)[0]
    return [f"rgb({r} {g} {b})" for r, g, b in ramp.tolist()]


def tiles(report: dict) -> list[tuple[str, str, str]]:
    """The numbers that matter most: name, value, what it is."""
    kind = report["threshold"]["of"]
    found = []

    def tile(name: str, summary: dict | None, form: str, key: str, text: str) -> None:
        if summary:
            found.append((name, form.format(summary[key]), text))

    errors = report[kind]
    about = "metres as published" if kind == "metric" else "aligned per image"
    tile("AbsRel", errors["abs_rel"], "{:.3f}", "mean", about)
    tile("δ1", errors["delta1"], "{:.3f}", "mean", "share within a factor of 1.25")
    tile("RMSE", errors["rmse"], "{:.2f} m", "mean", about)
    tile(
        "scale error",
        report["scale_error"],
        "{:.3f}",
        "p50",
        "predicted / true, median; 1 is right",
    )
    tile("scale jitter", report["scale_jitter"], "{:.1%}", "mean", "change from frame to frame")
    measured = report["tae"]["measured"]
    floor = f"; of the measured depth {measured['mean']:.1%}" if measured else ""
    tile("TAE", report["tae"][VARIANTS[0]], "{:.1%}", "mean", f"frame to frame{floor}")
    tile("latency", report["latency_ms"]["total"], "{:.0f} ms", "p50", "median of all stages")
    return found


def rows(report: dict) -> list[tuple[str, dict]]:
    """The table of means: what, and its summary."""
    found = {}
    for kind, text in (("aligned", "aligned per image"), ("metric", "metric, as published")):
        for error, title in zip(ERRORS, ("AbsRel", "δ1", "RMSE in m")):
            found[f"{title}, {text}"] = report[kind][error]
    found["Scale error, predicted / true"] = report["scale_error"]
    found["Scale jitter, frame to frame"] = report["scale_jitter"]
    titles = ("where measured (Depth Any Video)", "all pixels (Video Depth Anything)")
    for variant, title in zip((*VARIANTS, "measured"), (*titles, "of the measured depth itself")):
        found[f"TAE, {title}"] = report["tae"][variant]
    found["Measured pixels that are predicted"] = report["coverage"]
    for stage, summary in report["latency_ms"].items():
        found[f"Latency in ms, {stage}"] = summary
    return [(name, summary) for name, summary in found.items() if summary]


def charts(table: Table) -> list[Chart]:
    """What is drawn over time; those without any value have no lines."""

    def lines(**names: str) -> dict[str, np.ndarray]:
        columns = {text.replace("_", " "): table.column(name) for text, name in names.items()}
        return {text: line for text, line in columns.items() if np.isfinite(line).any()}

    stages = {stage: f"latency.{stage}" for stage in ("total", "infer", "decode")}
    return [
        Chart("AbsRel", lines(metric="metric.abs_rel", aligned="aligned.abs_rel")),
        Chart(
            "Scale error, predicted / true depth",
            lines(median="scale_error"),
            "The median over the image; 1 is right.",
            reference=1.0,
        ),
        Chart(
            "Temporal alignment error",
            lines(
                where_measured=f"tae.{VARIANTS[0]}",
                all_pixels=f"tae.{VARIANTS[1]}",
                measured_depth=FLOOR,
            ),
            "The measured depth itself is the floor of what can be told.",
        ),
        Chart("Latency in ms", lines(**stages)),
    ]
