#!/usr/bin/env python3
"""Tests of the sandbox store: here its command line and TLS, the rest in t/sandbox/*_test.py.

    python3 t/store_test.py                                  all of them
    python3 -m unittest discover -s t -p '*_test.py'         the same
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from sandbox import tls                                             # noqa: E402: the path must be known first
from sandbox.harness import CAPTURE, HEADERS, WRITE, SandboxCase    # noqa: E402

DEMO = "/stores/demo/v2/orders/218"
DEMO_HEADERS = {**HEADERS, "X-Auth-Token": "demo-token"}
PARTS = ("check_test", "calls_test", "faults_test", "control_test")


def load_tests(loader, tests, pattern):
    """All parts, unless a discovery finds them by itself."""
    if pattern is None:
        tests.addTests(loader.loadTestsFromName("sandbox." + part) for part in PARTS)
    return tests


class Tls(SandboxCase):
    """Goal: the store speaks TLS with a certificate that a client must accept, or must refuse."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.certificates = tls.Certificates(cls.directory.name)

    def setUp(self):
        super().setUp()
        self.server.plain = False
        self.server.certificates = self.certificates
        self.server.context = self.certificates.context("good")

    def secure(self, host="localhost"):
        context = ssl.create_default_context(cafile=self.certificates.ca_file)
        made = http.client.HTTPSConnection(host, self.server.port, timeout=10, context=context)
        self.addCleanup(made.close)
        return made

    def test_the_good_one(self):
        for host in ("localhost", "127.0.0.1"):
            self.assertEqual(self.ask("GET", "/stores/shop/v2/store", connection=self.secure(host)).status, 200)
        self.assertTrue(self.last_request()["tls"])
        self.assertEqual(self.report()["connections"]["tls_failed"], [])

    def test_keep_alive_over_tls(self):
        connection = self.secure()
        for _ in range(3):
            self.ask("GET", "/stores/shop/v2/store", connection=connection)
        self.assertEqual(len({one["connection"] for one in self.steer("GET", "/sandbox/requests")["requests"]}), 1)

    def test_each_bad_one(self):
        for kind, says in (("expired", "expired"), ("wrong-host", "mismatch"), ("unknown-ca", "issuer")):
            with self.subTest(kind=kind):
                before = len(self.report()["connections"]["tls_failed"])
                self.steer("POST", "/sandbox/cert", {"cert": kind})
                with self.assertRaisesRegex(ssl.SSLCertVerificationError, says):
                    self.ask("GET", "/stores/shop/v2/store", connection=self.secure())
                self.wait(tls_failed=before + 1)
        self.steer("POST", "/sandbox/cert", {"cert": "good"})
        self.assertEqual(self.ask("GET", "/stores/shop/v2/store", connection=self.secure()).status, 200)

    def test_no_call_without_tls(self):
        reply = self.ask("GET", "/stores/shop/v2/store")
        self.assertEqual(reply.status, 400)
        self.assert_violations("not-https")

    def test_a_handshake_that_hangs_or_breaks(self):
        self.steer("PATCH", "/sandbox/settings", {"handshake": "close"})
        with self.assertRaises(OSError):
            self.secure().connect()
        self.steer("PATCH", "/sandbox/settings", {"handshake": "hang"})
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(b"\x16\x03\x01")
            self.wait(held=1)
        self.wait(held={"at_most": 0})

    def test_a_drop_and_a_hang_that_the_client_leaves(self):
        self.fault("drop", how="reset", taken=True)
        with self.assertRaises(OSError):
            self.ask("POST", "/stores/shop/v3/orders/218/transactions", CAPTURE, WRITE, self.secure())
        self.assertEqual(self.captures(), 1)
        self.fault("hang")
        connection = self.secure()
        connection.request("GET", "/stores/shop/v2/store", headers=HEADERS)
        self.wait(held=1)
        connection.close()
        self.wait(held={"at_most": 0})


class CommandLine(unittest.TestCase):
    """Goal: started by hand, by Perl or by shell, it says where it is and ends when it should."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def start(self, *words, **how):
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "store.py"), "--port", "0", *words],
                                   stdout=subprocess.PIPE, text=True, **how)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, process.stdout.readline()

    def read(self, port, path="/sandbox/health", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers=headers or {})
        text = connection.getresponse().read()
        connection.close()
        return json.loads(text)

    def test_demo_and_sigterm(self):
        ready = os.path.join(self.directory, "ready")
        process, line = self.start("--http", "--demo", "--ready-file", ready)
        with open(ready) as file:
            facts = dict(one.rstrip("\n").split("=", 1) for one in file)
        self.assertIn(facts["port"], line)
        self.assertEqual((facts["ca"], int(facts["pid"])), ("", process.pid))
        self.assertEqual(self.read(int(facts["port"]), DEMO, DEMO_HEADERS)["total_inc_tax"], "69.8400")
        hanging = socket.create_connection(("127.0.0.1", int(facts["port"])))
        self.addCleanup(hanging.close)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(5), 0)
        self.assertEqual(os.listdir(self.directory), ["ready"])

    def test_several_with_tls_share_a_directory(self):
        ports = set()
        for _ in range(2):
            ready = os.path.join(self.directory, "ready")
            self.start("--tls-dir", os.path.join(self.directory, "tls"), "--demo", "--ready-file", ready)
            with open(ready) as file:
                facts = dict(one.rstrip("\n").split("=", 1) for one in file)
            context = ssl.create_default_context(cafile=facts["ca"])
            connection = http.client.HTTPSConnection("localhost", int(facts["port"]), timeout=10, context=context)
            connection.request("GET", DEMO, headers=DEMO_HEADERS)
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()
            ports.add(facts["port"])
        self.assertEqual(len(ports), 2)

    def test_it_ends_with_its_standard_input(self):
        process, _ = self.start("--http", "--exit-with-stdin", stdin=subprocess.PIPE)
        self.assertIsNone(process.poll())
        process.stdin.close()
        self.assertEqual(process.wait(5), 0)

    def test_it_ends_with_its_parent(self):
        # The standard input stays open here: only the parent, a shell, goes.
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        self.addCleanup(os.close, reading)
        script = '"$0" "$1" --http --exit-with-stdin <&%d & read line; exit 0' % reading
        with subprocess.Popen(["sh", "-c", script, sys.executable, os.path.join(HERE, "store.py")], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[reading]) as parent:
            self.assertIn("sandbox store", parent.stdout.readline())
            parent.stdin.close()
            # The store has our end of the pipe as its output: it closes when the store is gone.
            self.assertEqual(parent.stdout.read(), "")

    def test_it_wants_to_know_what_to_speak(self):
        done = subprocess.run([sys.executable, os.path.join(HERE, "store.py")], capture_output=True, text=True)
        self.assertEqual((done.returncode, "--tls-dir" in done.stderr), (2, True))


if __name__ == "__main__":
    unittest.main()
