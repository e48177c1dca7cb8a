"""How long 3 workers take for one capture in each of 1,000 databases, with a store that answers at once."""

import time

import lib
import net

TARGET = "at most 60 s"
WORKERS = 3
CONF = """
bcpaid.max_workers = 3
bcpaid.max_databases = 1100
max_worker_processes = 8
"""
PAID = """
SELECT bcpaid.confirm_environment();
UPDATE sale_order SET bcpaid_remote_order_id = {} WHERE id = 1;
UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = 1;
"""


def measure(bench):
    count = bench.size(1000, 10)
    with net.shop(bench, 1, 1, CONF) as (store, server):
        names = [f"shop_{n}" for n in range(count)]
        for setting in "bcpaid.enabled", "fsync":           # a thousand databases are made faster without
            server.sql(f"ALTER SYSTEM SET {setting} = off", "postgres", "postgres")
        server.ctl("restart", "-m", "fast")
        lib.tell(f"  {count} databases ...")
        for n, name in enumerate(names):
            server.sql(f"CREATE DATABASE {name} TEMPLATE odoo OWNER odoo STRATEGY file_copy", "postgres", "postgres")
            server.sql(PAID.format(5_000_000 + n), "odoo", name)
        for setting in "bcpaid.enabled", "fsync":
            server.sql(f"ALTER SYSTEM RESET {setting}", "postgres", "postgres")
        store.set()
        server.ctl("restart", "-m", "fast")
        begin = time.monotonic()
        deadline = begin + 600
        while store.report()["captured"] < count:
            if time.monotonic() > deadline:
                raise lib.shop.Problem(f"after 10 minutes: {store.report()}")
            time.sleep(0.05)
        figure, report = time.monotonic() - begin, store.report()
    return {"figure": figure, "unit": "s", "limit": None, "met": figure <= 60 and report["doubles"] == 0, "limit_is": "none",
            "databases": count, "workers": WORKERS}
