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
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        if not self.closed:
            self._thread.start()

    def run(self, errand: Errand, timeout: float) -> bool:
        """Run a function that must not raise; whether it was done within ``timeout`` seconds.

        One that was not goes on in the background. After `close` none is run.
        """
        return self.begin(errand)(timeout)

    def begin(self, errand: Errand) -> Callable[[float], bool]:
        """Have a function run; how to wait so many seconds, and learn whether it was done."""
        done = threading.Event()
        if self.closed:
            return lambda _: False
        self._errands.put((errand, done))
        if not self.closed:
            return done.wait  # `close` comes behind it

        def wait(timeout: float) -> bool:
            self._thread.join(timeout)  # which does not come to it where `close` was faster
            return done.is_set()

        return wait

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
