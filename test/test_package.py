"""The package's declarations against its code: versions, requirements, layers, what is installed."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

import depth_distill_ros

ROOT = Path(__file__).resolve().parents[1]
NAME = "depth_distill_ros"
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "jinja2": "Jinja2",
    "PIL": "Pillow",
    "rerun": "rerun-sdk",
    "yaml": "PyYAML",
}
ROS_PACKAGES = {"tf2_ros": "tf2_ros_py"}
# Optional, and without a wheel.
FROM_APT_ALONE = {"cv_bridge", "sensor_msgs_py", "tf2_ros"}
COMMANDS = {
    "d3epth": f"{NAME}.cli:main",
    "d3epth_metrics": f"{NAME}.evaluation.live_metrics:main",
    "d3epth_node": f"{NAME}.ros.node:main",
}

# What each layer may import, besides itself; the rest of the names are `errors` and the package.
LAYERS = {
    "geometry": set(),
    "models": set(),
    "inference": {"models"},
    "ros": {"inference", "geometry"},
    "evaluation": {"inference", "geometry", "models", "ros"},
    "cli": {"evaluation", "inference", "models", "geometry"},
}


def imports_of(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere, those for type checks included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def third_party(folder: Path) -> set[str]:
    """Top-level names that the files below a folder import from outside the repository."""
    names = {name.split(".")[0] for path in folder.rglob("*.py") for name in imports_of(path)}
    return names - set(sys.stdlib_module_names) - {NAME, "training"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(*extras: str) -> set[str]:
    """Normalised names of the distributions that `pip install depth_distill_ros[extras]` names."""
    found = set()
    for line in distribution(NAME).requires or []:
        extra = re.search(r"extra == ['\"](.+?)['\"]", line)
        if extra is None or extra[1] in extras:
            found.add(normalised(re.match(r"[\w.-]+", line)[0]))
    return found


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def rosdep_keys() -> set[str]:
    return {element.text for element in manifest() if element.tag.endswith("depend")}


def test_the_version_is_the_same_everywhere():
    assert manifest().findtext("version") == depth_distill_ros.__version__
    assert distribution(NAME).version == depth_distill_ros.__version__


@pytest.mark.parametrize(
    ("folder", "extras"), [(NAME, ("ros", "onnx", "peers", "viewer")), ("training", ("train",))]
)
def test_what_is_imported_is_required(folder, extras):
    required = requirements(*extras)
    keys = rosdep_keys()
    for name in sorted(third_party(ROOT / folder)):
        wheel = f"ros-jazzy-{normalised(name)}"
        key = ROS_PACKAGES.get(name, name)
        assert key in keys or normalised(DISTRIBUTIONS.get(name, name)) in required, name
        assert key not in keys or wheel in required or name in FROM_APT_ALONE, (
            f"{name} comes from apt, but its wheel is not among the requirements"
        )


def test_the_launch_files_packages_are_in_package_xml():
    names = third_party(ROOT / "launch")
    assert "launch" in names
    assert names <= rosdep_keys()


def test_the_oldest_versions_that_are_tested_are_the_lower_bounds():
    lines = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    lowest = dict(line.split("==") for line in lines if "==" in line)
    lowest = {normalised(name): version for name, version in lowest.items()}
    for line in distribution(NAME).requires or []:
        bound = re.match(r"([\w.-]+)>=([\w.]+)", line)
        if bound and normalised(bound[1]) not in ("onnxruntime-gpu", "ruff"):
            assert lowest[normalised(bound[1])].startswith(bound[2]), line


@pytest.mark.parametrize("path", sorted((ROOT / NAME).rglob("*.py")), ids=lambda p: p.stem)
def test_imports_run_downwards(path):
    parts = path.relative_to(ROOT / NAME).with_suffix("").parts
    names = list(imports_of(path))
    assert not [name for name in names if name.split(".")[0] == "training"]
    if parts[0] != "ros":
        assert not [name for name in names if name.split(".")[0] in ("rclpy", "sensor_msgs")]
    layer = parts[0]
    for name in names:
        imported = name.split(".")[1] if name.startswith(f"{NAME}.") else None
        if layer in LAYERS and imported in LAYERS and imported != layer:
            assert imported in LAYERS[layer], f"{layer} imports {name}"


def test_the_commands_are_installed():
    installed = {entry.name: entry.value for entry in distribution(NAME).entry_points}
    assert installed == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_explain_themselves_without_pytorch(name):
    module, function = COMMANDS[name].split(":")
    code = f"""
import sys
sys.argv = [{name!r}, "--help"]
from {module} import {function} as command
try:
    status = command()
except SystemExit as end:
    status = end.code
assert not status, status
assert "torch" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "usage:" in result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """Names of the files in a wheel that is built from a copy of the repository."""
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "out", "runs", "build", "install", "log")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    command = [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", str(folder)]
    result = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True)
    if "invalid command 'bdist_wheel'" in result.stderr:
        pytest.skip("setuptools is older than 70 and the package wheel is not installed")
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return archive.namelist()


def test_a_wheel_holds_all_that_is_read_at_run_time(wheel):
    share = f"{NAME}-{depth_distill_ros.__version__}.data/data/share"
    for folder in ("launch", "config"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.is_file() and path.suffix != ".pyc":
                assert f"{share}/{NAME}/{path.relative_to(ROOT)}" in wheel
    assert f"{share}/ament_index/resource_index/packages/{NAME}" in wheel
    evaluation = ROOT / NAME / "evaluation"
    read = [
        (ROOT / NAME / "weights").rglob("*"),
        evaluation.rglob("*.json"),
        evaluation.rglob("*.j2"),
    ]
    files = {path for found in read for path in found if path.is_file()}
    assert {str(path.relative_to(ROOT)) for path in files} <= set(wheel)


def test_a_wheel_holds_both_packages_and_no_tests(wheel):
    for package in (NAME, "training"):
        modules = (ROOT / package).rglob("*.py")
        assert {str(path.relative_to(ROOT)) for path in modules} <= set(wheel)
    assert not [name for name in wheel if name.startswith("test")]


def test_every_package_is_found_by_setuptools():
    for package in (NAME, "training"):
        for path in (ROOT / package).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} lacks __init__.py"
