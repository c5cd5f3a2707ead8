"""Parts of files that cannot be read in, the first few of them said out loud out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SAID = 5


def say(what: str) -> None:
    """Print a line on stderr."""
    print(what, file=sys.stderr)


class Skipped:
    """Says the first few; counts the rest, since a file of another kind breaks on every line."""

    def __init__(self, say: Callable[[str], None] = say) -> None:
        self.count = 0
        self._say = say

    def __call__(self, what: str) -> None:
        self.count += 1
        if self.count <= _SAID:
            self._say(what)

    def close(self) -> None:
        """Say how many more there were."""
        if self.count > _SAID:
            self._say(f"... and {self.count - _SAID:,} more skipped")
