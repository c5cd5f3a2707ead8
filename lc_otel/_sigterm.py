"""SIGTERM in, spans delivered out, before the signal takes the effect it would have had."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from lc_otel._errand import Errand, Runner

if TYPE_CHECKING:
    from types import FrameType


def deliver_on_sigterm(shutdown: Errand, flush: Errand, timeout: float) -> Errand:
    """Have spans delivered when the process is told to terminate (docs/adr/0011-sigterm.md).

    Where the signal would kill the process, ``shutdown`` comes before that; where the program
    handles it, ``flush`` comes before its handler; where it is ignored, nothing happens.

    Args:
        shutdown: Ends open runs and sends what is left.
        flush: Sends what has ended.
        timeout: Seconds after which the signal takes its effect whatever has been delivered.

    Returns:
        Takes the handler away again, where it is still the one in place; from then on it delivers
        nothing.

    Raises:
        ValueError: The calling thread is not the main one.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN:
        return lambda: None
    # in a thread, since the main one may hold any lock in the middle of what it was doing
    runner = Runner("lc-otel-sigterm")

    def handle(number: int, frame: FrameType | None) -> None:
        if callable(before):
            runner.run(flush, timeout)
            before(number, frame)
        else:
            runner.run(shutdown, timeout)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)

    def undo() -> None:
        runner.close()
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is handle
        ):
            signal.signal(signal.SIGTERM, before)

    return undo
