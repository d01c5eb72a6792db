"""The scenarios are helpers beside the tests, which bench/faults.py runs as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
