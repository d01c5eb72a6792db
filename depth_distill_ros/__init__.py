"""Monocular depth for ROS 2 by one-step distilled diffusion students."""

__version__ = "0.1.0"
