"""SIGTERM in, spans delivered out, before the signal takes the effect it would have had."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lc_otel._errand import Errand, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def deliver_on_sigterm(shutdown: Errand, flush: Errand, timeout: float) -> Delivery | None:
    """Have spans delivered when the process is told to terminate (docs/adr/0011-sigterm.md).

    Where the signal would kill the process, ``shutdown`` comes before that; where the program
    handles it, ``flush`` comes before its handler; where it is ignored, nothing happens.

    Args:
        shutdown: Ends open runs and sends what is left.
        flush: Sends what has ended.
        timeout: Seconds after which the signal takes its effect whatever has been delivered.

    Returns:
        What takes this back; None where the signal is ignored, or handled outside of Python.

    Raises:
        ValueError: The calling thread is not the main one.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN or before is None:
        return None
    handler = before if isinstance(before, _Handler) else _Handler(before)
    delivery = Delivery(handler, shutdown, flush, timeout)
    signal.signal(signal.SIGTERM, handler)
    return delivery


class Delivery:
    """What one pipeline does at SIGTERM; made by `deliver_on_sigterm`."""

    def __init__(self, handler: _Handler, shutdown: Errand, flush: Errand, timeout: float) -> None:
        self.timeout = timeout
        self._handler = handler
        self._shutdown = shutdown
        self._flush = flush
        self._is_held = False
        self._released: threading.Event | None = None
        # in a thread, since the main one may hold any lock in the middle of what it was doing
        self._runner = Runner("lc-otel-sigterm")
        handler.deliveries.append(self)

    def begin(self, *, last: bool) -> Callable[[float], bool]:
        """Deliver, for the last time or not; how to wait for it (see `Runner.begin`)."""
        return self._runner.begin(self._shutdown if last else self._flush)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Have a signal that would kill the main thread in this block do so at the block's end."""
        if self._is_held or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if self._released is not None:
                self._released.set()
                os.kill(os.getpid(), signal.SIGTERM)

    def hold(self) -> bool:
        """Whether the signal must wait for a block it came in: as long as for a delivery."""
        if self._is_held and self._released is None:
            self._released = threading.Event()
            self._runner.begin(self._remind)
        return self._is_held

    def _remind(self) -> None:
        if self._released is not None and not self._released.wait(self.timeout):
            self.forget()
            os.kill(os.getpid(), signal.SIGTERM)

    def forget(self) -> None:
        """Deliver nothing from now on."""
        self._runner.close()
        self._handler.drop(self)


class _Handler:
    """The process's handler of SIGTERM, for all pipelines that ask for one."""

    def __init__(self, before: Any) -> None:
        self._before = before
        self.deliveries: list[Delivery] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        deliveries = self.deliveries.copy()
        kills = not callable(self._before)
        if kills and any(each.hold() for each in deliveries):
            return
        end = time.monotonic() + max((each.timeout for each in deliveries), default=0)
        for wait in [each.begin(last=kills) for each in deliveries]:
            wait(max(end - time.monotonic(), 0))
        if kills:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        else:
            self._before(number, frame)

    def drop(self, delivery: Delivery) -> None:
        """Forget a pipeline; with the last one, make way for the handler of before.

        Only the main thread can: elsewhere this one stays, and just does what that would have done.
        """
        if delivery in self.deliveries:
            self.deliveries.remove(delivery)
        if self.deliveries or threading.current_thread() is not threading.main_thread():
            return
        before = self._before
        if signal.getsignal(signal.SIGTERM) is self:
            signal.signal(signal.SIGTERM, before)
