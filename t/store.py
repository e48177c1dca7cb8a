#!/usr/bin/env python3
"""The sandbox store: a BigCommerce store made up for tests and demos, on 127.0.0.1.

    python3 t/store.py --demo --http --port 8080       then look at http://localhost:8080/

It keeps state, checks every request against the documented schema, and misbehaves on order. It captures no
money anywhere. GET /sandbox/ lists how to steer it.
"""

import argparse
import os
import select
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from sandbox import tls                     # noqa: E402: the path must be known first
from sandbox.order import Order             # noqa: E402
from sandbox.server import Server           # noqa: E402
from sandbox.state import Store, World      # noqa: E402

PARENT_CHECK_S = 0.5


def arguments(words):
    parser = argparse.ArgumentParser(description="A made-up BigCommerce store for tests and demos.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument("--ready-file", help="written once it listens: lines port=, url=, ca=, control=, pid=")
    parser.add_argument("--http", action="store_true", help="the store answers plain HTTP too")
    parser.add_argument("--tls-dir", help="speak TLS; certificates are made or found in this directory")
    parser.add_argument("--cert", choices=tls.KINDS, default="good", help="which certificate to show")
    parser.add_argument("--demo", action="store_true", help="one store, demo, with some orders")
    parser.add_argument("--latency-ms", type=float, default=0, help="each answer takes that much longer")
    parser.add_argument("--keep", type=int, default=10_000, help="how many requests the log remembers")
    parser.add_argument("--seed", type=int, help="of the faults that come by chance")
    parser.add_argument("--exit-with-stdin", action="store_true",
                        help="end when standard input closes or the parent process dies")
    chosen = parser.parse_args(words)
    if not chosen.http and not chosen.tls_dir:
        parser.error("one of --tls-dir and --http is needed, or both")
    return chosen


def make_demo(world):
    """A store to look at: obviously made up, quick to understand."""
    store = world.stores["demo"] = Store("demo", {"token": "demo-token", "name": "Demo Store"})
    offline = ("Bank Deposit", "Cash on Delivery", "Check", "Money Order", "Pay in Store")
    for number, method in enumerate(offline, start=215):
        total = f"{69.84 + (number - 218) * 10:.4f}"
        store.orders[number] = Order(number, {"payment_method": method, "total_inc_tax": total})
    store.orders[220] = Order(220, {"payment_method": "Credit Card", "status_id": 11}, {"transactions": [
        {"event": "purchase", "method": "credit_card", "gateway": "stripe", "offline": None}]})
    store.orders[220].members["payment_status"] = "captured"


def write_ready(path, facts):
    """All at once: who sees the file may read it."""
    directory = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile("w", dir=directory, delete=False) as file:
        file.writelines(f"{name}={value}\n" for name, value in facts.items())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def catch_signals():
    """A file that becomes readable with SIGTERM or SIGINT.

    Not threading.Event: set() in a handler deadlocks if the signal comes while wait() holds the same lock.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def wait_for_end(signals, with_stdin, parent):
    """Until SIGTERM or SIGINT; with `with_stdin` also until nobody is there to want it any more."""
    while True:
        ready = select.select([signals, 0] if with_stdin else [signals], [], [],
                              PARENT_CHECK_S if with_stdin else None)[0]
        # A closed standard input is readable at once, and there is nothing to read.
        if signals in ready or (0 in ready and not os.read(0, 4096)):
            return
        if with_stdin and os.getppid() != parent:
            return


def make_server(chosen):
    world = World(keep=chosen.keep, seed=chosen.seed)
    world.latency_ms = chosen.latency_ms
    if chosen.demo:
        make_demo(world)
    certificates = tls.Certificates(chosen.tls_dir) if chosen.tls_dir else None
    server = Server(world, chosen.port, certificates and certificates.context(chosen.cert), chosen.http)
    server.certificates = certificates
    return server


def facts_of(server):
    scheme = "https" if server.context else "http"
    return {"port": server.port, "url": f"{scheme}://localhost:{server.port}",
            "control": f"http://127.0.0.1:{server.port}/sandbox",
            "ca": server.certificates.ca_file if server.certificates else "", "pid": os.getpid()}


def main(words=None):
    # Read before anything else: later it may be somebody else already.
    parent = os.getppid()
    chosen = arguments(words)
    signals = catch_signals()
    server = make_server(chosen)
    server.start()
    facts = facts_of(server)
    if chosen.ready_file:
        write_ready(chosen.ready_file, facts)
    print(f"The sandbox store is at {facts['url']}, its control API and page at http://127.0.0.1:{server.port}/"
          + (f", its CA in {facts['ca']}" if facts["ca"] else ""), flush=True)
    wait_for_end(signals, chosen.exit_with_stdin, parent)
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
