#!/usr/bin/env python3
"""Goal: every figure of bench/run can be measured, in its quick form, and says what README promises of its JSON.

A number below 0, or 0 where that cannot be, fails; whether a target is met says nothing here.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPE = {"name": str, "figure": (int, float), "unit": str, "limit": (int, float, type(None)),
         "ratio": (int, float, type(None)), "target": str, "met": bool, "what": str, "limit_is": str}
MAY_BE_0 = {"snapshots", "wake-ups", "MB a million", "µs"}      # a quick form may take less than the clock of processor time can tell


def problems(line):
    fact = json.loads(line)
    wrong = [f"{key} is {fact.get(key)!r}" for key, kind in SHAPE.items()
             if not isinstance(fact.get(key), kind) or isinstance(fact[key], bool) != (kind is bool)]
    if not wrong and (fact["figure"] < 0 or not fact["figure"] and fact["unit"] not in MAY_BE_0):
        wrong.append(f"{fact['figure']} {fact['unit']} were not measured")
    return [f"{fact.get('name')}: {what}" for what in wrong]


def main():
    measure = [sys.executable, os.path.join(HERE, "measure.py")]
    names = subprocess.run([*measure, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    done = subprocess.run([*measure, "--quick", *names], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    lines = done.stdout.splitlines()
    wrong = [problem for line in lines for problem in problems(line)]
    missing = set(names) - {json.loads(line)["name"] for line in lines}
    wrong += [f"{name} was not measured" for name in sorted(missing)]
    print("\n".join(wrong))
    return 1 if wrong or done.returncode or not names else 0


if __name__ == "__main__":
    sys.exit(main())
