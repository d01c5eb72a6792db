"""The report of `d3epth bench` as lines for a terminal."""

from __future__ import annotations

from depth_distill_ros.evaluation.tables import columns

_HEADER = ["", "ms", "from", "to", "1/s", "GFLOP", "M parameters", "MB", "J", "of the roofline"]


def describe(report: dict) -> str:
    """The machine, its roofline, a table a comparison, and the ratios."""
    facts = report["machine"]
    lines = [
        f"{facts['gpu'] or facts['cpu']}, {facts['threads']} threads, PyTorch {facts['torch']}; "
        "medians of alternated turns"
    ]
    for precision, peak in report.get("roofline", {}).items():
        lines.append(
            f"roofline {precision}: {peak['gflop_per_s']:.0f} GFLOP/s, "
            f"{peak['gb_per_s']:.1f} GB/s in copies"
        )
    for comparison in report["comparisons"]:
        lines += ["", _title(comparison), _table(comparison["parts"])]
    if report.get("ratios"):
        rows = [["ratio", "median", "from", "to", "", ""]]
        for name, ratio in report["ratios"].items():
            numbers = [f"{ratio[key]:.2f}" for key in ("median", "min", "max")]
            rows.append([name, *numbers, ratio["precision"], ratio["of"]])
        lines += ["", columns(rows)]
    return "\n".join(lines)


def _title(comparison: dict) -> str:
    return f"{comparison['title']} ({comparison['turns']} turns, {comparison['precision']})"


def _table(parts: dict[str, dict]) -> str:
    """One row a part; columns that nothing is known of are left out."""
    rows = [[*_HEADER, "against the first"]]
    for index, (name, part) in enumerate(parts.items()):
        cells = [f"{t:.1f}" for t in (part["ms"], *part["ms_range"], 1000 / part["ms"])]
        cells += [
            _cell(part["gflop"], "{:.2f}"),
            _cell(part["parameters"], "{:.2f}", 1e-6),
            _cell(part["memory_mb"], "{:.0f}"),
            _cell(part["joules"], "{:.3g}"),
            _cell(part["roofline"], "{:.0%}"),
        ]
        rows.append([name, *cells, "" if index == 0 else _share(part["share"])])
    known = [any(row[i] not in ("–", "") for row in rows[1:]) for i in range(len(rows[0]))]
    return columns([[cell for cell, keep in zip(row, known, strict=True) if keep] for row in rows])


def _cell(value: float | None, form: str, factor: float = 1) -> str:
    return "–" if value is None else form.format(factor * value)


def _share(share: float) -> str:
    """As a fraction, as what is added, or as a multiple."""
    if share < 0.5:
        return f"1/{1 / share:.1f}"
    return f"{share - 1:+.1%}" if share < 2 else f"{share:.1f}x"
