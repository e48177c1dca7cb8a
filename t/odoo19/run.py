"""Runs the cases against the Odoo, the database and the sandbox store that script/odoo19 has started.

Prints one line per case (TAP) with the time from the commit of the payment to Captured on the order, then
`N passed, N failed`; ends with 1 when a case failed.
"""

import argparse
import statistics
import sys
import time
import traceback

import cases_payment    # noqa: F401: importing a file of cases lists them, in this order
import cases_amount     # noqa: F401
import cases_invoice    # noqa: F401
import cases_credit     # noqa: F401
import cases_order      # noqa: F401
import cases_company    # noqa: F401
import cases_enterprise  # noqa: F401
import cases_together   # noqa: F401
import cases_browser    # noqa: F401
import cases_addon      # noqa: F401
import cases_backup     # noqa: F401
import cases_operator   # noqa: F401
from bench import Bench
from cases import CASES
from database import Database
from odoo import Odoo
from sandbox import Sandbox


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--odoo", required=True, help="URL of the Odoo server")
    parser.add_argument("--database", required=True, help="name of its database, reached on --socket and --port")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--sandbox", required=True, help="URL of the sandbox store's control API")
    parser.add_argument("--screenshots", help="directory for the pictures of the cases with a browser")
    parser.add_argument("names", nargs="*", metavar="CASE", help="the name of a case, or X for all of cases_X.py")
    return parser.parse_args()


def wanted(names):
    known = {name for function in CASES for name in names_of(function)}
    if set(names) - known:
        sys.exit(f"no such case: {', '.join(sorted(set(names) - known))}; there are {', '.join(sorted(known))}")
    return [function for function in CASES if not names or names_of(function) & set(names)]


def names_of(function):
    return {function.__name__, function.__module__.removeprefix("cases_")}


def run_case(number, function, bench):
    """Runs one case and prints its line. Returns whether it passed."""
    measured, started = len(bench.latencies_ms), time.monotonic()
    try:
        function(bench)
        result, why = "ok", ""
    except Exception:                                   # whatever it was: the others are to run
        result, why = "not ok", traceback.format_exc()
    took = ", ".join(f"{ms:g}" for ms in bench.latencies_ms[measured:])
    print(f"{result} {number} - {function.__name__}: {function.__doc__}"
          f" # {time.monotonic() - started:.1f} s" + (f", Captured after {took} ms" if took else ""))
    print("".join(f"#   {line}\n" for line in why.splitlines()), end="", flush=True)
    return not why


def print_latencies(latencies_ms):
    if latencies_ms:
        ordered = sorted(latencies_ms)
        print(f"# from the commit of the payment to Captured on the order, {len(ordered)} orders:"
              f" median {statistics.median(ordered):g} ms, 90 % within {ordered[len(ordered) * 9 // 10]:g} ms,"
              f" slowest {ordered[-1]:g} ms")


def main():
    chosen = arguments()
    cases = wanted(chosen.names)
    bench = Bench(Odoo(chosen.odoo, chosen.database).login(), Database(chosen.socket, chosen.port, chosen.database),
                  Sandbox(chosen.sandbox, "odoo19", "token-of-the-cases"), chosen.screenshots)
    bench.set_up()
    print(f"1..{len(cases)}", flush=True)
    passed = sum(run_case(number, function, bench) for number, function in enumerate(cases, start=1))
    print_latencies(bench.latencies_ms)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
