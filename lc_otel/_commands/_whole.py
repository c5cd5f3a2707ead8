"""Text in, a file that is written whole or not at all out."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_whole(path: Path, pieces: Iterable[str]) -> None:
    """Write a file, or leave what was there, even where Ctrl-C ends it.

    A file that was there keeps its mode, and a link leads where it led. What is no file, such as a
    pipe or ``/dev/stdout``, is written to as it is.

    Raises:
        OSError: It cannot be written.
    """
    mode = path.stat().st_mode if path.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        with path.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        return
    path = Path(os.path.realpath(path))  # Path.resolve raises no OSError for links in a circle
    unfinished = path.with_name(f"{path.name}.part")

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else 0o600)

    try:
        with open(unfinished, "w", encoding="utf-8", opener=create) as file:
            if mode is not None:
                unfinished.chmod(stat.S_IMODE(mode))
            file.writelines(pieces)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
