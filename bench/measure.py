#!/usr/bin/env python3
"""Measure figures by name, a line of JSON each: what bench/run runs in the private directory.

    python3 bench/measure.py [--quick] NAME...|all
    python3 bench/measure.py --list

Wants the server's programs in PATH, a user that PostgreSQL accepts, and a directory in BCPAID_WORK.
"""

import argparse
import glob
import importlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lib      # noqa: E402: the path must be known first

KEYS = ("name", "figure", "unit", "limit", "ratio", "target", "met")


def every_name():
    found = glob.glob(os.path.join(HERE, "figures", "*.py"))
    return sorted(os.path.basename(path)[:-3] for path in found if not path.endswith("__init__.py"))


def measure(name, bench):
    """All that there is to say of one figure, the same keys first for all."""
    module = importlib.import_module(f"figures.{name}")
    begin = time.monotonic()
    found = module.measure(bench)
    ratio = found["figure"] / found["limit"] if "ratio" not in found and found["limit"] else None
    facts = {"name": name, "ratio": ratio, "target": module.TARGET, **found}
    facts["what"] = module.__doc__.partition("\n")[0]
    facts["took_s"] = time.monotonic() - begin
    if bench.quick:
        facts["quick"] = True
    return {key: rounded(facts[key]) for key in (*KEYS, *(key for key in facts if key not in KEYS))}


def rounded(value):
    """Four digits are more than a figure is worth."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(every_name()))
        return 0
    names = every_name() if chosen.names == ["all"] else chosen.names
    unknown = [name for name in names if name not in every_name()]
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}: see --list")
    failed = []
    with lib.Bench(quick=chosen.quick) as bench:
        for name in names:
            lib.tell(f"{name} ...")
            try:
                print(json.dumps(measure(name, bench), ensure_ascii=False), flush=True)
            except lib.shop.Problem as problem:     # the others may take hours: they are measured all the same
                lib.tell(f"{name} could not be measured: {problem}")
                failed.append(name)
    if failed:
        lib.tell(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
