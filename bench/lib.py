"""What the figures share: a server of their own with Odoo's tables and bcpaid, a sandbox store, and how to time.

A figure is a file figures/NAME.py:

    'What is measured, in one line.'
    TARGET = "at most 1.02"

    def measure(bench):
        with bench.server() as server:
            ...
        return {"figure": 1.3, "unit": "ms", "limit": 1.2, "met": 1.3 / 1.2 <= 1.02, "limit_is": "without triggers"}

`figure` and `limit` are in the same unit and of the same run; the ratio is figure / limit unless it is returned, too.
Whatever else is returned explains the figure. With bench.quick sizes are small and whether it is met means nothing.
"""

import contextlib
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(HERE, "..", "t")
sys.path.insert(0, os.path.join(TESTS, "demo"))

import shop     # noqa: E402: the path must be known first

# fsync off: what a disk adds to both sides of a ratio would hide what we add. Nothing runs but what is measured.
CONF = """
listen_addresses = ''
unix_socket_directories = '{directory}'
fsync = off
shared_buffers = {shared_buffers}
max_wal_size = 16GB
checkpoint_timeout = 1h
autovacuum = off
jit = off
"""
# Nanoseconds that this session's process has been on a processor: other work on the machine does not count.
# PostgreSQL reads files of /proc, which have no size, only up to a given length.
PROCESSOR_NS = """
CREATE FUNCTION public.processor_ns() RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
RETURN split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::bigint;
"""
SET_UP = """
SET client_min_messages = error;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
"""


def tell(text):
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One run of figures. Ends with the block; what was shared ends with it."""

    def __init__(self, quick):
        self.quick, self._open, self._shared = quick, contextlib.ExitStack(), {}
        self.directory = tempfile.mkdtemp(dir=os.environ.get("BCPAID_WORK"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._shared.clear()
        return self._open.__exit__(*error)

    def size(self, full, quick):
        return quick if self.quick else full

    def server(self, conf="", **options):
        """A context manager: a Server that is there for one figure alone."""
        return server_in(tempfile.mkdtemp(dir=self.directory), conf, **options)

    def store(self, *options):
        """A context manager: the sandbox store, which says its port, url, ca and control. Its options: t/store.py."""
        return shop.store_in(os.path.join(tempfile.mkdtemp(dir=self.directory), "store"), *options)

    def shared(self, key, make):
        """What make(), a context manager, yields: made once, kept for other figures, until the run ends."""
        if key not in self._shared:
            self._shared[key] = self._open.enter_context(make())
        return self._shared[key]


class Server:
    """A cluster with Odoo's tables in database odoo, bcpaid attached, and one store: 1, demo, switched on."""

    def __init__(self, directory):
        self.directory, self.data = directory, os.path.join(directory, "data")
        self.log = os.path.join(directory, "server.log")

    def psql(self, user="odoo", database="odoo"):
        return ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-U", user, "-d", database]

    def sql(self, text, user="odoo", database="odoo"):
        """What psql prints: rows as lines, columns separated by |."""
        done = subprocess.run([*self.psql(user, database), "-f", "-"], input=text, capture_output=True, text=True)
        if done.returncode:
            raise shop.Problem(f"{text.strip()[:2000]}\n{done.stderr.strip()}")
        return done.stdout.strip()

    def number(self, text, user="odoo"):
        return float(self.sql(text, user))

    def root(self, text):
        return self.sql(text, "postgres")

    @contextlib.contextmanager
    def session(self, database="odoo"):
        """A psql that stays: a function that sends a statement, and returns the seconds until it is done."""
        with subprocess.Popen([*self.psql(database=database), "-o", "/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as process:
            def run(statement):
                begin = time.monotonic()
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(statement + ";\n\\echo done\n")
                    process.stdin.flush()
                if process.stdout.readline() != "done\n":
                    raise shop.Problem(f"psql did not go on after {statement}")
                return time.monotonic() - begin

            yield run
            process.stdin.close()

    def pgbench(self, script, *options, user="odoo", database="odoo"):
        """Run a script's text with pgbench; what pgbench says."""
        with tempfile.NamedTemporaryFile("w", dir=self.directory, suffix=".sql") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(["pgbench", "-n", "-h", self.directory, "-U", user, "-f", file.name, *options, database],
                                  capture_output=True, text=True)
        if done.returncode:
            raise shop.Problem(done.stderr[-2000:])
        return done.stdout

    def ctl(self, *words):
        # Its messages go to the log: a pipe of ours would stay open as long as the server runs.
        if subprocess.run(["pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "600", *words],
                          stdout=subprocess.DEVNULL).returncode:
            with open(self.log) as file:
                raise shop.Problem("pg_ctl failed:\n" + "".join(file.readlines()[-10:]))

    def process(self):
        """The postmaster's."""
        with open(os.path.join(self.data, "postmaster.pid")) as file:
            return int(file.readline())

    def configure(self, conf):
        """Settings in addition, which count from the next start or reload on."""
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(conf + "\n")

    def wait_until(self, what, query, seconds=120):
        """Until the query says t."""
        deadline = time.monotonic() + seconds
        while self.root(query) != "t":
            if time.monotonic() > deadline:
                raise shop.Problem(f"waited {seconds} s until {what}")
            time.sleep(0.05)


@contextlib.contextmanager
def server_in(directory, conf="", preload=True, store=None, attach=True, shared_buffers="512MB"):
    """`store`: what Bench.store() yields, to which bcpaid then sends; without one nothing is sent."""
    server = Server(directory)
    shop.run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8",
             "-D", server.data)
    server.configure(CONF.format(directory=directory, shared_buffers=shared_buffers))
    if preload:
        server.configure("shared_preload_libraries = 'bcpaid'")
        server.configure("bcpaid.enabled = off" if store is None else
                         f"bcpaid.allowed_hosts = 'localhost:{store['port']}'\nbcpaid.ca_file = '{store['ca']}'")
    server.configure(conf)
    server.ctl("start")
    try:
        server.sql("CREATE ROLE odoo LOGIN; CREATE DATABASE odoo OWNER odoo;", "postgres", "postgres")
        for name in ("odoo19", "fixtures", "fixtures-payments"):
            shop.run(*server.psql(), "-f", os.path.join(TESTS, "shape", name + ".sql"))
        server.root(PROCESSOR_NS)
        if attach:
            server.sql(SET_UP + "COPY bcpaid.token_inbox FROM STDIN;\n1\tdemo-token\n\\.\n")
        yield server
    finally:
        with contextlib.suppress(shop.Problem):
            server.ctl("stop", "-m", "immediate")
        shutil.rmtree(server.data, ignore_errors=True)


def children_of(process):
    return [int(word) for path in glob.glob(f"/proc/{process}/task/*/children") for word in open(path).read().split()]


def ask_store(store, method, path, data=None):
    """One call of the sandbox's control API, as in t/demo/shop.py."""
    return shop.Shop("", store).ask_store(method, path, data)


def interleaved(rounds, *measurements):
    """Each in turn, so that what else the machine does meets all alike: a list of values for each."""
    values = [[] for _ in measurements]
    for number in range(rounds):
        # Every other round backwards: nobody is always the one after a checkpoint.
        order = range(len(measurements)) if number % 2 == 0 else reversed(range(len(measurements)))
        for which in order:
            values[which].append(measurements[which]())
    return values


def ratio(figures, limits):
    """The median of the pairs' ratios."""
    return statistics.median(one / other for one, other in zip(figures, limits))
