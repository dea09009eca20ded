"""Signals that end a program whose work so far is worth saving."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from ..training.callbacks import Callback
from ..training.state import Epoch, Training

_SIGNALS = [s for name in ("SIGINT", "SIGTERM", "SIGHUP") if (s := getattr(signal, name, None))]


class Stop(KeyboardInterrupt):
    """Ctrl-C, or a signal that asks to end; `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum


class Stoppable:
    """Within, Ctrl-C, SIGTERM and the end of the terminal raise `Stop`, once.

    The work until then can be saved: further signals wait until the end of the block.
    Signals that are ignored, as by nohup, stay so. `between_steps` is a callback with which a
    training is stopped between two steps, where it can go on later.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self.is_held = False
        self._asked: int | None = None

    @property
    def between_steps(self) -> Callback:
        """A callback of a training."""
        return _BetweenSteps(self)

    def stop_if_asked(self) -> None:
        """Raise `Stop` if a signal came while it was held back."""
        if self._asked is not None:
            signum, self._asked = self._asked, None
            raise Stop(signum)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def ignore(self) -> None:
        """From here to the end of the block, no signal interrupts."""
        for signum in self._before:
            signal.signal(signum, signal.SIG_IGN)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self.ignore()
        if not self.is_held:
            raise Stop(signum)
        self._asked = signum


class _BetweenSteps(Callback):
    def __init__(self, signals: Stoppable) -> None:
        self._signals = signals

    def begin(self, training: Training) -> None:
        self._signals.is_held = True

    def step(self, training: Training) -> None:
        self._signals.stop_if_asked()

    def epoch(self, training: Training, record: Epoch) -> None:
        self._signals.stop_if_asked()

    def end(self, training: Training) -> None:
        self._signals.is_held = False
        self._signals.stop_if_asked()


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code of a program that a signal ended: 130 after Ctrl-C."""
    return 128 + getattr(error, "signum", signal.SIGINT)
