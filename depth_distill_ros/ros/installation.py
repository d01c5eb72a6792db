"""What to say about an installation that lacks a part."""

from __future__ import annotations

from depth_distill_ros.errors import ConfigError


def without_rclpy(error: ImportError) -> ConfigError:
    """What to say where rclpy cannot be imported."""
    return ConfigError(
        f"rclpy cannot be imported ({error}): `source /opt/ros/<distro>/setup.bash`, "
        "or `pip install 'depth_distill_ros[ros]'`"
    )
