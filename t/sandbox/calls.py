"""The BigCommerce calls that bcpaid uses, and what each does to a store."""

import collections
import re

from . import check
from .errors import error, v2, v3
from .wire import Answer, json_answer

MAX_LIMIT = 250
DEFAULT_LIMIT = 50
UNPAID = (1, 7)     # Pending, Awaiting Payment: the only ones a status change may start from.
BIG = 10**18

Call = collections.namedtuple("Call", "name version store order writes scopes parameters schema bad_status")
_Route = collections.namedtuple("_Route", "name method version tail scopes parameters schema bad_status")

_ROUTES = [
    _Route("order_get", "GET", "v2", r"orders/(\d+)", ("store_v2_orders_read_only", "store_v2_orders"),
           {}, None, 400),
    _Route("order_list", "GET", "v2", r"orders", ("store_v2_orders_read_only", "store_v2_orders"),
           {"min_id": (1, BIG), "max_id": (1, BIG), "limit": (1, MAX_LIMIT), "page": (1, BIG)}, None, 400),
    _Route("order_put", "PUT", "v2", r"orders/(\d+)", ("store_v2_orders",), {}, check.STATUS_CHANGE, 400),
    _Route("transactions_get", "GET", "v3", r"orders/(\d+)/transactions",
           ("store_v2_transactions_read_only", "store_v2_transactions"),
           {"page": (1, BIG), "limit": (1, MAX_LIMIT)}, None, 422),
    _Route("transaction_post", "POST", "v3", r"orders/(\d+)/transactions", ("store_v2_transactions",),
           {}, check.TRANSACTION, 422),
    _Route("store_get", "GET", "v2", r"store", ("store_v2_information_read_only", "store_v2_information"),
           {}, None, 400),
]
_BASE = re.compile(r"/stores/([A-Za-z0-9_-]+)/(v2|v3)/(.+)\Z")


def route(request):
    """The call that a request makes. An unknown one has the name 404 or 405: bcpaid makes none such."""
    base = _BASE.match(request.path)
    if not base:
        return Call("404", "v3", None, None, bool(request.body), (), {}, None, 400)
    store, version, tail = base.groups()
    name = "404"
    for one in _ROUTES:
        found = version == one.version and re.fullmatch(one.tail, tail)
        if found and request.method == one.method:
            order = int(found[1]) if found.groups() else None
            return Call(one.name, version, store, order, one.schema is not None, one.scopes, one.parameters,
                        one.schema, one.bad_status)
        name = "405" if found else name
    number = re.match(r"orders/(\d+)", tail)
    return Call(name, version, store, int(number[1]) if number else None, bool(request.body), (), {}, None, 400)


def judge(world, call, request, entry):
    """Checks what needs no state, for every request, also one that a fault will answer.

    Returns the parsed body and the problems; each problem is noted as a violation here.
    """
    store = world.stores.get(call.store)
    problems = check.head(request, call, store.tokens if store else ())
    if call.name in ("404", "405"):
        problems.append(check.Problem("unknown-call", int(call.name), "bcpaid makes no such call", None))
    if re.search(r"/orders/0\d*(/|\Z)", request.path):
        problems.append(check.Problem("order-id", 400, "an order id has no leading zero", None))
    body, more = check.body(request, call)
    for problem in problems + more:
        world.violation(entry, problem.code, problem.message)
    return body, problems + more


def take(world, call, judged, entry):
    """The store does what it was asked, and answers. The one place where a store changes."""
    with world.changed:
        store = world.stores.get(call.store)
        entry["taken"] = True
        refusal = _gate(store, call, judged[1], entry)
        answer = refusal or _CALLS[call.name](world, store, call, judged[0], entry)
        if store and answer.status != 429 and entry["token"] == "ok":
            answer.headers += store.quota.headers()
        world.changed.notify_all()
        return answer


def _gate(store, call, problems, entry):
    """Token, quota, scope, rules: in the order in which an API gateway and the service behind it look."""
    if store is None or entry["token"] != "ok":
        return error(call.version, 401, "X-Auth-Token header is required or not valid for this store")
    if not store.quota.take():
        store.throttled += 1
        return error(call.version, 429, "Too many requests", headers=store.quota.headers(throttled=True))
    if call.scopes and not set(call.scopes) & set(entry["scopes"]):
        return error(call.version, 403, "You don't have a required scope to access the endpoint")
    if problems:
        errors = {}
        for problem in problems:
            errors.update(problem.errors or {problem.code: problem.message})
        return error(call.version, problems[0].status, problems[0].message, errors)
    if call.order is not None and store.order(call.order) is None:
        return error(call.version, 404, "The requested resource was not found.")
    return None


def _order_get(world, store, call, body, entry):
    return json_answer(200, store.order(call.order).read())


