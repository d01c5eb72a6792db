"""The report: its numbers, its charts, and the page as a browser shows it."""

from __future__ import annotations

import html as html_escapes
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from replay_bags import SCALE, SHIFT, exact_model, write_wall_bag

from depth_distill_ros.evaluation.images import read_rgb
from depth_distill_ros.evaluation.replay.charts import Chart, nice_ticks
from depth_distill_ros.evaluation.replay.command import replay
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.pictures import (
    BYTES,
    MOMENTS,
    WORST,
    Album,
    smaller_map,
    spread_frames,
    worst_frames,
)
from depth_distill_ros.evaluation.replay.report import jitter


def test_jitter_by_hand():
    found = jitter(np.array([1.0, 1.1, np.nan, 1.1, 1.0]))
    assert found["n"] == 2 and found["mean"] == pytest.approx(np.log(1.1))
    assert jitter(np.array([1.0])) is None


def test_ticks_are_round_and_cover_the_range():
    assert nice_ticks(0, 0.18) == [0, 0.05, 0.1, 0.15, 0.2]
    assert nice_ticks(0.9, 1.1) == [0.9, 0.95, 1.0, 1.05, 1.1]
    assert nice_ticks(0, 3600) == [0, 1000, 2000, 3000, 4000]


def test_a_line_has_gaps_and_a_long_one_a_band():
    values = np.array([1.0, 2.0, np.nan, 3.0])
    svg = Chart("x < y", {"a": values}).svg(np.arange(4.0))
    line = re.search(r'<path class="line0" d="([^"]*)"', svg)[1]
    assert line.count("M") == 2 and "band" not in svg and "x &lt; y" in svg
    assert "nan" not in svg
    rng = np.random.default_rng(0)
    long = Chart("long", {"a": rng.normal(1, 0.1, 50_000)}).svg(np.arange(50_000.0))
    assert "band" in long and len(long) < 40_000
    empty = Chart("nothing", {"a": np.full(3, np.nan)}).svg(np.zeros(3))
    assert "nan" not in empty


def test_small_maps_keep_sparse_points():
    values = np.full((200, 5000), np.nan, np.float32)
    values[13, 501] = 2.0
    small = smaller_map(values)
    assert small.shape == (50, 1250) and small[3, 125] == 2.0 and np.isfinite(small).sum() == 1


def test_worst_frames_are_not_neighbours():
    errors = np.full(500, 0.1)
    errors[100:120] = np.linspace(0.5, 0.9, 20)
    errors[300] = 0.4
    errors[400:] = np.nan
    chosen = worst_frames(errors)
    assert chosen[:3] == [119, 109, 300] and len(chosen) == WORST
    assert all(abs(a - b) >= 10 for a in chosen for b in chosen if a != b)
    assert worst_frames(np.full(5, np.nan)) == []


