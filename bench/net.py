"""What the figures of the worker share: the fast sandbox store, the bare libcurl client, and a burst of payments.

The store (store.c) and the client (bare.c) are C: on two processors, what a sandbox in Python takes is what a worker
does not get, and both sides of a ratio would measure the sandbox.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import lib
import orders

sys.path.insert(0, lib.TESTS)

from sandbox import tls                     # noqa: E402: the path must be known first

# A disk is part of what is promised here: an intent is durable before its write.
DURABLE = "fsync = on"
PAY = "UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id BETWEEN {} AND {};"
LEFT = "SELECT (SELECT count(*) FROM bcpaid.candidate) + (SELECT count(*) FROM bcpaid.capture WHERE state <> 'applied') = 0"


class Store:
    """The fast sandbox store: a process that is steered by lines."""

    def __init__(self, directory, programs):
        made = tls.Certificates(os.path.join(directory, "tls"))
        made.context("good")
        self.ca = made.ca_file
        self._process = subprocess.Popen([f"{programs}/store", "0", f"{made.directory}/good.pem", f"{made.directory}/good.key"],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())
        self.url, self.programs = f"https://localhost:{self.port}", programs

    def ask(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def set(self, latency_ms=0, quota=0, window_ms=30_000, tell=0):
        """All that was counted is forgotten."""
        self.ask("reset")
        self.ask(f"latency {latency_ms}")
        self.ask(f"quota {quota} {window_ms}")
        self.ask(f"tell {tell}")

    def report(self):
        return json.loads(self.ask("report"))

    def __getitem__(self, name):
        """As lib.Bench.store() yields it."""
        return getattr(self, name)

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)

    def bare(self, captures, in_flight, stores=20):
        """The same requests by libcurl alone: what it says, and what it took a capture."""
        self.ask("reset")
        done = subprocess.run([f"{self.programs}/bare", self.url, self.ca, *map(str, (stores, captures, in_flight, 1))],
                              stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        if found["failures"] or self.report()["doubles"]:
            raise lib.shop.Problem(f"the bare client failed: {found}")
        return {**found, "rate": captures / found["seconds"], "cpu_ms": found["cpu_s"] * 1000 / captures}


@contextlib.contextmanager
def store(bench):
    directory = tempfile.mkdtemp(dir=bench.directory)
    lib.shop.run("make", "-s", "-C", lib.HERE, f"OUT={directory}")
    made = Store(directory, directory)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def shop(bench, count, stores=20, conf="", settings=""):
    """A server whose `count` orders are open, dealt out to `stores` stores of the fast sandbox."""
    with store(bench) as sandbox, bench.server(DURABLE + "\n" + conf, store=sandbox) as server:
        more = "".join(f"SELECT bcpaid.set_store(name => 'shop{n}', hash => 'shop{n}', mark_order_as_paid => true);"
                       for n in range(2, stores + 1))
        tokens = "".join(f"{n}\tdemo-token\n" for n in range(2, stores + 1))
        server.sql(f"SET client_min_messages = error;\n{more}\nCOPY bcpaid.token_inbox FROM STDIN;\n{tokens}\\.\n")
        if settings:
            server.sql(f"SET client_min_messages = error; SELECT bcpaid.set_store(id, {settings}) FROM bcpaid.stores;")
        orders.fill(server, count, paid="false")
        server.root(f"SET session_replication_role = replica; UPDATE sale_order SET bcpaid_store_id = 1 + id % {stores};")
        server.root("VACUUM ANALYZE; CHECKPOINT;")
        yield sandbox, server


class Burst:
    """A part of the orders is paid in one transaction, and captured: how long, and with what CPU of the worker."""

    def __init__(self, store, server, first, count, seconds):
        watch = Watch(server)
        begin = time.monotonic()
        server.root(PAY.format(first, first + count - 1))
        committed = time.monotonic()
        # The store is asked first: each look into the database costs a session.
        while store.report()["captured"] < count and time.monotonic() < committed + seconds:
            time.sleep(0.02)
        server.wait_until("all is captured", LEFT, seconds)
        self.seconds, self.paying_s, self.count = time.monotonic() - committed, committed - begin, count
        watch.close()
        self.rate, self.cpu_ms = count / self.seconds, watch.cpu_s * 1000 / count
        self.peak_kb = watch.peak_kb


def captured(store, server, first, count, seconds=600, **how):
    """A Burst, of which the store saw each capture once."""
    store.set(**how)
    burst = Burst(store, server, first, count, seconds)
    report = burst.report = store.report()
    burst.requests_per_s = requests_per_s(report)
    if burst.report["captured"] != count or burst.report["doubles"] or burst.report["unknown"]:
        raise lib.shop.Problem(f"{count} orders were paid, the store says {burst.report}")
    return burst


def requests_per_s(report):
    """By the store's clock, from the first request to the last."""
    return (report["reads"] + report["writes"]) / ((report["last_us"] - report["first_us"]) / 1e6)


def worker_ids(server):
    """Of the workers' processes, without asking the server."""
    found = []
    for one in lib.children_of(server.process()):
        with contextlib.suppress(OSError):
            if b": bcpaid worker" in open(f"/proc/{one}/cmdline", "rb").read():
                found.append(one)
    return found


def own_kb(process):
    """Memory that is a process's own: neither shared buffers nor a program's text."""
    with open(f"/proc/{process}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss_Anon:"))


def cpu_s(process):
    with open(f"/proc/{process}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


class Watch(threading.Thread):
    """Looks at the workers' processes from time to time, for they come and go."""

    def __init__(self, server, seconds=0.1):
        super().__init__(daemon=True)
        self.server, self.pause, self.over = server, seconds, threading.Event()
        self.peak_kb, self.used, self.before = 0, {}, {one: cpu_s(one) for one in worker_ids(server)}
        self.start()

    def run(self):
        while not self.over.wait(self.pause):
            self.look()

    def look(self):
        for one in worker_ids(self.server):
            with contextlib.suppress(OSError, StopIteration):
                self.used[one] = cpu_s(one)
                self.peak_kb = max(self.peak_kb, own_kb(one))

    def close(self):
        self.over.set()
        self.join()
        self.look()

    @property
    def cpu_s(self):
        return sum(used - self.before.get(one, 0) for one, used in self.used.items())
