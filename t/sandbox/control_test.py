"""The control API and the page: what they say, and that a mistake in a test is told at once."""

import threading

from .harness import CAPTURE, ORDER, TOKEN, TRANSACTIONS, SandboxCase


class Steering(SandboxCase):
    """Goal: stores and orders can be set up, looked at and removed; a misspelt word is no default."""

    def test_the_list_of_calls(self):
        calls = [one["call"] for one in self.steer("GET", "/sandbox/")]
        self.assertIn("PUT /sandbox/stores/{store}/orders/{order}", calls)
        self.assertTrue(self.steer("GET", "/sandbox/health")["ok"])

    def test_stores(self):
        self.get()
        shown = self.steer("GET", "/sandbox/stores")[0]
        self.assertEqual((shown["store"], shown["orders"], shown["requests"]), ("shop", 1, 1))
        self.assertNotIn(TOKEN, str(shown))
        self.steer("DELETE", "/sandbox/stores/shop")
        self.assertEqual(self.get().status, 401)

    def test_orders(self):
        made = self.steer("PUT", "/sandbox/stores/shop/orders/5", {
            "status_id": 1, "sandbox": {"transactions": [{"event": "refund", "offline": None}]}})
        self.assertEqual((made["order"]["id"], made["transactions"][0]["event"]), (5, "refund"))
        self.assertEqual(len(self.steer("GET", "/sandbox/stores/shop/orders")), 2)
        self.assertEqual(len(self.steer("GET", "/sandbox/stores/shop/orders/5/transactions")), 1)
        self.steer("DELETE", "/sandbox/stores/shop/orders/5")
        self.assertEqual(self.get("/stores/shop/v2/orders/5").status, 404)

    def test_captures_by_store_and_order(self):
        self.post()
        for query, total in (("", 1), ("?store=shop", 1), ("?store=x", 0), ("?store=shop&order=218", 1),
                             ("?order=1", 0)):
            self.assertEqual(self.steer("GET", "/sandbox/captures" + query)["total"], total)

    def test_mistakes_are_told(self):
        for method, path, spec in (
                ("PUT", "/sandbox/stores/shop", {"tokn": "x"}), ("PUT", "/sandbox/stores/shop", {"plan": "big"}),
                ("PATCH", "/sandbox/stores/shop", {"quota": {"size": 1}}),
                ("PATCH", "/sandbox/stores/shop", {"transaction_lag": -1}),
                ("PUT", "/sandbox/stores/none/orders/1", {}), ("GET", "/sandbox/stores/shop/orders/9", None),
                ("PUT", "/sandbox/stores/shop/orders/1", {"sandbox": {"lag": 1}}),
                ("POST", "/sandbox/wait", {}), ("POST", "/sandbox/wait", {"requests": {"cuont": 1}}),
                ("POST", "/sandbox/wait", {"held": {"least": 1}}), ("POST", "/sandbox/reset", {"all": 1}),
                ("GET", "/sandbox/requests?n=1", None), ("POST", "/sandbox/cert", {"cert": "good"}),
                ("PATCH", "/sandbox/settings", {"handshake": "weak"})):
            with self.subTest(path=path, spec=spec):
                reply = self.try_steer(method, path, spec)
                self.assertEqual((reply.status, list(reply.json)), (400, ["error"]))
        self.assertEqual(self.try_steer("GET", "/sandbox/nothing").status, 404)
        self.assertEqual(self.try_steer("DELETE", "/sandbox/wait").status, 405)

    def test_reset(self):
        self.post()
        self.post()
        self.get("/stores/shop/v2/orders?x=1")
        self.fault("drop")
        self.steer("POST", "/sandbox/reset", {"keep_stores": True})
        report = self.report()
        self.assertEqual((report["ok"], self.steer("GET", "/sandbox/requests")["count"]), (True, 0))
        self.assertEqual(self.get().json["payment_status"], "captured")
        self.steer("POST", "/sandbox/reset")
        self.assertEqual(self.steer("GET", "/sandbox/stores"), [])


