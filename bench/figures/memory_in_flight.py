"""Memory of the worker's own with 1,000 TLS requests in flight."""

import statistics
import subprocess
import time

import lib
import net

TARGET = "at most 1.25 times what libcurl alone needs"
STORES, LATENCY_MS = 20, 4000


def peak_bare(store, in_flight):
    """All reads first, then all writes, as in a burst."""
    store.set(latency_ms=LATENCY_MS)
    bare = subprocess.Popen([f"{store.programs}/bare", store.url, store.ca, str(STORES), str(in_flight), str(in_flight), "1"],
                            stdout=subprocess.DEVNULL)
    peak = 0
    while bare.poll() is None:
        try:
            peak = max(peak, net.own_kb(bare.pid))
        except (OSError, StopIteration):
            break
        time.sleep(0.1)
    bare.wait()
    return peak, store.report()["most_pending"]


def measure(bench):
    in_flight, rounds = bench.size(1000, 50), bench.size(3, 1)
    # A store's first answers tell how much it allows: the rest of the burst is in flight at once.
    orders = 2 * in_flight
    with net.shop(bench, orders * rounds, STORES) as (store, server):
        firsts = iter(range(1, orders * rounds, orders))

        def burst():
            one = net.captured(store, server, next(firsts), orders, latency_ms=LATENCY_MS)
            server.wait_until("the worker has left", "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'")
            return one.peak_kb, one.report["most_pending"]

        mine, bare = lib.interleaved(rounds, burst, lambda: peak_bare(store, in_flight))
    figure, limit = (statistics.median(kb for kb, _ in some) / 1024 for some in (mine, bare))
    return {"figure": figure, "unit": "MB", "limit": limit, "met": figure <= 1.25 * limit and min(n for _, n in mine) >= in_flight, "limit_is": "libcurl with as many in flight",
            "in_flight": min(n for _, n in mine), "bare_in_flight": max(n for _, n in bare)}
