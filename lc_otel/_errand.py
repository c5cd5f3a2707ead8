"""A function in, whether it was done in time out: one thread waits so that callers need not."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Errand = Callable[[], object]


class Runner:
    """Runs functions one after another, in a thread made beforehand.

    Beforehand, because from Python 3.12 on no thread can be started while the interpreter exits,
    and that is when it is needed most.
    """

    def __init__(self, name: str) -> None:
        self._errands: queue.SimpleQueue[tuple[Errand, threading.Event]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, errand: Errand, timeout: float) -> bool:
        """Run a function that must not raise; whether it was done within ``timeout`` seconds.

        One that was not goes on in the background. In a forked child, where the thread does not
        exist, it runs in the caller's.
        """
        if not self._thread.is_alive():
            errand()
            return True
        done = threading.Event()
        self._errands.put((errand, done))
        return done.wait(timeout)

    def _work(self) -> None:
        while True:
            errand, done = self._errands.get()
            errand()
            done.set()
