"""What the sandbox's own tests share: a server in this process, and a client that behaves like bcpaid."""

import http.client
import json
import re
import unittest

from .server import Server
from .state import World

TOKEN = "sandbox-test-token"
HEADERS = {"X-Auth-Token": TOKEN, "Accept": "application/json", "User-Agent": "bcpaid/1.0 (test)"}
WRITE = {**HEADERS, "Content-Type": "application/json"}
CAPTURE = {"event": "capture", "method": "offline", "amount": 69.84, "currency": "USD", "gateway": "custom",
           "gateway_transaction_id": "marker-1", "status": "ok", "test": False, "fraud_review": False,
           "offline": {"display_name": "Bank Deposit"}}
ORDER = "/stores/shop/v2/orders/218"
TRANSACTIONS = "/stores/shop/v3/orders/218/transactions"
TIMEOUT_S = 10


class Reply:
    """An answer, read to its end."""

    def __init__(self, response):
        self.status, self.raw = response.status, response.read()
        self.headers = response.headers
        self.raw_headers = response.getheaders()

    @property
    def json(self):
        return json.loads(self.raw)


class SandboxCase(unittest.TestCase):
    """A server with one store, `shop`, and one order, 218, that awaits 69.84 USD."""

    def setUp(self):
        self.world = World()
        self.server = Server(self.world, plain=True)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.connection = self.connect()
        self.steer("PUT", "/sandbox/stores/shop", {"token": TOKEN})
        self.steer("PUT", "/sandbox/stores/shop/orders/218", {})

    def connect(self, port=None):
        made = http.client.HTTPConnection("127.0.0.1", port or self.server.port, timeout=TIMEOUT_S)
        self.addCleanup(made.close)
        return made

    def ask(self, method, path, body=None, headers=None, connection=None):
        """One request, by default as bcpaid would make it. A text body is sent as it is."""
        connection = connection or self.connection
        if headers is None:
            headers = HEADERS if body is None else WRITE
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            return Reply(connection.getresponse())
        except Exception:
            connection.close()
            raise

    def get(self, path=ORDER):
        return self.ask("GET", path)

    def post(self, body=None, **changes):
        """A capture; `changes` replace members of the good one."""
        return self.ask("POST", TRANSACTIONS, {**CAPTURE, **changes} if body is None else body)

    def steer(self, method, path, spec=None):
        """A call of the control API, over a connection of its own; must succeed."""
        reply = self.try_steer(method, path, spec)
        self.assertLess(reply.status, 300, reply.raw)
        return reply.json

    def try_steer(self, method, path, spec=None):
        connection = self.connect()
        try:
            return self.ask(method, path, None if spec is None else json.dumps(spec), {}, connection)
        finally:
            connection.close()

    def fault(self, do, **spec):
        return self.steer("POST", "/sandbox/faults", {"do": do, **spec})["id"]

    def store(self, **settings):
        return self.steer("PATCH", "/sandbox/stores/shop", settings)

    def order(self, **members):
        return self.steer("PATCH", "/sandbox/stores/shop/orders/218", members)

    def wait(self, **conditions):
        return self.steer("POST", "/sandbox/wait", conditions)

    def report(self):
        return self.steer("GET", "/sandbox/report")

    def last_request(self):
        return self.steer("GET", "/sandbox/requests?limit=1")["requests"][0]

    def captures(self):
        return self.steer("GET", "/sandbox/captures")["total"]

    def assert_violations(self, *codes):
        """Exactly these rules were broken."""
        self.assertEqual([one["code"] for one in self.report()["violations"]], list(codes))

    def assert_no_answer(self, *call, **how):
        """The connection ends without an answer that can be read."""
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask(*call, **how)


def amount_in(text):
    """A good capture with this very text as its amount."""
    return re.sub(r'"amount": [0-9.]+', lambda _: f'"amount": {text}', json.dumps(CAPTURE))
