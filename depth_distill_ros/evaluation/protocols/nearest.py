"""Files that belong together because their names are times close to each other, as TUM writes them."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

STAMP = "stamp"
"""The group of a layout's expression that is a time in seconds."""


class NearestFiles:
    """Finds, among files whose names hold a time, the one nearest to an image's time.

    Args:
        names: all files.
        tolerance: seconds that the two may differ by at most.
    """

    def __init__(self, names: Iterable[str], tolerance: float):
        self._names = list(names)
        self._tolerance = tolerance
        self._known: dict[tuple[str, str], list[tuple[float, str]]] = {}

    def __call__(self, template: str, groups: Mapping[str, str], below: str) -> str:
        """The path of the nearest file; where none is near, that of the very same time.

        template: a layout's, with `{stamp}`, filled by `groups`; below: the folder that it is in.
        """
        exact = below + template.format(**groups)
        before, after = template.split(f"{{{STAMP}}}")
        ends = below + before.format(**groups), after.format(**groups)
        if ends not in self._known:
            self._known[ends] = self._files(*ends)
        files = self._known[ends]
        time = float(groups[STAMP])
        place = bisect.bisect(files, (time, ""))
        near = files[max(place - 1, 0) : place + 1]
        distance, name = min(
            ((abs(each - time), name) for each, name in near), default=(0.0, exact)
        )
        return name if distance <= self._tolerance else exact

    def _files(self, before: str, after: str) -> list[tuple[float, str]]:
        found = []
        for name in self._names:
            if name.startswith(before) and name.endswith(after):
                try:
                    found.append((float(name[len(before) : len(name) - len(after)]), name))
                except ValueError:  # a file that has no time for a name
                    continue
        return sorted(found)
