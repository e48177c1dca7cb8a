"""CPU time of the worker for one capture, in a burst to 20 stores that answer at once."""

import statistics

import lib
import net

TARGET = "at most 3 times what libcurl alone takes for the same requests"


def measure(bench):
    each, rounds = bench.size(3000, 100), bench.size(5, 1)
    with net.shop(bench, each * rounds) as (store, server):
        firsts = iter(range(1, each * rounds, each))
        mine, http = lib.interleaved(rounds, lambda: net.captured(store, server, next(firsts), each).cpu_ms,
                                     lambda: store.bare(each, 64)["cpu_ms"])
    ratio = lib.ratio(mine, http)
    return {"figure": statistics.median(mine), "unit": "ms", "limit": statistics.median(http), "ratio": ratio, "met": ratio <= 3,
            "limit_is": "libcurl makes the same requests"}
