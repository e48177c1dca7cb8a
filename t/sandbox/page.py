"""The page at /: what the sandbox knows, for people. It reloads itself and runs no script."""

import html
import json
import time

MANY = 100      # Rows shown of each table; a benchmark's store has a million orders.
REQUESTS = 40

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="refresh" content="2"><title>bcpaid sandbox store</title><style>
body{font:14px/1.4 sans-serif;margin:1.5em;color:#222}h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.6em}
table{border-collapse:collapse}td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:left;
vertical-align:top}code{font-size:12px;white-space:pre-wrap;word-break:break-all}
.good{color:#060;font-weight:bold}.bad{color:#a00;font-weight:bold}</style></head><body>
<h1>bcpaid sandbox store</h1>
"""


class _Raw(str):
    """Text that is HTML already."""


def _cell(value):
    if isinstance(value, _Raw):
        return value
    return html.escape("" if value is None else str(value))


def _table(heads, rows):
    head = "".join(f"<th>{_cell(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>\n"


def _status(text):
    if str(text).lower() in ("captured", "paid"):
        return _Raw(f'<span class="good">{html.escape(str(text))}</span>')
    return text if text else "(none)"


def _transaction(one):
    return (f"{one.get('event')} {one.get('amount')} {one.get('currency')} {one.get('gateway')} "
            f"{one.get('status')} {one.get('gateway_transaction_id') or ''}")


def _orders(store):
    rows = []
    for order in list(store.orders.values())[:MANY]:
        rows.append((order.id, order.get("status_id"), _status(order.get("payment_status")),
                     order.get("payment_method"),
                     f"{order.get('total_inc_tax')} {order.get('default_currency_code')}",
                     _Raw("<br>".join(html.escape(_transaction(one)) for one, _ in order.transactions)),
                     len(order.captures)))
    return _table(("order", "status_id", "payment_status", "payment_method", "total_inc_tax", "transactions",
                   "captures"), rows)


def _store(store):
    numbers = store.summary()
    return (f"<h2>Store {_cell(store.hash)}</h2><p>{numbers['orders']} orders, {numbers['captures']} captures, "
            f"{numbers['requests']} requests, {numbers['throttled']} throttled; quota "
            f"{numbers['quota']['left']} of {numbers['quota']['limit']} left.</p>" + _orders(store))


def _requests(world):
    rows = []
    for entry in list(world.log)[:-REQUESTS - 1:-1]:
        answer = entry["answer"] or {"what": "in work"}
        rows.append((entry["n"], time.strftime("%H:%M:%S", time.localtime(entry["at"])), entry["method"],
                     entry["path"], _Raw(f"<code>{html.escape(entry['body'])}</code>"),
                     answer.get("status", answer["what"]),
                     f"fault {entry['fault']}" if entry["fault"] else ""))
    return "<h2>Last requests</h2>" + _table(("n", "at", "method", "path", "body", "answer", ""), rows)


def _alarms(world):
    """Double captures and broken rules, first and in red, since there should be none."""
    if not world.doubles and not world.violations:
        return '<p class="good">No double capture, no broken rule.</p>'
    rows = [("double capture", json.dumps(one)) for one in world.doubles[:MANY]]
    rows += [("broken rule", json.dumps(one)) for one in world.violations[:MANY]]
    return '<p class="bad">Something is wrong:</p>' + _table(("what", "which"), rows)


def render(world):
    with world.changed:
        parts = [_HEAD, _alarms(world)]
        parts += [_store(store) for store in world.stores.values()]
        parts += [_requests(world), "</body></html>\n"]
        return "".join(parts).encode("utf-8", "replace")
