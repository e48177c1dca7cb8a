#!/usr/bin/env python3
"""The table of bench/RESULTS.md, from the lines that bench/measure.py printed."""

import json
import os
import platform
import sys

HEAD = """# Results

Measured by `bench/run all`, which wrote this file: {where}. The limit is what the same machine did in
the same run without bcpaid, or with nothing but the bare minimum; where bcpaid is compared with itself or with a rule, the list below says so. The ratio is the
figure divided by the limit, by the median of the rounds where they were measured in turn. [NOTES.md](NOTES.md) says why targets are not met, and what was tried.

| figure | measured | limit | ratio | target | met |
|---|---|---|---|---|---|
"""
KEYS = {"name", "figure", "unit", "limit", "ratio", "target", "met", "what", "limit_is", "took_s"}


def where():
    """The machine, in words that name nobody's."""
    with open("/etc/os-release") as file:
        system = dict(line.rstrip().split("=", 1) for line in file if "=" in line)["PRETTY_NAME"].strip('"')
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{system}, {os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GB of memory"


def number(value):
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def row(fact):
    unit = f" {fact['unit']}"
    return (f"| `{fact['name']}` | {number(fact['figure'])}{unit} | {number(fact['limit'])}{unit if fact['limit'] is not None else ''}"
            f" | {number(fact['ratio'])} | {fact['target']} | {'yes' if fact['met'] else '**no**'} |")


def note(fact):
    more = ", ".join(f"{key} {number(value)}" for key, value in fact.items() if key not in KEYS)
    return f"- `{fact['name']}`: {fact['what']} The limit: {fact.get('limit_is', 'none')}." + (f" Also: {more}." if more else "")


def main():
    with open(sys.argv[1]) as file:
        facts = [json.loads(line) for line in file]
    print(HEAD.format(where=where()) + "\n".join(map(row, facts)) + "\n\nWhat each one is:\n\n" + "\n".join(map(note, facts)))


if __name__ == "__main__":
    main()
