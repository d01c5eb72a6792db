"""The ablation's table and plot: means over seeds, their spread, and the paper's rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from depth_distill_ros.evaluation.tables import write_json

PAPER = {
    "baseline": ("Baseline", "7.8 / 94.3", "9.7 / 90.0"),
    "shallow": ("Shallow KD", "7.9 / 94.0", "9.9 / 89.9"),
    "intermediate": ("Intermediate KD", "7.6 / 94.5", "9.8 / 90.0"),
    "full": ("Full KD = Vanilla KD", "7.5 / 94.6", "9.6 / 90.1"),
    "ssi": ("SSI Loss", "7.0 / 95.1", "9.4 / 90.7"),
    "hybrid": ("Hybrid Depth Loss", "7.1 / 94.8", "9.4 / 90.9"),
    "two-stage": ("Two-Stage", "7.0 / 95.1", "9.5 / 90.6"),
    "two-stage-long": ("Two-Stage, all steps in each", "7.0 / 95.1", "9.5 / 90.6"),
}
"""The paper's name of a variant, its NYUv2 and its KITTI (AbsRel / δ1, %): Tables 3 and 4."""

Reports = dict[tuple[str, int], dict]
"""What ``d3epth evaluate --output`` wrote, by variant and seed."""


def write_report(
    output: Path, reports: Reports, variants: Sequence[str], seeds: Sequence[int], steps: int
) -> Path:
    """Write ``ablation.json``, ``ablation.md`` and ``ablation.png``; returns the Markdown file."""
    numbers = collect({job: reports[job] for job in reports if job[1] in seeds}, variants)
    write_json(output / "ablation.json", {"steps": steps, "seeds": list(seeds), "sets": numbers})
    text = "\n".join(markdown(numbers, variants, seeds, steps))
    (output / "ablation.md").write_text(text + "\n", encoding="utf-8")
    draw(output / "ablation.png", numbers, variants, f"{steps} steps each")
    return output / "ablation.md"


def collect(reports: Reports, variants: Sequence[str]) -> list[dict]:
    """One entry a test set: its name, n, alignment, and AbsRel and δ1 by variant, of its seeds in
    order."""
    sets: list[dict] = []
    first = next(iter(reports.values()))["benchmarks"]
    for place, benchmark in enumerate(first):
        for setting, row in benchmark["means"].items():
            if setting == "all":
                continue
            entry = {
                "split": benchmark["split"],
                "setting": setting,
                "n": row["n"],
                "alignment": benchmark["alignment"],
                "variants": {},
            }
            for variant in variants:
                errors = [
                    report["benchmarks"][place]["means"][setting]["errors"]["model"]
                    for (name, _), report in sorted(reports.items())
                    if name == variant
                ]
                entry["variants"][variant] = {
                    name: [error[name] for error in errors] for name in ("abs_rel", "delta1")
                }
            sets.append(entry)
    return sets


def markdown(
    numbers: Sequence[dict], variants: Sequence[str], seeds: Sequence[int], steps: int
) -> list[str]:
    """The table as lines of Markdown: AbsRel / δ1 in %, mean ± standard deviation over seeds."""
    titles = [set_title(entry) for entry in numbers]
    lines = [
        f"{steps} optimiser steps a variant, seeds {', '.join(map(str, seeds))}; "
        f"AbsRel / δ1 in %, mean ± standard deviation over seeds; {numbers[0]['alignment']}.",
        "",
        "| variant | " + " | ".join(titles) + " | paper: NYUv2 | paper: KITTI |",
        "|---" * (len(titles) + 3) + "|",
    ]
    for variant in variants:
        name, nyu, kitti = PAPER[variant]
        cells = [cell(entry["variants"][variant]) for entry in numbers]
        lines.append(f"| {variant} ({name}) | " + " | ".join([*cells, nyu, kitti]) + " |")
    return lines


def set_title(entry: dict) -> str:
    """Heading of a test set's column."""
    return f"{entry['setting']} ({_short(entry['split'])}, n {entry['n']})"


def cell(values: dict[str, list[float]]) -> str:
    """AbsRel / δ1 of the seeds, in %."""
    return " / ".join(spread(values[name]) for name in ("abs_rel", "delta1"))


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± standard deviation, in %; of one value itself."""
    text = f"{100 * mean(values):.{digits}f}"
    return f"{text} ± {100 * stdev(values):.{digits}f}" if len(values) > 1 else text


def _short(split: str) -> str:
    return "rendered" if split.endswith("(rendered)") else "real frames"


def draw(path: Path, numbers: Sequence[dict], variants: Sequence[str], title: str) -> None:
    """AbsRel of every seed as a dot, the mean as a bar, a panel a test set."""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(max(5, 3.4 * len(numbers)), 0.42 * len(variants) + 1.4), layout="constrained"
    )
    panels = figure.subplots(1, len(numbers), sharey=True, squeeze=False)[0]
    places = range(len(variants))
    for panel, entry in zip(panels, numbers, strict=True):
        for place, variant in enumerate(variants):
            values = [100 * value for value in entry["variants"][variant]["abs_rel"]]
            panel.plot(values, [place] * len(values), "o", color="#1f5fa8", alpha=0.6, ms=5)
            panel.plot([mean(values)], [place], "|", color="#c2410c", ms=18, mew=2)
        panel.set_yticks(places, variants)
        panel.set_title(f"{_short(entry['split'])}, {entry['setting']}", fontsize=10)
        panel.set_xlabel("AbsRel, %")
        panel.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    figure.suptitle(f"{title}; dots: seeds, bars: means; left is better", fontsize=10)
    figure.savefig(path, dpi=110)
