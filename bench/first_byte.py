"""How long after the commit of a payment its first byte is at the store."""

import statistics
import subprocess

import net


def times_ms(bench, count, pause_ms, warm_up, conf):
    """Of `count` payments with pauses between them, the first `warm_up` left out: until the store saw it, and what the commit took."""
    total = warm_up + count
    with net.shop(bench, total, 1, conf) as (store, server):
        store.set()
        done = subprocess.run([f"{store.programs}/payer", f"host={server.directory} user=odoo dbname=odoo", "1", str(total), str(pause_ms)],
                              stdout=subprocess.PIPE, text=True, check=True)
        server.wait_until("all is captured", net.LEFT)
        lines = [list(map(int, line.split())) for line in done.stdout.splitlines()][warm_up:]
        waits = [(int(store.ask(f"arrived demo {1000000 + order}")) - done_us) / 1000 for order, _, done_us in lines]
        commits = [(done_us - sent_us) / 1000 for _, sent_us, done_us in lines]
        return waits, statistics.median(commits)


def figure(waits, commit_ms, at_most_ms, limit_is):
    found = statistics.median(waits)
    return {"figure": found, "unit": "ms", "limit": None, "met": found <= at_most_ms, "limit_is": limit_is, "payments": len(waits),
            "p90": sorted(waits)[len(waits) * 9 // 10], "commit_ms": commit_ms}
