"""bcpaid_can_mark() for orders that can be marked, in a database of ten million orders beside one of 100 thousand."""

import can_mark

TARGET = "at most 1.2"


def measure(bench):
    return can_mark.measure_growth(bench, at_most=1.2)
