"""How many requests a second are made of 20 stores over TLS that take 100 ms for each answer."""

import statistics

import lib
import net

TARGET = "at least 0.9 of what libcurl alone makes with as many in flight"
STORES, LATENCY_MS = 20, 100
# No quota holds us back; but each store tells how much may be asked, which decides how much is in flight.
IN_FLIGHT_EACH = 5


def measure(bench):
    each, rounds = bench.size(3000, 200), bench.size(5, 1)
    bursts = []
    with net.shop(bench, each * rounds, STORES) as (store, server):
        server.sql("SELECT bcpaid.set_store(id, quota_reserve => 0) FROM bcpaid.stores")

        def burst():
            bursts.append(net.captured(store, server, len(bursts) * each + 1, each, latency_ms=LATENCY_MS, tell=3 * IN_FLIGHT_EACH))
            return bursts[-1].requests_per_s

        def bare():
            store.set(latency_ms=LATENCY_MS)
            in_flight = bursts[-1].report["most_pending"] if bursts else STORES * IN_FLIGHT_EACH
            found = store.bare(each, in_flight, STORES)
            return found["requests"] / found["seconds"]

        mine, http = lib.interleaved(rounds, burst, bare)
    ratio = lib.ratio(mine, http)
    return {"figure": statistics.median(mine), "unit": "1/s", "limit": statistics.median(http), "ratio": ratio, "met": ratio >= 0.9,
            "limit_is": "libcurl makes the same requests, the writes on connections of their own", "in_flight": max(one.report["most_pending"] for one in bursts)}
