"""A shop for the demo: a throwaway PostgreSQL with Odoo's tables and bcpaid, and the sandbox store beside it.

Everything lies in one directory and ends with the `with` block that made it.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPE = os.path.join(HERE, "..", "shape")
TIMEOUT_S = 30

# Besides what points bcpaid to the sandbox, settings are the defaults. Commit times measure the story.
CONF = """
listen_addresses = ''
unix_socket_directories = '{directory}'
shared_preload_libraries = 'bcpaid'
bcpaid.allowed_hosts = 'localhost:{port}'
bcpaid.ca_file = '{ca}'
track_commit_timestamp = on
"""

# What README's quick start says, with the sandbox's token.
SET_UP = """
SET client_min_messages = error;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
COPY bcpaid.token_inbox FROM STDIN;
1\tdemo-token
\\.
"""


class Problem(Exception):
    """The demo did not show what it should have."""


class Shop:
    """Odoo's side as SQL in the role odoo, the store's side as its control API."""

    def __init__(self, directory, store):
        self.directory, self.store = directory, store
        self.psql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", directory, "-U", "odoo", "-d", "odoo"]

    def sql(self, text, **values):
        """Rows as lists of text; `values` are psql's variables: :name, :'name'."""
        done = self.try_sql(text, **values)
        if done.returncode:
            raise Problem(f"{text.strip()}\n{done.stderr.strip()}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def value(self, text, **values):
        rows = self.sql(text, **values)
        return rows[0][0] if rows else None

    def try_sql(self, text, **values):
        """The same, but an error is a result."""
        settings = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        return subprocess.run([*self.psql, "-F", "\x1f", *settings], input=text, capture_output=True, text=True)

    def session(self):
        return Session(self.psql)

    def ask_store(self, method, path, data=None):
        """One call of the sandbox's control API."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.store['control']}/{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)

    def wait_until(self, what, condition):
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise Problem(f"waited {TIMEOUT_S} s until {what}")
            time.sleep(0.05)


class Session:
    """One person's connection: statements one by one, so that two can be in transactions at once."""

    def __init__(self, psql):
        self.process = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, statement):
        """Returns when the statement is done."""
        print(statement + "\n\\echo done", file=self.process.stdin, flush=True)
        if "done\n" not in iter(self.process.stdout.readline, ""):
            raise Problem(f"a session ended in: {statement}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def run(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Problem(f"{' '.join(words)}\n{done.stdout}")


@contextlib.contextmanager
def store_in(directory, *options):
    """The sandbox store; yields what it says of itself: port, url, ca, control, pid."""
    os.makedirs(directory)
    ready = os.path.join(directory, "ready")
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "..", "store.py"), "--tls-dir", directory,
                                "--ready-file", ready, "--exit-with-stdin", *options],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not os.path.exists(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Problem("the sandbox store did not start")
            time.sleep(0.02)
        with open(ready) as file:
            yield dict(line.rstrip("\n").split("=", 1) for line in file)
    finally:
        process.stdin.close()
        process.wait()


@contextlib.contextmanager
def server_in(directory, store):
    """A PostgreSQL server with bcpaid preloaded; its socket is in the directory."""
    data, log = os.path.join(directory, "data"), os.path.join(directory, "server.log")
    run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "-D", data)
    with open(os.path.join(data, "postgresql.conf"), "a") as file:
        file.write(CONF.format(directory=directory, **store))
    try:
        # Its messages go to the log: a pipe of ours would stay open as long as the server runs.
        if subprocess.run(["pg_ctl", "-D", data, "-l", log, "-w", "start"], stdout=subprocess.DEVNULL).returncode:
            with open(log) as file:
                raise Problem("PostgreSQL did not start:\n" + "".join(file.readlines()[-10:]))
        yield
    finally:
        subprocess.run(["pg_ctl", "-D", data, "-m", "fast", "-w", "stop"], capture_output=True)


@contextlib.contextmanager
def shop_in(directory):
    """All of it, with bcpaid attached and one store, demo."""
    with store_in(os.path.join(directory, "store")) as store, server_in(directory, store):
        shop = Shop(directory, store)
        run(*shop.psql[:-4], "-U", "postgres", "-d", "postgres", "-c", "CREATE ROLE odoo LOGIN",
            "-c", "CREATE DATABASE odoo OWNER odoo")
        for name in ("odoo19", "fixtures", "fixtures-payments"):
            run(*shop.psql, "-f", os.path.join(SHAPE, name + ".sql"))
        shop.sql(SET_UP)
        shop.ask_store("PUT", "stores/demo", {"token": "demo-token", "plan": "unlimited"})
        yield shop
