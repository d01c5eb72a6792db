#!/usr/bin/env bash
# The environment of README.md's "On a ROS 2 machine", then the command. ROS's own scripts use
# variables that are not set, so there is no `set -u`.
set -e
source "/opt/ros/$ROS_DISTRO/setup.bash"
source /ws/.venv/bin/activate
source /ws/install/setup.bash
# In place of this shell: signals of `docker stop` must reach the command.
exec "$@"
