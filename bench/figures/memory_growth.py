"""How much the worker's memory grows over many captures: BCPAID_CAPTURES of them, 1 million if anybody has an hour."""

import os

import lib
import net

TARGET = "no growth: at most 1 MB a million captures, beyond what is measured by"


def measure(bench):
    captures = int(os.environ.get("BCPAID_CAPTURES") or bench.size(40_000, 400))
    parts = 8
    each = captures // parts
    first = bench.size(5_000, 100)
    kb = []
    with net.shop(bench, first + captures, 20, conf="bcpaid.idle_timeout = '10min'") as (store, server):
        # A slow store has as many connections opened, and kept, as there will ever be.
        net.captured(store, server, 1, first, seconds=3600, latency_ms=100)
        for part in range(parts):
            net.captured(store, server, first + part * each + 1, each, seconds=3600)
            kb.append(net.own_kb(net.worker_ids(server)[0]))
            lib.tell(f"  {(part + 1) * each} captures, {kb[-1]} kB")
    # The first half is filling caches.
    half = kb[parts // 2:]
    growth_kb = max(half) - half[0]
    figure = growth_kb / (each * (len(half) - 1)) * 1e6 / 1024
    return {"figure": figure, "unit": "MB a million", "limit": half[0] / 1024, "ratio": max(half) / half[0], "met": max(half) <= half[0] * 1.02,
            "limit_is": "what it had after half of them, in MB", "captures": captures, "kb": " ".join(map(str, kb))}
