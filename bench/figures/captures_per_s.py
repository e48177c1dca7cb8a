"""How many captures a second go from payment to Captured in Odoo, with stores that answer at once."""

import statistics

import lib
import net
import writes

TARGET = "at least 0.8 of what libcurl and PostgreSQL allow one after the other"
IN_FLIGHT = 64
BATCH = (64, 4)     # captures in a transaction of PostgreSQL's limit


def measure(bench):
    each, rounds = bench.size(4000, 80), bench.size(5, 1)
    with net.shop(bench, each * rounds, conf="bcpaid.idle_timeout = '10min'") as (store, server):
        bursts, ours = [], writes.Writes(server, 1, each)

        def burst():
            bursts.append(net.captured(store, server, len(bursts) * each + 1, each))
            return bursts[-1].rate

        mine, http, sql, single = lib.interleaved(rounds, burst, lambda: store.bare(each, IN_FLIGHT)["rate"],
                                                  lambda: ours.rate(each, bench.size(*BATCH)), lambda: ours.rate(each))
    limits, of_single = ([1 / (1 / a + 1 / b) for a, b in zip(http, other)] for other in (sql, single))
    ratio = lib.ratio(mine, limits)
    return {"figure": statistics.median(mine), "unit": "1/s", "limit": statistics.median(limits), "ratio": ratio,
            "met": ratio >= 0.8, "limit_is": "1/(1/a + 1/b), a: libcurl makes the same requests, b: pgbench the same durable writes, 64 captures in each transaction",
            "a": statistics.median(http), "b": statistics.median(sql), "b_one_by_one": statistics.median(single),
            "ratio_one_by_one": lib.ratio(mine, of_single), "captures": each * rounds,
            "cpu_ms": statistics.median(one.cpu_ms for one in bursts)}
