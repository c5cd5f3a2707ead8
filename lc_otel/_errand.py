"""A function in, whether it was done in time out: one thread waits so that callers need not."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable

Errand = Callable[[], object]


class Runner:
    """Runs functions one after another, in a thread made beforehand.

    Beforehand, because from Python 3.12 on no thread can be started while the interpreter exits,
    and that is when it is needed most.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.closed = False
        self._begin()
        call_in_child(self._begin)

    def _begin(self) -> None:
        self._errands: queue.SimpleQueue[tuple[Errand, threading.Event] | None]
        self._errands = queue.SimpleQueue()
        if not self.closed:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def run(self, errand: Errand, timeout: float) -> bool:
        """Run a function that must not raise; whether it was done within ``timeout`` seconds.

        One that was not goes on in the background. After `close` none is run.
        """
        if self.closed:
            return False
        done = threading.Event()
        self._errands.put((errand, done))
        return done.wait(timeout)

    def close(self) -> None:
        """Have the thread end once it has done what it was given."""
        self.closed = True
        self._errands.put(None)

    def _work(self) -> None:
        for errand, done in iter(self._errands.get, None):
            errand()
            done.set()


def call_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in every child forked from now on, as long as its object lives.

    A child has none of the parent's threads, and must not use its connections.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(after_in_child=_while_alive(method))


def call_around_fork(before: Callable[[], None], after: Callable[[], None]) -> None:
    """Call bound methods before and after each fork, in the process that forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_while_alive(before), after_in_parent=_while_alive(after))


def _while_alive(method: Callable[[], None]) -> Callable[[], None]:
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
