"""Measure: `python -m bench [--quick] [replicator|store|region|exchange|daemon [CASE …]]`."""

import argparse
import signal
import sys
from collections.abc import Sequence

from bench import pages
from bench.daemon.suite import DAEMON
from bench.exchange.suite import EXCHANGE
from bench.figures import Figure, Result, Suite, machine
from bench.region.suite import REGION
from bench.replicator.suite import REPLICATOR
from bench.store.suite import STORE
from lab.errors import Unavailable

_SUITES = {
    "replicator": REPLICATOR,
    "store": STORE,
    "region": REGION,
    "exchange": EXCHANGE,
    "daemon": DAEMON,
}


def main() -> None:
    """Run the cases and print their figures; write them down where they were run in full."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the harness")
    parser.add_argument("suite", nargs="?", choices=_SUITES, help="default: all")
    parser.add_argument("cases", nargs="*", help="default: all")
    options = parser.parse_intermixed_args()
    # Gigabytes would stay behind where nothing is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    for name, suite in _SUITES.items():
        if options.suite in (None, name):
            if unknown := set(options.cases) - set(suite.names):
                parser.error(f"{min(unknown)}: not one of {', '.join(suite.names)}")
            _run(suite, options.cases or suite.names, quick=options.quick)


def _run(suite: Suite, names: Sequence[str], *, quick: bool) -> None:
    """Run cases; write down what each gave as it ends, unless it is only to try the harness."""
    with suite.open(quick) as cases:
        for name in names:
            results: list[Result] = []
            try:
                for result in cases[name]():
                    told = pages.line(result) if isinstance(result, Figure) else pages.lines(result)
                    print(told, flush=True)
                    results.append(result)
            except Unavailable as error:
                print(f"SKIPPED {name}: {error}", file=sys.stderr, flush=True)
            else:
                if not quick:
                    facts = {**machine(), **suite.facts()}
                    pages.write(suite.page, suite.names, name, facts, results)


if __name__ == "__main__":
    main()
