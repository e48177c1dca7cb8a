"""How often an idle server with bcpaid wakes up for it in a minute, between two sweeps; queries and connections, too."""

import glob
import os
import time

import net

TARGET = "0 wake-ups, 0 queries, 0 connections"
ACTIVITY = ("SELECT sum(xact_commit + xact_rollback) || ' ' || (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'bcpaid worker%')"
            " FROM pg_stat_database WHERE datname <> 'postgres'")


def launcher(server):
    with open(os.path.join(server.data, "postmaster.pid")) as file:
        paths = glob.glob(f"/proc/{int(file.readline())}/task/*/children")
    return next(one for path in paths for one in open(path).read().split()
                if b"bcpaid launcher" in open(f"/proc/{one}/cmdline", "rb").read())


def switches(process):
    """Whoever wakes up goes to sleep again: a voluntary switch."""
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))


def measure(bench):
    seconds = bench.size(120, 5)
    with net.shop(bench, 10, 1) as (store, server):
        net.captured(store, server, 1, 10)
        server.wait_until("the worker has left", "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'")
        time.sleep(2)       # statistics arrive late
        before, process = server.sql(ACTIVITY, "postgres", "postgres"), launcher(server)
        woke = switches(process)
        time.sleep(seconds)
        woke = switches(process) - woke
        after = server.sql(ACTIVITY, "postgres", "postgres")
    queries, connections = (int(two) - int(one) for one, two in zip(before.split(), after.split()))
    return {"figure": woke * 60 / seconds, "unit": "wake-ups", "limit": None, "met": woke == queries == connections == 0,
            "limit_is": "none", "queries": queries * 60 / seconds, "connections": int(after.split()[1]), "seconds": seconds}
