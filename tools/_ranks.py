"""torch's launcher, run as ``python _ranks.py [arguments of torch.distributed.run]``, whose ranks may save when told to.

On SIGTERM torch's own kills ranks that take more than 30 seconds to save, on SIGUSR1 it dies and leaves them running,
and it exits with 1 in any case. Here the ranks get the signal and all the time they need, and where they have saved
and stopped the launcher exits as they do, with 75 (docs/resume.md).
"""
import runpy
import signal
import sys

EXIT_STOPPED = 75
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


def pass_signals_on(processes: type) -> None:
    """Let the class of torch's launcher that starts the ranks of this machine pass signals on to them."""
    start = processes.start

    def started(self) -> None:
        told = []

        def tell(number: int, frame: object) -> None:
            told.append(number)
            for rank in getattr(self, 'subprocess_handlers', {}).values():
                rank.proc.send_signal(number)  # none to one that has ended

        signal.signal(signal.SIGUSR1, tell)  # whose default ends this process
        start(self)
        for number in SIGNALS:  # torch has just installed its own
            signal.signal(number, tell)
        for number in told[:1]:
            tell(number, None)

    processes.start = started


def main() -> None:
    """Run the launcher."""
    stopped = ()
    try:
        from torch.distributed.elastic.multiprocessing import PContext
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError as stopped
        pass_signals_on(PContext)
    except ImportError:  # another torch: its launcher as it is
        pass
    try:
        runpy.run_module('torch.distributed.run', run_name='__main__', alter_sys=True)
    except stopped as error:
        if {failure.exitcode for failure in error.failures.values()} - {EXIT_STOPPED, -signal.SIGTERM} or (
                error.get_first_failure()[1].exitcode != EXIT_STOPPED):
            raise
        print('the ranks were told to stop; they have saved, --resume goes on', file=sys.stderr)
        sys.exit(EXIT_STOPPED)


if __name__ == '__main__':
    main()
