"""How often the worker holds a snapshot or a transaction while it waits for stores that are slow."""

import time

import lib

TARGET = "none held"
LATENCY_MS, ORDERS = 6000, 12
PAY = "SELECT fixture.pay(fixture.invoice(fixture.order(10 + n, (1000 + n)::text))) FROM generate_series(1, {orders}) n;"
WAITING = "SELECT count(*) > 1 FROM bcpaid.capture WHERE state IN ('claimed', 'sending')"
# A transaction that is as old as this was not one of the short ones in between.
LOOK = """
SELECT count(*) FILTER (WHERE xact_start < clock_timestamp() - interval '100 ms'),
       count(*) FILTER (WHERE backend_xmin IS NOT NULL OR backend_xid IS NOT NULL), count(*)
  FROM pg_stat_activity WHERE backend_type = 'bcpaid worker' AND datname = 'odoo'"""


def measure(bench):
    seconds = bench.size(3, 0.5)
    held, seen, looks, gone = 0, 0, 0, 0
    with bench.store() as store, bench.server(store=store) as server:
        lib.ask_store(store, "PUT", "stores/demo", {"token": "demo-token", "plan": "unlimited"})
        for number in range(1, ORDERS + 1):
            lib.ask_store(store, "PUT", f"stores/demo/orders/{1000 + number}",
                          {"status_id": 7, "payment_method": "Bank Deposit", "payment_status": "", "total_inc_tax": f"{10 + number}.0000"})
        lib.ask_store(store, "PATCH", "settings", {"latency_ms": LATENCY_MS})
        server.sql(PAY.format(orders=ORDERS))
        server.wait_until("some are being looked at", WAITING)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            old, any_at_all, workers = map(int, server.root(LOOK).split("|"))
            held, seen, looks, gone = held + old, seen + any_at_all, looks + 1, gone + (workers == 0)
        still = server.root(WAITING) == "t"
    if gone or not still:
        raise lib.shop.Problem("the worker did not wait for the store while it was looked at")
    return {"figure": held, "unit": "snapshots", "limit": looks, "met": held == 0, "limit_is": "how often it was looked at",
            "short_ones": seen, "conversations": ORDERS, "latency_ms": LATENCY_MS}
