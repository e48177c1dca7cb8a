"""Each strict check of a request: what is refused, with which status, and that it is noted."""

import json
import socket

from .harness import CAPTURE, HEADERS, ORDER, TOKEN, TRANSACTIONS, WRITE, SandboxCase, amount_in


def without(members, *names):
    return {key: value for key, value in members.items() if key not in names}


class Headers(SandboxCase):
    """Goal: no request that lacks a header, or has one too many, passes unseen."""

    def refused(self, headers, status, code, method="GET", path=ORDER, body=None):
        with self.subTest(code=code, headers=headers):
            self.world.violations.clear()
            reply = self.ask(method, path, body, headers)
            self.assertEqual(reply.status, status)
            self.assert_violations(code)

    def test_good_requests_break_no_rule(self):
        self.assertEqual(self.get().status, 200)
        self.assertEqual(self.get(TRANSACTIONS).status, 200)
        self.assertEqual(self.get("/stores/shop/v2/store").status, 200)
        self.assertEqual(self.get("/stores/shop/v2/orders?min_id=1&max_id=9&limit=250").status, 204)
        self.assertEqual(self.post().status, 201)
        self.assert_violations()

    def test_header_names_may_have_any_case(self):
        self.assertEqual(self.ask("GET", ORDER, None, {key.lower(): HEADERS[key] for key in HEADERS}).status, 200)
        self.assert_violations()

    def test_each_missing_header(self):
        self.refused(without(HEADERS, "X-Auth-Token"), 401, "no-token")
        self.refused(without(HEADERS, "Accept"), 406, "accept")
        self.refused({**HEADERS, "Accept": "*/*"}, 406, "accept")
        self.refused(without(HEADERS, "User-Agent"), 400, "user-agent")
        self.refused({**HEADERS, "User-Agent": "bcpaid"}, 400, "user-agent")
        self.refused({**HEADERS, "User-Agent": "bcpaid/"}, 400, "user-agent")
        body = json.dumps(CAPTURE)
        self.refused(HEADERS, 415, "content-type", "POST", TRANSACTIONS, body)
        self.refused({**HEADERS, "Content-Type": "text/plain"}, 415, "content-type", "POST", TRANSACTIONS, body)
        self.assertEqual(self.captures(), 0)

    def test_headers_and_bodies_that_have_no_place(self):
        self.refused({**HEADERS, "Authorization": "Bearer x"}, 400, "foreign-header")
        self.refused({**HEADERS, "Cookie": "a=b"}, 400, "foreign-header")
        self.refused({**HEADERS, "Idempotency-Key": "1"}, 400, "foreign-header")
        self.refused(HEADERS, 400, "body-on-read", body="{}")

    def test_the_token_outside_its_header(self):
        self.ask("GET", ORDER + "?access_token=" + TOKEN)
        self.assertIn("token-leak", [one["code"] for one in self.report()["violations"]])
        self.assertNotIn(TOKEN, json.dumps(self.last_request()))
        self.assertNotIn(TOKEN, json.dumps(self.report()))

    def test_a_wrong_token_is_no_violation(self):
        self.assertEqual(self.ask("GET", ORDER, None, {**HEADERS, "X-Auth-Token": "another"}).status, 401)
        self.assertEqual(self.last_request()["token"], "wrong")
        self.assert_violations()

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as sock:
            sock.sendall(data)
            return sock.recv(65536)

    def test_bytes_that_are_no_good_http(self):
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        self.assertIn(b" 400 ", self.raw(f"GET {ORDER} HTTP/1.0\r\nHost: x\r\n{lines}\r\n".encode()))
        self.assertIn(b" 400 ", self.raw(f"GET {ORDER} HTTP/1.1\r\n{lines}\r\n".encode()))
        self.assertIn(b" 400 ", self.raw(f"GET {ORDER} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n{lines}\r\n"
                                         .encode()))
        self.assertIn(b" 400 ", self.raw(b"nonsense\r\n\r\n"))
        self.assertIn(b" 400 ", self.raw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"))
        self.assertEqual([one["code"] for one in self.report()["violations"]][-2:], ["bad-request"] * 2)
        self.assertTrue({"http-version", "header-twice"} <= {one["code"] for one in self.report()["violations"]})


class Calls(SandboxCase):
    """Goal: a call that bcpaid must never make, or a parameter nobody documented, is noted."""

    def test_unknown_calls(self):
        for method, path, status in (
                ("POST", "/stores/shop/v3/orders/218/payment_actions/capture", 404),
                ("GET", "/stores/shop/v2/orders/218/products", 404), ("GET", "/elsewhere", 404),
                ("DELETE", ORDER, 405), ("PUT", TRANSACTIONS, 405)):
            with self.subTest(path=path, method=method):
                self.world.violations.clear()
                body = None if method in ("GET", "DELETE") else "{}"
                reply = self.ask(method, path, body)
                self.assertIn(reply.status, (status, 401))
                self.assert_violations("unknown-call")

    def test_parameters(self):
        for query in ("?page=0", "?limit=251", "?limit=x", "?limit=05", "?page=1&page=2", "?sort=id"):
            with self.subTest(query=query):
                self.world.violations.clear()
                self.assertEqual(self.get(TRANSACTIONS + query).status, 400)
                self.assert_violations("query")

    def test_an_order_id_is_plain(self):
        self.assertEqual(self.get("/stores/shop/v2/orders/0218").status, 400)
        self.assert_violations("order-id")

    def test_an_order_that_is_not_there_is_no_violation(self):
        reply = self.get("/stores/shop/v2/orders/999")
        self.assertEqual((reply.status, reply.json[0]["status"]), (404, 404))
        reply = self.get("/stores/shop/v3/orders/999/transactions")
        self.assertEqual((reply.status, reply.json["status"]), (404, 404))
        self.assert_violations()


class CaptureBody(SandboxCase):
    """Goal: a capture that strays from the schema by one member is refused, changes nothing, is noted."""

    def refused(self, body, status, *codes):
        with self.subTest(body=body):
            self.world.violations.clear()
            reply = self.post(body)
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.json["status"], status)
            self.assert_violations(*codes)
            self.assertEqual(self.captures(), 0)

    def test_the_text_of_the_amount(self):
        for text in ("69.840000000000003", "69.84000", "6.984e1", "-69.84", "0", "0.00", "true", "null",
                     '"69.84"'):
            self.refused(amount_in(text), 422, "bad-amount")
        for text in ("069.84", "+69.84", "69.", ".84", "NaN", "Infinity"):
            self.refused(amount_in(text), 400, "not-json")
        self.assertEqual(self.post(amount_in("69.84")).status, 201)
        self.assertEqual(self.world.stores["shop"].orders[218].captures[0]["amount"], "69.84")

    def test_each_required_member(self):
        for name in ("event", "method", "amount", "currency", "gateway", "gateway_transaction_id"):
            self.refused(without(CAPTURE, name), 422, "missing-member")

    def test_each_wrong_value(self):
        for name, values in {"event": ["purchase", 1, None], "method": ["custom"], "currency": ["usd", "", 840],
                             "gateway": ["stripe"], "gateway_transaction_id": ["", "a b", "x" * 256, 7, "é"],
                             "status": ["error", True], "test": [True, "false", 0], "fraud_review": [True],
                             "offline": [{"display_name": ""}, {"name": "x"}, [], None]}.items():
            for value in values:
                self.refused({**CAPTURE, name: value}, 422, "bad-" + name.replace("_", "-"))

    def test_unknown_members(self):
        self.refused({**CAPTURE, "order_id": "218"}, 422, "unknown-member")
        self.refused({**CAPTURE, "reference": None, "event": "x"}, 422, "unknown-member", "bad-event")

    def test_bodies_that_cannot_be_read(self):
        for body in ("", "{", "[]", "42", '{"event":"capture","event":"capture"}', b"\xff\xfe", "{" * 50_000):
            self.refused(body, 400, "not-json")

    def test_members_that_may_be_left_out(self):
        self.assertEqual(self.post(without(CAPTURE, "status", "test", "fraud_review", "offline")).status, 201)
        self.assert_violations()

    def test_an_amount_or_currency_that_is_not_the_orders(self):
        self.assertEqual(self.post(amount=69.85).status, 201)
        self.assertEqual(self.post(currency="EUR").status, 201)
        self.assert_violations("amount-differs", "currency-differs")
        self.assertFalse(self.report()["violations"][0]["refused"])
        self.store(amount_must_match=False)
        self.post(amount=1)
        self.assert_violations("amount-differs", "currency-differs")

    def test_currencies_with_other_minor_units(self):
        for total, currency, text, good in (("500.0000", "JPY", "500", True), ("500.4000", "JPY", "500", True),
                                            ("1.2345", "KWD", "1.235", True), ("1.2345", "KWD", "1.23", False),
                                            ("69.8450", "USD", "69.85", True), ("69.8450", "USD", "69.8450", True),
                                            ("69.8450", "USD", "69.844", False), (None, "USD", "1", False)):
            with self.subTest(total=total, text=text):
                self.world.violations.clear()
                self.order(total_inc_tax=total, default_currency_code=currency)
                self.post(amount_in(text).replace("USD", currency))
                self.assert_violations(*[] if good else ["amount-differs"])


