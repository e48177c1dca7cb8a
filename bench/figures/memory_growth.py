"""How much the worker's memory grows over many captures: BCPAID_CAPTURES of them, 1 million if anybody has an hour."""

import os

import lib
import net

TARGET = "no growth: the second half of the time within 2 %"


def measure(bench):
    captures = int(os.environ.get("BCPAID_CAPTURES") or bench.size(200_000, 400))
    parts = 8
    each = captures // parts
    first = bench.size(5_000, 100)
    kb, workers = [], set()
    with net.shop(bench, first + captures, 20, conf="bcpaid.idle_timeout = '10min'") as (store, server):
        # A slow store has as many connections opened, and kept, as there will ever be.
        net.captured(store, server, 1, first, seconds=3600, latency_ms=100)
        for part in range(parts):
            net.captured(store, server, first + part * each + 1, each, seconds=3600)
            workers.update(net.worker_ids(server))
            if len(workers) != 1:
                raise lib.shop.Problem(f"not one worker did all of it: {workers}")
            kb.append(net.own_kb(*workers))
            lib.tell(f"  {(part + 1) * each} captures, {kb[-1]} kB")
    # The first half is filling caches.
    half = kb[parts // 2:]
    return {"figure": max(half) / 1024, "unit": "MB", "limit": min(half) / 1024, "met": max(half) <= min(half) * 1.02,
            "limit_is": "the least it had in that half", "captures": captures, "kb": " ".join(map(str, kb))}
