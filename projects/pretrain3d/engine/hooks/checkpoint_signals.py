"""Signals by which clusters end a run: noted when they come, acted on between two steps, by all ranks at once."""
import os
import signal
import threading
from typing import Dict, Optional, Sequence, Set

import torch
from mmengine.dist import all_reduce, get_world_size
from torch.utils.data._utils import signal_handling

# What a run exits with that was told to stop and has saved: "try again later" (EX_TEMPFAIL of sysexits.h).
EXIT_STOPPED = 75


class StopRequest:
    """Whether a run has been told to stop.

    Args:
        signals: Names of the signals.
        interval: Ranks of a distributed run ask each other every so many iterations.
    """

    def __init__(self, signals: Sequence[str], interval: int) -> None:
        self.signals = [getattr(signal, name) for name in signals]
        self.interval = interval
        self.received: Optional[int] = None
        self._before: Dict[int, object] = {}
        if self.signals:
            shield_workers()

    def install(self) -> None:
        """From now on, note the signals instead of dying; python allows it in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            for number in self.signals:
                self._before.setdefault(number, signal.signal(number, self._note))

    def uninstall(self) -> None:
        """What the signals did before."""
        while self._before:
            number, before = self._before.popitem()
            signal.signal(number, before if before is not None else signal.SIG_DFL)

    def _note(self, number: int, frame: object) -> None:
        self.received = number

    def agreed(self, iteration: Optional[int] = None) -> bool:
        """Whether to stop now; all ranks get the same answer and must all ask.

        Args:
            iteration: The number of the step that has ended; ``None`` to ask the other ranks whatever it is.
        """
        if get_world_size() == 1:
            return self.received is not None
        if iteration is not None and iteration % self.interval:
            return False
        flag = torch.tensor([self.received or 0])
        all_reduce(flag, 'max')
        self.received = int(flag) or None
        return self.received is not None


def shield_workers() -> None:
    """Let workers of data loaders outlive a signal that goes to the whole process group, as Slurm's do.

    A worker that dies takes the run down before it has saved. SIGTERM from the run itself, which ends its workers so,
    still ends them. Forked workers have it from their parent; spawned ones (``mp_start_method='spawn'``) do not.
    """
    original = signal_handling._set_worker_signal_handlers
    if hasattr(original, 'shields'):
        return

    def set_handlers(*args) -> None:
        original(*args)
        signals = {signal.SIGTERM, signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=obey_parent, args=(signals,), daemon=True).start()

    set_handlers.shields = True
    signal_handling._set_worker_signal_handlers = set_handlers


def obey_parent(signals: Set[int]) -> None:
    """Wait for ``signals``, which are blocked, and end this process on a SIGTERM of its parent's."""
    while True:
        told = signal.sigwaitinfo(signals)
        if told.si_signo == signal.SIGTERM and told.si_pid == os.getppid():
            os._exit(0)
