"""Where the `reward-service` command begins: Ctrl-C ends it also while its modules are still being imported."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """As `reward_service.cli.main`."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # there is nothing yet to put away
    from reward_service.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
