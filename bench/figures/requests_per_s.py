"""How many requests a second are made of 20 stores over TLS that take 100 ms for each answer."""

import statistics

import lib
import net

TARGET = "at least 0.9 of what libcurl alone makes with as many captures under way"
STORES, LATENCY_MS = 20, 100
# No quota holds us back; but each store tells how much may be asked, which decides how much is in flight.
IN_FLIGHT_EACH = 5
# From the claim to the answer of the write, on average of the time: what we do in between counts against us.
UNDER_WAY = """SELECT round(sum(extract(epoch FROM done.at - begun.at)) / extract(epoch FROM max(done.at) - min(begun.at)))
                 FROM bcpaid.history begun JOIN bcpaid.history done USING (capture_id)
                WHERE begun.state = 'claimed' AND done.state = 'captured'
                  AND capture_id IN (SELECT id FROM bcpaid.capture ORDER BY id DESC LIMIT {})"""


def measure(bench):
    each, rounds = bench.size(3000, 200), bench.size(5, 1)
    bursts = []
    with net.shop(bench, each * rounds, STORES) as (store, server):
        server.sql("SELECT bcpaid.set_store(id, quota_reserve => 0) FROM bcpaid.stores")

        def burst():
            bursts.append(net.captured(store, server, len(bursts) * each + 1, each, latency_ms=LATENCY_MS, tell=3 * IN_FLIGHT_EACH))
            bursts[-1].under_way = int(server.sql(UNDER_WAY.format(each), user="postgres"))
            return bursts[-1].requests_per_s

        def bare():
            store.set(latency_ms=LATENCY_MS)
            in_flight = bursts[-1].under_way if bursts else STORES * IN_FLIGHT_EACH
            store.bare(each, in_flight, STORES)
            return net.requests_per_s(store.report())

        mine, http = lib.interleaved(rounds, burst, bare)
    ratio = lib.ratio(mine, http)
    return {"figure": statistics.median(mine), "unit": "1/s", "limit": statistics.median(http), "ratio": ratio, "met": ratio >= 0.9,
            "limit_is": "libcurl makes the same requests, the writes on connections of their own", "under_way": statistics.median(one.under_way for one in bursts)}
