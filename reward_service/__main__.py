"""Where the `reward-service` command begins: signals find it ready also while its modules are still being imported.

Ctrl-C ends it without a traceback, and SIGHUP does not end `serve`, which has not read its files yet.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """As `reward_service.cli.main`."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # there is nothing yet to put away
    serves = sys.argv[1:2] == ["serve"]
    if serves:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from reward_service.cli import main as run

    if not serves:  # which imports more, and says itself from when on there is something to put away
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
