"""Waiting for a condition, so that no test sleeps.

{"timeout_ms": 10000, CONDITION: ...}, all of those named must hold at once:

  requests       {"count": N, "match": {...}, "after": n, "answered": false}: at least N of them seen
  captures       {"store": h, "order": id, "count": N}: at least N (without order: of the store; {}: of all)
  payment_status {"store": h, "order": id, "is": "captured"}: as it truly is
  held           N: at least N requests hang or are yet to land ({"at_most": N} the other way)
  connections    N: at least N open to the store ({"at_most": N} the other way)
  idle           true: no request of the store is being worked on
  faults_used    true: every fault that is not forever is used up
  violations     N: at least N
  tls_failed     N: at least N connections broke over TLS
"""

import time

from .match import SpecError, compiled, only_keys

DEFAULT_TIMEOUT_MS = 10_000


def wait(world, spec):
    """Waits; says whether it was met, and what was seen last of each condition."""
    only_keys(spec, ("timeout_ms", *_CONDITIONS), "wait")
    tests = {name: _CONDITIONS[name](world, wanted) for name, wanted in spec.items() if name != "timeout_ms"}
    if not tests:
        raise SpecError("wait: no condition is named")
    started = time.monotonic()
    ends = started + spec.get("timeout_ms", DEFAULT_TIMEOUT_MS) / 1000
    with world.changed:
        while True:
            seen = {name: test() for name, test in tests.items()}
            met = all(enough for enough, _ in seen.values())
            left = ends - time.monotonic()
            if met or left <= 0:
                return {"met": met, "seen": {name: value for name, (_, value) in seen.items()},
                        "waited_ms": int((time.monotonic() - started) * 1000), "last": world.last}
            world.changed.wait(left)


def _bound(wanted, what):
    """A test of a number: at least N, or {"at_most": N}, {"at_least": N}."""
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        wanted = {"at_least": wanted}
    only_keys(wanted, ("at_least", "at_most"), what)
    return lambda value: (wanted.get("at_least", 0) <= value <= wanted.get("at_most", value), value)


def _requests(world, wanted):
    only_keys(wanted, ("count", "match", "after", "answered"), "wait requests")
    matches, count, found = compiled(wanted.get("match")), wanted.get("count", 1), []
    state = {"after": wanted.get("after", 0)}

    def test():
        # Only what is new is matched: under load the log is long and this runs for each request.
        for entry in reversed(world.log):
            if entry["n"] <= state["after"]:
                break
            if matches(entry):
                found.append(entry)
        state["after"] = max(state["after"], world.last)
        good = sum(1 for one in found if one["answer"]) if wanted.get("answered") else len(found)
        return good >= count, good
    return test


def _captures(world, wanted):
    only_keys(wanted, ("store", "order", "count"), "wait captures")

    def test():
        stores = [one for one in world.stores.values() if wanted.get("store") in (None, one.hash)]
        if "order" in wanted:
            orders = [one.orders.get(int(wanted["order"])) for one in stores]
            number = sum(len(order.captures) for order in orders if order)
        else:
            number = sum(store.captures for store in stores)
        return number >= wanted.get("count", 1), number
    return test


def _payment_status(world, wanted):
    only_keys(wanted, ("store", "order", "is"), "wait payment_status")

    def test():
        order = world.stores[wanted["store"]].orders.get(int(wanted["order"]))
        status = order.get("payment_status") if order else None
        return status == wanted["is"], status
    return test


def _counted(count, what):
    def make(world, wanted):
        bound = _bound(wanted, f"wait {what}")
        return lambda: bound(count(world))
    return make


def _api_connections(world):
    return [one for one in world.connections.values() if one["api"]]


def _idle(world, wanted):
    def test():
        busy = sum(one["busy"] for one in _api_connections(world))
        return busy == 0, busy
    return test


def _faults_used(world, wanted):
    def test():
        left = [one.number for one in world.faults if 0 < one.left < float("inf")]
        return not left, left
    return test


_CONDITIONS = {
    "requests": _requests, "captures": _captures, "payment_status": _payment_status, "idle": _idle,
    "faults_used": _faults_used, "held": _counted(lambda world: len(world.held), "held"),
    "connections": _counted(lambda world: len(_api_connections(world)), "connections"),
    "violations": _counted(lambda world: len(world.violations), "violations"),
    "tls_failed": _counted(lambda world: len(world.tls_failed), "tls_failed"),
}
