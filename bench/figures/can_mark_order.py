"""bcpaid_can_mark() for orders that their own row decides, warm, in a database of a million orders."""

import can_mark

TARGET = "at most 10 µs"


def measure(bench):
    return can_mark.measure(bench, can_mark.BY_ORDER, at_most_us=10)
