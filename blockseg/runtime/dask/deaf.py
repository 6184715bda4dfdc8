"""A process ignores Ctrl-C and SIGTERM from when it imports this; for templates alone.

Both reach all processes of a terminal or of a job, and the driver decides what ends.
Whoever starts such a process blocks both meanwhile, so that none comes before this.
"""

from __future__ import annotations

import signal

for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_number})
