"""Waiting for a condition, never for a time."""

import time


class TimedOut(AssertionError):
    pass


def wait_for(condition, what, timeout_s=20, interval_s=0.05):
    """Returns the first true value of condition(); after timeout_s fails and says what was missing, and
    the last value seen."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"waited {timeout_s} s for {what}; last seen: {value!r}")
        time.sleep(interval_s)
