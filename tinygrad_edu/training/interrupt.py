"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """Inside the block, the first Ctrl-C is only noted, in ``pending``; a second one interrupts at once, as always.

    A step that is interrupted in its middle has changed some of the parameters and not others: there is nothing to be saved. In a
    thread other than the main one, which gets no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.pending = False
        self._before: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):  # not if somebody ignores the signal, or handles it outside of Python
                signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            self._before(number, frame)
        self.pending = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)
