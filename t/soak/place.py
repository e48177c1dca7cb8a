"""Where the soak takes place: a server that can be killed, with Odoo's tables and bcpaid, and the sandbox stores."""

import contextlib
import glob
import itertools
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

import shop                                 # noqa: E402: the path must be known first
from session import Lost, Session           # noqa: E402

# Times short enough for many faults in ten minutes, and long against what a busy machine adds to them.
REQUEST_TIMEOUT_S, SETTLE_S = 6, 2
# fsync matters to a machine that dies, not to processes that do; the rest is bcpaid's, or for the evidence.
CONF = """
listen_addresses = ''
unix_socket_directories = '{directory}'
shared_preload_libraries = 'bcpaid'
fsync = off
shared_buffers = 64MB
max_wal_size = 256MB
track_commit_timestamp = on
log_line_prefix = '%m [%p] %b '
bcpaid.allowed_hosts = 'localhost:{port}'
bcpaid.ca_file = '{ca}'
bcpaid.request_timeout = '{request_timeout}s'
bcpaid.settle_time = '{settle}s'
bcpaid.retry_base = '100ms'
bcpaid.retry_cap = '2s'
bcpaid.sweep_interval = '15s'
bcpaid.max_attempts = 1000
"""
STORE = """
SELECT bcpaid.set_store(name => '{hash}', hash => '{hash}', mark_order_as_paid => true, strategy => '{strategy}');
"""
# How they are to be asked, in turn; and what such a store may have seen of a capture.
STRATEGIES = ("transaction", "status", "transaction", "transaction_then_status")
KINDS = {"transaction": ["transaction"], "status": ["status"], "transaction_then_status": ["transaction", "status"]}


class Server:
    """The cluster: started, stopped, crashed; and what runs in it."""

    def __init__(self, directory, store):
        self.directory, self.data = directory, os.path.join(directory, "data")
        self.log = os.path.join(directory, "server.log")
        self.up_or_down = threading.Lock()
        shop.run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
                 "--locale=C.UTF-8", "-D", self.data)
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(CONF.format(directory=directory, request_timeout=REQUEST_TIMEOUT_S, settle=SETTLE_S, **store))

    def start(self):
        # Its messages go to the log: a pipe of ours would stay open as long as the server runs.
        if subprocess.run(["pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "120", "start"],
                          stdout=subprocess.DEVNULL).returncode:
            raise shop.Problem("PostgreSQL did not start:\n" + tail(self.log, 20))

    def stop(self, mode):
        done = subprocess.run(["pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "120", "stop"], capture_output=True)
        if done.returncode:
            raise shop.Problem(f"a {mode} shutdown took longer than two minutes:\n" + tail(self.log, 20))

    def session(self, user="odoo", **settings):
        return Session(self.directory, user, **settings)

    def processes(self, name):
        """The ids of the cluster's processes of that name, such as "bcpaid worker"."""
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                children = glob.glob(f"/proc/{int(file.readline())}/task/*/children")
            ids = [int(one) for path in children for one in open(path).read().split()]
            return [one for one in ids if f": {name}" in open(f"/proc/{one}/cmdline").read()]
        except (OSError, ValueError):
            return []       # It is just being stopped, or one of them has ended meanwhile.


class Watch(threading.Thread):
    """How much memory a worker has at most: what is its own, without the shared buffers."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.workers, self.over = server, set(), threading.Event()
        self.peak_kb, self.files = 0, 0     # and how many files and sockets it had open then

    def run(self):
        while not self.over.wait(0.25):
            for one in self.server.processes("bcpaid worker"):
                with contextlib.suppress(OSError):
                    self._look(one)

    def _look(self, process):
        with open(f"/proc/{process}/status") as file:
            own = [int(line.split()[1]) for line in file if line.startswith("RssAnon")]
        self.workers.add(process)
        if own and own[0] > self.peak_kb:
            self.peak_kb, self.files = own[0], len(os.listdir(f"/proc/{process}/fd"))


class Place:
    """Server and stores together."""

    def __init__(self, directory, store, stores, make):
        self.server, self.hashes = Server(directory, store), [f"shop{n:02}" for n in range(1, stores + 1)]
        self.strategies = dict(zip(self.hashes, itertools.cycle(STRATEGIES)))
        self.ask = shop.Shop(directory, store).ask_store
        self.server.start()
        self._make_database()
        make(self)

    def _make_database(self):
        psql = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-h", self.server.directory]
        shop.run(*psql, "-U", "postgres", "-d", "postgres", "-c", "CREATE ROLE odoo LOGIN",
                 "-c", "CREATE DATABASE odoo OWNER odoo")
        shape = os.path.join(HERE, "..", "shape")
        for file in [os.path.join(shape, name + ".sql") for name in ("odoo19", "fixtures", "fixtures-payments")]:
            shop.run(*psql, "-U", "odoo", "-d", "odoo", "-f", file)
        shop.run(*psql, "-U", "odoo", "-d", "odoo", "-f", os.path.join(HERE, "journal.sql"))
        tokens = "".join(f"{n}\t{name}-token\n" for n, name in enumerate(self.hashes, start=1))
        setting_up = ("SET client_min_messages = error;\nCREATE EXTENSION bcpaid;\nSELECT bcpaid.attach();\n"
                      + "".join(STORE.format(hash=name, strategy=self.strategies[name]) for name in self.hashes)
                      + f"COPY bcpaid.token_inbox FROM STDIN;\n{tokens}\\.\n")
        done = subprocess.run([*psql, "-U", "odoo", "-d", "odoo"], input=setting_up, capture_output=True, text=True)
        if done.returncode:
            raise shop.Problem(done.stderr)


@contextlib.contextmanager
def place_in(directory, stores, seed, make):
    """All of it; `make` sets the stores up. Ends with the block."""
    with shop.store_in(os.path.join(directory, "store"), "--seed", str(seed), "--keep", "1000000") as store:
        place = Place(directory, store, stores, make)
        try:
            yield place
        finally:
            with contextlib.suppress(shop.Problem):
                place.server.stop("immediate")


def wait_until(what, condition, seconds):
    """`condition` says what is still in the way, and nothing once it is met."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            left = condition()
        except Lost as problem:
            left = str(problem)
        if not left:
            return
        if time.monotonic() > deadline:
            raise shop.Problem(f"waited {seconds} s until {what}: {left}")
        time.sleep(0.25)


def tail(path, lines):
    with open(path, errors="replace") as file:
        return "".join(file.readlines()[-lines:])
