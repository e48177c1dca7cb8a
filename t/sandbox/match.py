"""What a fault, a wait or a listing asks of a request: {method, path, store, order, body, call}."""

import re

KEYS = ("method", "path", "store", "order", "body", "call")


class SpecError(Exception):
    """What the test asked of the sandbox makes no sense; said at once, else the test proves nothing."""


def only_keys(spec, allowed, what):
    """A misspelt setting must not pass for a default."""
    if not isinstance(spec, dict):
        raise SpecError(f"{what}: an object is wanted, not {spec!r}")
    for key in spec:
        if key not in allowed:
            raise SpecError(f"{what}: no such member: {key} (there are: {', '.join(allowed)})")


def compiled(spec):
    """A function that says whether a logged request matches; `path` and `body` are searched regexes."""
    spec = spec or {}
    only_keys(spec, KEYS, "match")
    try:
        patterns = {key: re.compile(spec[key]) for key in ("path", "body") if key in spec}
    except (re.error, TypeError) as problem:
        raise SpecError(f"match: {problem}") from None
    exact = {key: str(spec[key]) for key in spec if key not in patterns}

    def matches(entry):
        return (all(str(entry[key]) == wanted for key, wanted in exact.items())
                and all(pattern.search(entry[key]) for key, pattern in patterns.items()))
    return matches
