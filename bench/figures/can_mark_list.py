"""bcpaid_can_mark(int[]) for a page of 80 orders, warm."""

import can_mark

TARGET = "at most 2 ms"


def measure(bench):
    return can_mark.measure_page(bench, page=80, at_most_ms=2)