class StatusChange(SandboxCase):
    """Goal: a PUT may change the status from unpaid to paid, once, and nothing else."""

    def put(self, body):
        return self.ask("PUT", ORDER, body)

    def test_it_marks_as_paid(self):
        reply = self.put({"status_id": 11, "payment_provider_id": "marker-1"})
        self.assertEqual((reply.status, reply.json["status_id"]), (200, 11))
        self.assertEqual(self.get().json["payment_status"], "captured")
        self.assertEqual(self.get().json["status"], "Awaiting Fulfillment")
        self.assertEqual(self.captures(), 1)
        self.assert_violations()

    def test_what_it_may_not(self):
        for body, code in (({"status_id": 11, "items": []}, "unknown-member"), ({}, "missing-member"),
                           ({"status_id": "11"}, "bad-status-id"), ({"status_id": 5}, "bad-status-id"),
                           ({"status_id": 11, "payment_provider_id": 5}, "bad-payment-provider-id"),
                           ({"status_id": 11, "payment_status": "captured"}, "unknown-member")):
            with self.subTest(body=body):
                self.world.violations.clear()
                self.assertEqual(self.put(body).status, 400)
                self.assert_violations(code)
        self.assertEqual(self.get().json["status_id"], 7)

    def test_transitions(self):
        for status in (0, 2, 4, 5, 9, 10, 11, 12):
            with self.subTest(status=status):
                self.world.violations.clear()
                self.order(status_id=status)
                self.assertEqual(self.put({"status_id": 11}).status, 400)
                self.assert_violations("transition")
        self.world.violations.clear()
        self.order(status_id=1, order_is_digital=True)
        self.assertEqual(self.put({"status_id": 10}).status, 200)
        self.assert_violations()

    def test_completed_is_for_digital_orders(self):
        self.assertEqual(self.put({"status_id": 10}).status, 200)
        self.assert_violations("transition")

    def test_after_a_capture_it_is_a_double_one(self):
        self.post()
        self.put({"status_id": 11})
        self.assertEqual([one["why"] for one in self.report()["doubles"]], ["captured twice"])

    def test_no_content_type(self):
        self.assertEqual(self.ask("PUT", ORDER, '{"status_id":11}', HEADERS).status, 415)
        self.assertEqual(self.ask("PUT", ORDER, '{"status_id":11}', WRITE).status, 200)
