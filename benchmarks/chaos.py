"""The fault suite: `python -m benchmarks.chaos [FAULT ...]` (`make chaos`), about four minutes.

Each fault strikes a fresh service while 256 requests are in flight. Exit status 1 when any request went unanswered,
any reward was wrong, a fault did not strike, recovery took more than ten seconds or something was left behind.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.common import section_parser
from testbed.chaos import account, faults

SIGTERM = "SIGTERM under load"


def main() -> int:
    """Print one line per fault."""
    names = section_parser(__doc__, [*faults.FAULTS, SIGTERM]).parse_args().sections
    began, failed = time.monotonic(), False
    print(account.HEAD)
    for name in names:
        report = asyncio.run(faults.terminate() if name == SIGTERM else faults.run(name))
        print(report.line(), flush=True)
        for problem in report.problems():
            failed = True
            print(f"    FAILED: {problem}", flush=True)
        if report.tally.codes:
            print(f"    codes: {dict(report.tally.codes)}", flush=True)
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
