"""How much of a store's quota of 150 requests in 30 s is used while captures wait for it, with nothing reserved for other apps."""

import time

import lib
import net

TARGET = "at least 0.97, and no answer 429"
QUOTA = 150


def measure(bench):
    window_s, windows = bench.size(30, 2), bench.size(5, 2)
    orders = QUOTA // 3 * (windows + 2)
    with net.shop(bench, orders, 1) as (store, server):
        server.sql("SELECT bcpaid.set_store(1, quota_reserve => 0)")
        store.set(quota=QUOTA, window_ms=window_s * 1000)
        server.root(net.PAY.format(1, orders))
        while not store.report()["first_us"]:
            time.sleep(0.01)
        # From one window's first request to the end of another: the waits between windows are part of it.
        time.sleep(max(0, store.report()["first_us"] / 1e6 + windows * window_s - time.time()))
        report = store.report()
    took_s = time.time() - report["first_us"] / 1e6 if bench.quick else windows * window_s
    used = report["reads"] + report["writes"]
    figure = used / took_s * window_s / QUOTA
    return {"figure": figure, "unit": "of the quota", "limit": 1.0, "met": figure >= 0.97 and report["throttled"] == 0,
            "limit_is": "every request that the quota allows", "requests": used, "windows": windows, "answers_429": report["throttled"]}
