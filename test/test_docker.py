"""The files in docker/ as far as they can be checked without Docker."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "docker").glob("Dockerfile.*"))
PACKAGE = "src/depth_distill_ros/"


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) with continued lines joined, comments left out."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def copies(path: Path) -> list[tuple[list[str], str]]:
    """(sources, target) of each COPY."""
    words = [arguments.split() for name, arguments in instructions(path) if name == "COPY"]
    return [(found[:-1], found[-1]) for found in words]


def copied(path: Path, source: str, target: str, into: Path) -> None:
    """Does what COPY does, below another root."""
    place = into / target.lstrip("/")
    if target.endswith("/"):
        place /= Path(source).name
    place.parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / source).is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "weights")
        shutil.copytree(ROOT / source, place, dirs_exist_ok=True, ignore=ignored)
    else:
        shutil.copy(ROOT / source, place)


def test_there_is_one_for_each_platform():
    assert [path.suffix for path in FILES] == [".cuda", ".jetson"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_the_base_is_one_release(path):
    (base,) = [arguments for name, arguments in instructions(path) if name == "FROM"]
    name, _, tag = base.rpartition(":")
    assert re.fullmatch(r"(nvcr\.io/)?nvidia/[\w-]+", name)
    assert re.match(r"r?\d+\.\d+\.\d+", tag), "a tag that does not move"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_what_is_copied_exists_and_is_not_ignored(path):
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    assert "*" in rules, "nothing but what is allowed: no secrets, no environments"
    sources = [source for found, _ in copies(path) for source in found]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == rule or source.startswith(rule + "/") for rule in allowed), source
    for rule in allowed:
        assert any(source == rule or fnmatch.fnmatch(source, rule + "/*") for source in sources)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_all_that_an_installation_reads_is_copied(path, tmp_path):
    for sources, target in copies(path):
        for source in sources:
            copied(path, source, target, tmp_path)
    package = tmp_path / PACKAGE
    for name in ("package.xml", "setup.py", "setup.cfg", "resource/depth_distill_ros"):
        assert (package / name).is_file()
    for name in ("config/d3epth.yaml", "launch/d3epth.launch.py", "training/__init__.py"):
        assert (package / name).is_file()
    assert (package / "depth_distill_ros/ros/node.py").is_file()
    for constraint in re.findall(r"-c (\S+)", path.read_text(encoding="utf-8")):
        assert (tmp_path / constraint).is_file(), constraint


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_the_requirements_are_known_before_the_code_is_copied(path, tmp_path):
    """What stands above the line that runs pip suffices for it."""
    steps = instructions(path)
    pip = next(i for i, (name, text) in enumerate(steps) if name == "RUN" and "/pip " in text)
    for name, arguments in steps[:pip]:
        if name == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                copied(path, source, target, tmp_path)
    package = tmp_path / PACKAGE
    command = [sys.executable, "setup.py", "--quiet", "egg_info"]
    result = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    requires = (package / "depth_distill_ros.egg-info/requires.txt").read_text(encoding="utf-8")
    assert "torch>=" in requires.split("[")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_the_command_runs_without_rights_and_gets_the_signals(path):
    steps = instructions(path)
    names = [name for name, _ in steps]
    (user,) = [arguments for name, arguments in steps if name == "USER"]
    assert user != "root"
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    (entry,) = [arguments for name, arguments in steps if name == "ENTRYPOINT"]
    assert entry == '["/entrypoint.sh"]', "the form without a shell"
    assert (["docker/entrypoint.sh"], "/entrypoint.sh") in copies(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.suffix)
def test_the_shell_lines_are_shell(path):
    for name, arguments in instructions(path):
        if name == "RUN":
            result = subprocess.run(["bash", "-n", "-c", arguments], capture_output=True, text=True)
            assert result.returncode == 0, f"{arguments}\n{result.stderr}"


def test_one_distribution_is_named_throughout():
    for path, distribution, codename in zip(
        FILES, ("jazzy", "humble"), ("noble", "jammy"), strict=True
    ):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"/opt/ros/(\w+)|ROS_DISTRO=(\w+)", text)) == {
            (distribution, ""), ("", distribution)
        }  # fmt: skip
        assert f"ros-{distribution}-ros-base" in text and f"/ubuntu {codename} main" in text


def test_the_entrypoint_sources_and_hands_over(tmp_path):
    """The script itself, with its folders elsewhere."""
    script = ROOT / "docker" / "entrypoint.sh"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    text = script.read_text(encoding="utf-8")
    for folder in ("/opt/ros/test", "/ws/.venv/bin", "/ws/install"):
        (tmp_path / folder[1:]).mkdir(parents=True)
    for sourced in ("opt/ros/test/setup.bash", "ws/.venv/bin/activate", "ws/install/setup.bash"):
        (tmp_path / sourced).write_text(f'export SOURCED="$SOURCED {sourced}"\n')
    text = text.replace("/opt/", f"{tmp_path}/opt/").replace("/ws/", f"{tmp_path}/ws/")
    (tmp_path / "entrypoint.sh").write_text(text)
    command = [
        "bash",
        tmp_path / "entrypoint.sh",
        "bash",
        "-c",
        'echo "$SOURCED|$1|$PPID"',
        "-",
        "a b",
    ]
    environment = {**os.environ, "ROS_DISTRO": "test", "SOURCED": ""}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    sourced, argument, parent = result.stdout.strip().split("|")
    assert sourced.split() == [
        "opt/ros/test/setup.bash", "ws/.venv/bin/activate", "ws/install/setup.bash"
    ]  # fmt: skip
    assert argument == "a b", "arguments stay apart"
    assert int(parent) == os.getpid(), "the command has taken the place of the shell"
