"""A claim of 64 captures at the end of a backlog of a million, beside one at its start."""

import backlog

TARGET = "at most 1.3"


def measure(bench):
    server = backlog.shop(bench)
    count = bench.size(100, 5)
    start, end = backlog.claim_ms(server, "ASC", count), backlog.claim_ms(server, "DESC", count)
    return {"figure": end, "unit": "ms", "limit": start, "met": end / start <= 1.3, "limit_is": "the same at its start",
            "captures": int(server.number("SELECT count(*) FROM bcpaid.capture", "postgres"))}