def _parameters(entry):
    return {name: int(value) for name, value in entry["query"]}


def _order_list(world, store, call, body, entry):
    """Deleted orders are left out, as BigCommerce does unless asked for them; none at all is a 204."""
    asked = _parameters(entry)
    first, last = asked.get("min_id", 1), asked.get("max_id", BIG)
    if store.settings["orders_on_demand"] is not None and last - first < 10_000:
        ids = range(first, last + 1)
    else:
        ids = sorted(one for one in store.orders if first <= one <= last)
    limit, page = asked.get("limit", DEFAULT_LIMIT), asked.get("page", 1)
    orders = [order for order in map(store.order, ids) if order and not order.get("is_deleted")]
    chosen = orders[(page - 1) * limit:page * limit]
    if not chosen:
        return Answer(204)
    return json_answer(200, [order.read() for order in chosen])


def _order_put(world, store, call, body, entry):
    """The documented way to mark as paid. A status that is none of ours to change is a violation."""
    order, wanted = store.order(call.order), int(body["status_id"])
    if order.get("status_id") not in UNPAID:
        world.violation(entry, "transition", f"status {order.get('status_id')} is none to start from")
        return v2(400, "The status cannot be changed")
    if wanted == 10 and not order.get("order_is_digital"):
        world.violation(entry, "transition", "Completed is for digital orders", refused=False)
    world.capture(store, order, entry, "status", body.get("payment_provider_id"), None)
    order.members["status_id"] = wanted
    if "payment_provider_id" in body:
        order.members["payment_provider_id"] = body["payment_provider_id"]
    if store.settings["status_change_sets"] is not None:
        order.set_payment_status(store.settings["status_change_sets"],
                                 store.lag_of(order, "payment_status_lag"))
    return json_answer(200, order.shown())


def _transactions_get(world, store, call, body, entry):
    asked, order = _parameters(entry), store.order(call.order)
    page = asked.get("page", 1)
    limit = min(asked.get("limit", DEFAULT_LIMIT), store.settings["page_size"])
    seen = order.read_transactions(first_page=page == 1)
    if not seen and store.settings["empty_transactions"] == "204":
        return Answer(204)
    chosen = seen[(page - 1) * limit:page * limit]
    pages = -(-len(seen) // limit)
    return json_answer(200, {"data": chosen, "meta": {"pagination": {
        "total": len(seen), "count": len(chosen), "per_page": limit, "current_page": page,
        "total_pages": pages, "links": {"current": f"?page={page}&limit={limit}"}}}})


def _transaction_post(world, store, call, body, entry):
    """A manual capture. A second one is taken like the first (what a store does is not documented)."""
    order, settings = store.order(call.order), store.settings
    if settings["second_capture"] == "refuse" and order.paid_already():
        return v3(422, "The order is captured already", {"order": "captured"})
    if settings["amount_must_match"] and check.amount_differs(body["amount"], body["currency"], order):
        world.violation(entry, "amount-differs", f"{body['amount']} was sent, the order says "
                        f"{order.get('total_inc_tax')}", refused=False)
    if settings["amount_must_match"] and body["currency"] != order.get("default_currency_code"):
        world.violation(entry, "currency-differs", f"{body['currency']} was sent, the order says "
                        f"{order.get('default_currency_code')}", refused=False)
    world.capture(store, order, entry, "transaction", body["gateway_transaction_id"], str(body["amount"]))
    made = order.add_transaction({**body, "amount": float(body["amount"])},
                                 store.lag_of(order, "transaction_lag"))
    if settings["captured_status"] is not None:
        order.set_payment_status(settings["captured_status"], store.lag_of(order, "payment_status_lag"))
    return _capture_answer(settings, made)


def _capture_answer(settings, made):
    """What comes back is not documented in full, so a store can be set to say less."""
    if settings["capture_answer"] == "empty":
        return Answer(settings["capture_status"])
    data = made if settings["capture_answer"] == "full" else {"id": made["id"]}
    return json_answer(settings["capture_status"], {"data": data, "meta": {}})


def _store_get(world, store, call, body, entry):
    plan = store.settings["plan"]
    return json_answer(200, {
        "id": store.hash, "domain": "sandbox.shop.example", "secure_url": "https://sandbox.shop.example",
        "status": "live", "name": store.settings["name"], "currency": store.settings["currency"],
        "currency_symbol": "$", "decimal_places": 2, "weight_units": "KGS", "timezone": {"name": "UTC"},
        "plan_name": plan.capitalize() + " Store", "plan_level": plan.capitalize(),
        "plan_is_trial": False, "is_price_entered_with_tax": False})


_CALLS = {"order_get": _order_get, "order_list": _order_list, "order_put": _order_put,
          "transactions_get": _transactions_get, "transaction_post": _transaction_post,
          "store_get": _store_get}
