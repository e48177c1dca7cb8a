"""The control API, /sandbox/...: how a test sets the store up, breaks it, and asks what happened.

JSON in, JSON out, no token; 400 with {"error": ...} for whatever makes no sense.
"""

import json
import re

from . import faults, waits
from .match import SpecError, compiled, only_keys
from .order import Order
from .state import Store
from .wire import Answer, json_answer

_ROUTES = []


def _route(method, pattern, says):
    """Registers a handler and the line that GET /sandbox/ says about it."""
    def register(handler):
        _ROUTES.append((method, re.compile(pattern + r"/?\Z"), handler, pattern, says))
        return handler
    return register


def answer(server, request):
    """The answer to a control request."""
    try:
        spec = json.loads(request.body) if request.body else {}
        allowed = False
        for method, pattern, handler, _, _ in _ROUTES:
            found = pattern.match(request.path)
            allowed = allowed or bool(found)
            if found and method == request.method:
                return _as_answer(handler(server, found.groupdict(), spec, dict(request.query())))
        return json_answer(405 if allowed else 404, {"error": f"no such call: {request.method} {request.path}"})
    except (ValueError, TypeError, KeyError, AttributeError, SpecError) as problem:
        return json_answer(400, {"error": f"{type(problem).__name__}: {problem}"})


def _as_answer(result):
    status, value = result if isinstance(result, tuple) else (200, result)
    return Answer(status, json.dumps(value, indent=1).encode() + b"\n")


def _store(server, path):
    store = server.world.stores.get(path["store"])
    if store is None:
        raise SpecError(f"no such store: {path['store']}")
    return store


def _order(server, path):
    order = _store(server, path).order(int(path["order"]))
    if order is None:
        raise SpecError(f"no such order: {path['order']}")
    return order


@_route("GET", r"/sandbox", "this list")
def _help(server, path, spec, query):
    def plainly(pattern):
        return re.sub(r"[(][?]P<(.*?)>.*?[)]", r"{\1}", pattern)
    return [{"call": f"{method} {plainly(pattern)}", "does": says}
            for method, _, _, pattern, says in _ROUTES]


@_route("GET", r"/sandbox/health", "says that it is there")
def _health(server, path, spec, query):
    return {"ok": True, "port": server.port}


@_route("POST", r"/sandbox/reset", "forgets all; {keep_stores: true} keeps stores and orders")
def _reset(server, path, spec, query):
    only_keys(spec, ("keep_stores",), "reset")
    server.world.reset(**spec)
    return {"ok": True}


@_route("PATCH", r"/sandbox/settings", "{latency_ms, handshake: normal|close|hang}: of all stores")
def _settings(server, path, spec, query):
    only_keys(spec, ("latency_ms", "handshake"), "settings")
    if spec.get("handshake", "normal") not in ("normal", "close", "hang"):
        raise SpecError("handshake is one of normal, close, hang")
    world = server.world
    world.latency_ms = spec.get("latency_ms", world.latency_ms)
    world.handshake = spec.get("handshake", world.handshake)
    return {"latency_ms": world.latency_ms, "handshake": world.handshake}


@_route("GET", r"/sandbox/stores", "lists the stores")
def _stores(server, path, spec, query):
    with server.world.changed:
        return [store.summary() for store in server.world.stores.values()]


STORE = r"/sandbox/stores/(?P<store>[A-Za-z0-9_-]+)"
ORDER = STORE + r"/orders/(?P<order>[0-9]+)"


@_route("GET", STORE, "settings, counts, quota")
def _store_get(server, path, spec, query):
    with server.world.changed:
        return _store(server, path).summary()


@_route("PUT", STORE, "makes a store anew, with these settings")
def _store_put(server, path, spec, query):
    with server.world.changed:
        store = server.world.stores[path["store"]] = Store(path["store"], spec)
        return 201, store.summary()


@_route("PATCH", STORE, "changes settings of a store")
def _store_patch(server, path, spec, query):
    with server.world.changed:
        store = _store(server, path)
        store.change(spec)
        return store.summary()


