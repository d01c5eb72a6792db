"""Errors that are a user's to mend: each says what was wrong and what to do.

Command line programs print them as one line and exit with status 2; the node logs them once per
cause and goes on with the next frame. Anything else that is raised is a defect of this package.
"""

from __future__ import annotations

import sys


class UserError(ValueError):
    """Base of every error that a user can mend without reading the code."""


class ModelError(UserError):
    """A model name, folder, configuration or weight file that cannot be used."""


class ImageError(UserError):
    """An image that cannot be read, or whose array has the wrong type or shape."""


class OutOfMemoryError(UserError):
    """Images that do not fit the memory of the device that the model runs on."""


class MessageError(UserError):
    """A ROS message whose fields contradict each other or name an unknown encoding."""


class ScaleError(UserError):
    """Depth in metres that cannot be had from what was measured; the reason says what to change."""


class BagError(UserError):
    """A bag that cannot be read or lacks the topics asked for."""


class DataError(UserError):
    """Frames, data sets or assets that are missing or not in the layout expected."""


class ConfigError(UserError):
    """A recipe or parameter whose values cannot work together."""


def refuse(error: UserError) -> int:
    """Print a user's mistake as one line on stderr; returns the exit status, 2."""
    print(f"error: {error}", file=sys.stderr)
    return 2
