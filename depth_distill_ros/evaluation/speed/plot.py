"""Operations and parameters against time, of whole networks: `d3epth bench --plot`."""

from __future__ import annotations

from pathlib import Path

from depth_distill_ros.errors import ConfigError

_AXES = (("gflop", 1, "operations, GFLOP"), ("parameters", 1e-6, "parameters, million"))
_MARKERS = "osD^v<>P"


def plot(report: dict, path: Path) -> None:
    """Draws the whole networks of a report: time an image against operations, and against parameters.

    Weights are random, so accuracy is not drawn. The dashed line is the roofline.

    Args:
        report: of ``bench_speed``.
        path: a picture, its kind by its suffix; its folder is made.

    Raises:
        ConfigError: matplotlib is not installed, the suffix is unknown to it, or the report holds no
            network whose operations are known.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "--plot needs matplotlib: pip install 'depth_distill_ros[peers]'"
        ) from error
    points = _points(report)
    if not points:
        raise ConfigError("there is nothing to plot: measure whole networks (--full)")
    figure = Figure(figsize=(12, 5), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, (key, factor, label) in zip(both, _AXES, strict=True):
        for number, (name, part) in enumerate(points.items()):
            style = {"marker": _MARKERS[number % len(_MARKERS)], "color": f"C{number % 10}"}
            low, high = (abs(part["ms"] - end) for end in part["ms_range"])
            bar = [[low], [high]]
            axes.errorbar(
                factor * part[key], part["ms"], bar, ls="", capsize=3, label=name, **style
            )
        axes.set(xscale="log", yscale="log", xlabel=label)
        axes.grid(alpha=0.3, which="both")
    both[0].set_ylabel("ms an image")
    _draw_roofline(both[0], report)
    figure.legend(*both[1].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    facts = report["machine"]
    figure.suptitle(
        f"{facts['gpu'] or facts['cpu']}, {facts['threads']} threads, {report['precision']}, "
        "random weights: medians and ranges of alternated turns",
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise ConfigError(f"{path} cannot be drawn: {error}") from error


def _points(report: dict) -> dict[str, dict]:
    """Whole networks by name, from the comparisons that say so, each once."""
    points: dict[str, dict] = {}
    for comparison in report["comparisons"]:
        if comparison["whole"]:
            points = {**comparison["parts"], **points}
    return {name: part for name, part in points.items() if part["gflop"] and part["parameters"]}


def _draw_roofline(axes, report: dict) -> None:
    peak = report["roofline"][report["precision"]]["gflop_per_s"]
    ends = axes.get_xlim()
    axes.plot(ends, [1000 * x / peak for x in ends], color="0.6", linestyle="--", zorder=0)
    axes.set_xlim(ends)