@_route("DELETE", STORE, "removes a store")
def _store_delete(server, path, spec, query):
    with server.world.changed:
        del server.world.stores[_store(server, path).hash]
        return {"ok": True}


@_route("POST", STORE + r"/quota", "{use: N} as other apps do, or {reset: true}")
def _quota(server, path, spec, query):
    only_keys(spec, ("use", "reset"), "quota")
    with server.world.changed:
        quota = _store(server, path).quota
        if spec.get("reset"):
            quota.reset()
        if "use" in spec:
            quota.take(spec["use"])
        return {"left": quota.left(), "reset_ms": quota.reset_ms()}


@_route("GET", STORE + r"/orders", "lists the orders, as they truly are")
def _orders(server, path, spec, query):
    with server.world.changed:
        return [_whole(order) for _, order in sorted(_store(server, path).orders.items())]


@_route("POST", STORE + r"/orders", "{from, to, order: {members}}: makes many orders")
def _orders_post(server, path, spec, query):
    only_keys(spec, ("from", "to", "order"), "orders")
    members, options = _members(spec.get("order", {}))
    with server.world.changed:
        store = _store(server, path)
        for number in range(spec["from"], spec["to"] + 1):
            store.orders[number] = Order(number, members, options)
        return 201, {"orders": len(store.orders)}


def _members(spec):
    """An order's members, and what is said about it to the sandbox alone."""
    members = dict(spec)
    return members, members.pop("sandbox", {})


def _whole(order):
    """An order with what a GET of the API does not tell."""
    return {"order": order.shown(), "transactions": [one for one, _ in order.transactions],
            "captures": list(order.captures)}


@_route("GET", ORDER, "the order as it truly is, its transactions and captures")
def _order_get(server, path, spec, query):
    with server.world.changed:
        return _whole(_order(server, path))


@_route("PUT", ORDER, "makes an order anew: {members..., sandbox: {transactions, remove, ..._lag}}")
def _order_put(server, path, spec, query):
    members, options = _members(spec)
    with server.world.changed:
        store, number = _store(server, path), int(path["order"])
        store.orders[number] = Order(number, members, options)
        server.world.changed.notify_all()
        return 201, _whole(store.orders[number])


@_route("PATCH", ORDER, "changes members of an order")
def _order_patch(server, path, spec, query):
    with server.world.changed:
        order = _order(server, path)
        order.change(*_members(spec))
        server.world.changed.notify_all()
        return _whole(order)


@_route("DELETE", ORDER, "removes an order: the API answers 404")
def _order_delete(server, path, spec, query):
    with server.world.changed:
        del _store(server, path).orders[_order(server, path).id]
        return {"ok": True}


@_route("GET", ORDER + r"/transactions", "all transactions, also those that lag")
def _transactions(server, path, spec, query):
    with server.world.changed:
        return [one for one, _ in _order(server, path).transactions]


@_route("POST", ORDER + r"/transactions", "adds one, as somebody else's; any member, also null")
def _transactions_post(server, path, spec, query):
    with server.world.changed:
        return 201, _order(server, path).add_transaction(spec)


@_route("GET", r"/sandbox/captures", "?store=&order=: captures taken, by order")
def _captures(server, path, spec, query):
    only_keys(query, ("store", "order"), "captures")
    with server.world.changed:
        orders = [{"store": store.hash, "order": order.id, "count": len(order.captures),
                   "captures": list(order.captures)}
                  for store in server.world.stores.values() for order in store.orders.values()
                  if order.captures and query.get("store") in (None, store.hash)
                  and query.get("order") in (None, str(order.id))]
        return {"total": sum(one["count"] for one in orders), "orders": orders}


@_route("GET", r"/sandbox/doubles", "captures of an order that was captured or paid before")
def _doubles(server, path, spec, query):
    return list(server.world.doubles)


@_route("GET", r"/sandbox/violations", "the rules that requests broke")
def _violations(server, path, spec, query):
    return list(server.world.violations)


