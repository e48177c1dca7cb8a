"""Requests for one capture, when 1,000 orders of one store are paid at once and nothing fails."""

import net

TARGET = "at most 3.1"


def measure(bench):
    orders = bench.size(1000, 100)
    with net.shop(bench, orders, 1) as (store, server):
        report = net.captured(store, server, 1, orders).report
    figure = (report["reads"] + report["writes"]) / orders
    return {"figure": figure, "unit": "requests", "limit": 3.0, "met": figure <= 3.1,
            "limit_is": "two reads, on which a write rests, and the write", "orders": orders}