class Log(SandboxCase):
    """Goal: both halves of each exchange can be asserted."""

    def test_an_exchange(self):
        self.post()
        one = self.last_request()
        self.assertEqual((one["method"], one["path"], one["call"]), ("POST", TRANSACTIONS, "transaction_post"))
        self.assertEqual((one["store"], one["order"], one["token"]), ("shop", 218, "ok"))
        self.assertIn(["X-Auth-Token", "***"], one["headers"])
        names = [name for name, _ in one["headers"]]
        self.assertLess(names.index("X-Auth-Token"), names.index("Content-Type"))
        self.assertIn('"amount": 69.84', one["body"])
        self.assertEqual((one["answer"]["status"], one["taken"]), (201, True))
        self.assertNotIn(TOKEN, str(one))

    def test_filters(self):
        self.get()
        first = self.steer("GET", "/sandbox/requests")["last"]
        self.get(TRANSACTIONS)
        self.post()
        for query, count in (("", 3), ("?method=POST", 1), ("?path=transactions$", 2), (f"?after={first}", 2),
                             ("?store=shop&order=218", 3), ("?call=order_get", 1), ("?body=marker", 1)):
            self.assertEqual(self.steer("GET", "/sandbox/requests" + query)["count"], count)
        self.steer("DELETE", "/sandbox/requests")
        self.assertEqual(self.steer("GET", "/sandbox/requests")["count"], 0)

    def test_requests_of_one_connection_say_so(self):
        self.get()
        self.get()
        self.ask("GET", ORDER, connection=self.connect())
        seen = [one["connection"] for one in self.steer("GET", "/sandbox/requests")["requests"]]
        self.assertEqual((seen[0] == seen[1], seen[1] == seen[2]), (True, False))


class Waiting(SandboxCase):
    """Goal: a wait ends when its condition holds, or says what it saw last."""

    def after_a_while(self, *call):
        """Makes the call once the wait is under way; the wait must not need it any earlier."""
        timer = threading.Timer(0.03, self.ask, call, {"connection": self.connect()})
        timer.start()
        self.addCleanup(timer.join)

    def test_for_requests(self):
        self.after_a_while("GET", ORDER)
        met = self.wait(requests={"count": 1, "match": {"call": "order_get"}, "answered": True})
        self.assertEqual((met["met"], met["seen"]["requests"]), (True, 1))
        late = self.try_steer("POST", "/sandbox/wait", {"timeout_ms": 1, "requests": {"after": met["last"]}})
        self.assertEqual((late.status, late.json["met"], late.json["seen"]), (504, False, {"requests": 0}))

    def test_for_captures_and_a_status(self):
        self.after_a_while("POST", TRANSACTIONS, CAPTURE)
        self.wait(captures={"store": "shop", "order": 218}, idle=True,
                  payment_status={"store": "shop", "order": 218, "is": "captured"})
        self.wait(captures={})

    def test_for_violations(self):
        self.after_a_while("GET", ORDER + "?x=1")
        self.assertEqual(self.wait(violations=1)["seen"]["violations"], 1)

    def test_conditions_must_hold_together(self):
        self.post()
        spec = {"timeout_ms": 1, "captures": {}, "violations": 1}
        self.assertEqual(self.try_steer("POST", "/sandbox/wait", spec).json["seen"],
                         {"captures": 1, "violations": 0})


class Page(SandboxCase):
    """Goal: a person sees what happened, and nothing on the page is taken for HTML."""

    def page(self):
        return self.ask("GET", "/", headers={}).raw.decode()

    def test_what_it_shows(self):
        self.assertIn("No double capture", self.page())
        self.post()
        shown = self.page()
        for text in ("Store shop", "69.8400 USD", "marker-1", '<span class="good">captured', TRANSACTIONS):
            self.assertIn(text, shown)
        self.post()
        self.assertIn("Something is wrong", self.page())
        self.assertNotIn(TOKEN, self.page())

    def test_it_escapes(self):
        self.order(payment_method="<script>", payment_status="<b>")
        self.post(gateway_transaction_id="<i>&")
        shown = self.page()
        self.assertNotIn("<script>", shown)
        self.assertNotIn("<i>", shown)
        self.assertIn("&lt;script&gt;", shown)