@_route("DELETE", r"/sandbox/violations", "forgets them")
def _violations_delete(server, path, spec, query):
    server.world.violations.clear()
    return {"ok": True}


@_route("GET", r"/sandbox/requests", "?method=&path=&store=&order=&body=&call=&after=N&limit=N")
def _requests(server, path, spec, query):
    after, limit = int(query.pop("after", 0)), int(query.pop("limit", 0))
    matches = compiled(query)
    with server.world.changed:
        found = [one for one in server.world.log if one["n"] > after and matches(one)]
        # Copies: the requests that are still in work go on changing while this is written out. The query is
        # in the path already, with the token masked.
        shown = [{key: value for key, value in one.items() if key not in ("scopes", "query")}
                 for one in found[-limit:]]
        return {"last": server.world.last, "count": len(found), "requests": shown}


@_route("DELETE", r"/sandbox/requests", "forgets them; numbers go on growing")
def _requests_delete(server, path, spec, query):
    with server.world.changed:
        server.world.log.clear()
        return {"last": server.world.last}


@_route("GET", r"/sandbox/faults", "the misbehaviour ordered, and how often it was used")
def _faults(server, path, spec, query):
    with server.world.changed:
        return [fault.summary() for fault in server.world.faults]


@_route("POST", r"/sandbox/faults", "{match, chance, after, times, do, ...} or a list of them")
def _faults_post(server, path, spec, query):
    made = [faults.add(server.world, one) for one in (spec if isinstance(spec, list) else [spec])]
    return 201, {"ids": [fault.number for fault in made], "id": made[-1].number if made else None}


@_route("DELETE", r"/sandbox/faults", "behaves again; what hangs goes on hanging until released")
def _faults_delete(server, path, spec, query):
    with server.world.changed:
        server.world.faults.clear()
        return {"ok": True}


@_route("POST", r"/sandbox/release", "{fault: id} or {}: lets go what hangs or comes late")
def _release(server, path, spec, query):
    only_keys(spec, ("fault",), "release")
    return {"released": server.world.release(spec.get("fault"))}


@_route("POST", r"/sandbox/wait", "waits for conditions: see waits.py; 504 when they are not met in time")
def _wait(server, path, spec, query):
    result = waits.wait(server.world, spec)
    return 200 if result["met"] else 504, result


@_route("POST", r"/sandbox/disconnect", "closes idle connections of the store; {all: true}: busy ones too")
def _disconnect(server, path, spec, query):
    only_keys(spec, ("all",), "disconnect")
    return {"closed": server.disconnect(idle_only=not spec.get("all"))}


@_route("POST", r"/sandbox/door", "{open: true|false}: a port of the store's own, refused while closed; says which")
def _door(server, path, spec, query):
    only_keys(spec, ("open",), "door")
    if spec["open"]:
        server.door.open()
    else:
        server.close_door()
    return {"port": server.door.port}


@_route("POST", r"/sandbox/cert", "{cert: good|expired|wrong-host|unknown-ca}: for the next connections")
def _cert(server, path, spec, query):
    only_keys(spec, ("cert",), "cert")
    if server.certificates is None:
        raise SpecError("this store speaks no TLS")
    server.context = server.certificates.context(spec["cert"])
    return {"cert": spec["cert"]}


@_route("GET", r"/sandbox/report", "one look at everything a test asserts at its end")
def _report(server, path, spec, query):
    world = server.world
    with world.changed:
        stores = world.stores.values()
        api = [one for one in world.connections.values() if one["api"]]
        return {"ok": not world.violations and not world.doubles,
                "requests": sum(store.requests for store in stores),
                "captures": sum(store.captures for store in stores),
                "throttled": sum(store.throttled for store in stores),
                "doubles": list(world.doubles), "violations": list(world.violations),
                "held": [{key: one[key] for key in ("kind", "n", "fault")} for one in world.held],
                "connections": {"open": len(api), "busy": sum(one["busy"] for one in api),
                                "tls_failed": list(world.tls_failed)},
                "last": world.last}
