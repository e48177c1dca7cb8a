"""How long after a payment's commit the store sees its first request, when the worker is running."""

import first_byte

TARGET = "median at most 3 ms"


def measure(bench):
    waits, commit_ms = first_byte.times_ms(bench, bench.size(300, 20), 50, bench.size(20, 3), "bcpaid.idle_timeout = '1min'")
    return first_byte.figure(waits, commit_ms, 3, "none: from when COMMIT has returned")
