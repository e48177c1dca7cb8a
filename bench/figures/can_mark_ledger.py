"""bcpaid_can_mark() for orders that the ledger decides (a capture is under way), warm, in a database of a million orders."""

import can_mark

TARGET = "at most 10 µs"


def measure(bench):
    return can_mark.measure(bench, can_mark.BY_LEDGER, at_most_us=10)
