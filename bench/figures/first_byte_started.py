"""How long after a payment's commit the store sees its first request, when a worker must be started for it."""

import first_byte

TARGET = "median at most 80 ms"


def measure(bench):
    waits, commit_ms = first_byte.times_ms(bench, bench.size(40, 4), 1500, 1, "bcpaid.idle_timeout = '0'")
    return first_byte.figure(waits, commit_ms, 80, "none: from when COMMIT has returned")
