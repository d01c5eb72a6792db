"""The helper replay_bags lies beside the tests, which pytest imports as single files."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
