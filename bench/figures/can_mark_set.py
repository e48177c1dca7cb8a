"""bcpaid_can_mark(int[]) for all orders of a database of a million."""

import can_mark

TARGET = "at most 25 µs an order"


def measure(bench):
    return can_mark.measure_all(bench, at_most_us=25)