def test_an_album_stays_small(tmp_path):
    assert len(spread_frames(10**6)) == MOMENTS and spread_frames(3) == [0, 1, 2]
    rng = np.random.default_rng(0)
    album = Album(1.0, 10.0, range(MOMENTS))
    noise = rng.integers(0, 255, (240, 320, 3), np.uint8)  # the worst that a JPEG can meet
    depth = rng.uniform(1, 10, (240, 320)).astype(np.float32)
    for frame in range(MOMENTS):
        album.add({"frame": frame}, noise, depth, depth[::-1], (0.1, 80.0))
    moments = album.moments()
    assert sum(len(data) for one in moments for data in one.panels.values()) <= BYTES
    assert [one.frame for one in moments] == list(range(0, MOMENTS, MOMENTS // len(moments)))
    live = Album(1.0, 10.0)
    for frame in range(3 * MOMENTS):
        live.want(frame)
        live.add({"frame": frame}, noise[:8, :8], None, None, (0.1, 80.0))
    assert MOMENTS <= len(live.moments()) < 2 * MOMENTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A replay with everything that a report may show; the source's name wants to be escaped."""
    folder = tmp_path_factory.mktemp("report")
    bag = write_wall_bag(folder / "<b>&'bag'", 20)
    parameters = {"scale.mode": "fixed", "scale.scale": 1.2 * SCALE, "scale.shift": SHIFT}
    options = ReplayOptions(
        bag=bag, output=folder / "out", depth="/camera/depth", poses="/pose",
        parameters=parameters, max_abs_rel=0.5,
    )  # fmt: skip
    replay(options, exact_model, say=lambda text: None)
    return folder / "out"


def test_the_page_is_one_file_and_escapes_what_it_shows(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    title = html_escapes.unescape(re.search("<title>(.*?)</title>", page)[1])
    report = json.loads((folder / "report.json").read_text())
    assert title == f"Replay of <b>&'bag': AbsRel {report['threshold']['abs_rel']:.3f}"
    assert "<b>&'bag'" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert not re.findall(r"https?://", page)
    assert len(page) < 15_000_000
    for text in ("affine in disparity", "0123456789ab", "scale.scale = 0.6", "0.1 to 80.0 m"):
        assert text in page


# --- in a browser --------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PROBE = """
<script>
const seen = { errors: [], frames: [] };
addEventListener("error", (event) => seen.errors.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => seen.errors.push(event.blockedURI));
</script>
"""

SCRIPT = """
<script>
function look() {
  const cursor = document.querySelector(".charts .cursor").getAttribute("transform");
  const images = ["image", "depth", "truth", "error"].map((id) => document.getElementById(id));
  seen.frames.push({
    text: document.getElementById("numbers").textContent,
    cursor: Number(cursor.match(/translate\\(([\\d.]+)/)[1]),
    sources: images.map((image) => image.src.length),
    image: images[0].src.slice(-200),
    hidden: images.map((image) => image.hidden),
  });
}
function press(key) { document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }
addEventListener("load", async () => {
  look();
  press("ArrowRight"); press("ArrowRight"); look();
  press("ArrowLeft"); look();
  for (let i = 0; i < 40; i++) press("ArrowRight");
  look();
  slider.value = 5; slider.dispatchEvent(new Event("input")); look();
  const chart = document.querySelector(".charts svg"), box = chart.getBoundingClientRect();
  chart.dispatchEvent(new MouseEvent("click", { clientX: box.left + 0.5 * box.width }));
  look();
  await Promise.all([...document.images].filter((i) => !i.hidden).map((i) => i.decode()));
  seen.decoded = [...document.images].every((i) => i.hidden || i.naturalWidth > 0);
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  const result = document.createElement("pre");
  result.id = "seen";
  result.textContent = JSON.stringify(seen);
  document.body.append(result);
});
</script>
"""


def chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
               f"--log-net-log={folder / 'net.json'}", "--virtual-time-budget=8000",
               *arguments]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def visit(folder, tmp_path_factory) -> tuple[dict, str, str]:
    """What a script in the page saw, what the browser logged, and what it asked the network for."""
    scratch = tmp_path_factory.mktemp("browser")
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = page.replace("<body>", "<body>" + PROBE).replace("</body>", SCRIPT + "</body>")
    (scratch / "page.html").write_text(page, encoding="utf-8")
    result = chromium(scratch, "--dump-dom", (scratch / "page.html").as_uri())
    found = re.search(r'<pre id="seen">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, result.stderr[-2000:]
    seen = json.loads(html_escapes.unescape(found[1]))
    return seen, result.stderr, (scratch / "net.json").read_text(errors="replace")


@needs_chromium
def test_the_browser_finds_no_fault_and_asks_the_network_for_nothing(visit):
    seen, log, network = visit
    assert seen["errors"] == [] and "CONSOLE" not in log
    assert seen["decoded"] and not seen["wide"]
    started = json.loads(network[: network.rfind("]")].rstrip().rstrip(",") + "]}")["events"]
    urls = {str(event.get("params", {}).get("url", "")) for event in started}
    requested = {url for url in urls if url.startswith("http")}
    own = {url for url in requested if re.search("google|gvt1|chromium", url)}  # the browser's own
    assert requested == own


@needs_chromium
def test_keys_slider_and_charts_change_the_frame(visit):
    first, second, back, end, slid, clicked = visit[0]["frames"]
    numbers = [re.search(r"frame (\d+)", look["text"])[1] for look in visit[0]["frames"]]
    assert numbers[:5] == ["0", "2", "1", "19", "5"]
    assert 7 <= int(numbers[5]) <= 12, "a click in the middle of a chart"
    assert len({look["image"] for look in (first, second, back, end, slid)}) == 5
    assert first["cursor"] < back["cursor"] < second["cursor"] < slid["cursor"] < end["cursor"]
    assert not any(any(look["hidden"]) for look in visit[0]["frames"])
    assert all(min(look["sources"]) > 500 for look in visit[0]["frames"])
    assert "AbsRel metric" in first["text"] and "scale" in first["text"]


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_both_themes_can_be_read(folder, tmp_path, dark):
    arguments = [f"--screenshot={tmp_path / 'page.png'}", "--window-size=1200,900"]
    arguments.append(f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    chromium(tmp_path, *arguments, (folder / "report.html").as_uri())
    picture = read_rgb(tmp_path / "page.png")
    corner = picture[5, 5].astype(int)
    assert (corner.max() < 60) if dark else (corner.min() > 230)
    heading = picture[20:70, 40:500].astype(int).mean(axis=2)
    contrast = np.abs(heading - corner.mean()).max()
    assert contrast > 150, "the heading stands out"
