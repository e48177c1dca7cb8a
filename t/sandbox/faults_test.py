"""Each misbehaviour, seen from the client: what arrives, and what the store has done meanwhile."""

import json
import socket
import threading

from .errors import HUGE_BYTES, SHAPES
from .harness import CAPTURE, HEADERS, ORDER, TRANSACTIONS, WRITE, SandboxCase

POST = {"method": "POST"}


class InBackground:
    """A request that is expected to take long, made by another thread."""

    def __init__(self, case, *call):
        self.reply, self.connection = None, case.connect()
        self.thread = threading.Thread(target=self._run, args=(case, call))
        self.thread.start()
        case.addCleanup(self.thread.join)

    def _run(self, case, call):
        try:
            self.reply = case.ask(*call, connection=self.connection)
        except Exception as problem:
            self.reply = problem

    def result(self):
        self.thread.join(10)
        return self.reply


class Answers(SandboxCase):
    """Goal: any status with any headers and any body can be answered instead of the true one."""

    def test_the_plain_error_of_each_version(self):
        self.fault("answer", status=503, times=2)
        self.assertEqual((self.get().status, self.post().json["status"]), (503, 503))
        self.assertEqual(self.get().status, 200)

    def test_each_shape(self):
        for shape in SHAPES:
            with self.subTest(shape=shape):
                self.fault("answer", status=422, shape=shape)
                reply = self.post()
                self.assertEqual(reply.status, 422)
                self.assertEqual(len(reply.raw) > HUGE_BYTES, shape == "huge")
                self.assertEqual(len(reply.raw) == 0, shape == "empty")
        self.assertEqual(self.captures(), 0)

    def test_shapes_are_what_they_are_called(self):
        def answered(shape):
            self.fault("answer", status=500, shape=shape)
            return self.get()
        self.assertEqual(answered("v2").json[0]["status"], 500)
        self.assertIsInstance(answered("v3-errors-array").json["errors"], list)
        self.assertIsInstance(answered("v3-data").json["data"], list)
        self.assertIn("detail", answered("v3-detail").json)
        self.assertIn("instance", answered("v3-instance").json)
        self.assertIn("text/html", answered("html").headers["Content-Type"])
        with self.assertRaises(UnicodeDecodeError):
            answered("invalid-utf8").raw.decode()

    def test_own_bodies_and_headers(self):
        self.fault("answer", status=429, body="slow down", headers={"X-Retry-After": "1"},
                   content_type="text/plain")
        reply = self.get()
        self.assertEqual((reply.status, reply.raw, reply.headers["X-Retry-After"]), (429, b"slow down", "1"))
        self.assertEqual(reply.headers["Content-Type"], "text/plain")
        self.fault("answer", status=200, body={"data": None})
        self.assertEqual(self.get().json, {"data": None})
        self.fault("answer", status=200, body_base64="AAH/")
        self.assertEqual(self.get().raw, b"\0\1\xff")

    def test_taken_or_not(self):
        self.fault("answer", match=POST, status=500)
        self.post()
        self.assertEqual((self.captures(), self.last_request()["taken"]), (0, False))
        self.fault("answer", match=POST, status=500, taken=True)
        self.assertEqual(self.post().status, 500)
        self.assertEqual((self.captures(), self.last_request()["taken"]), (1, True))
        self.assertEqual(self.get().json["payment_status"], "captured")

    def test_no_yes_to_what_was_refused(self):
        self.store(quota={"limit": 0})
        self.fault("answer", match=POST, status=200, taken=True, body="")
        self.assertEqual((self.post().status, self.captures()), (429, 0))

    def test_a_redirect(self):
        self.fault("redirect", to="https://elsewhere.example/", status=307)
        reply = self.post()
        self.assertEqual((reply.status, reply.headers["Location"]), (307, "https://elsewhere.example/"))
        self.assertEqual(self.captures(), 0)


class SpoiltAnswers(SandboxCase):
    """Goal: the true answer can be spoilt on its way."""

    def test_headers(self):
        self.fault("pass", without=["X-Rate-Limit-Requests-Left"], headers={"X-More": "1"}, header_case="lower")
        names = [name for name, _ in self.get().raw_headers]
        self.assertNotIn("x-rate-limit-requests-left", names)
        self.assertTrue({"x-more", "x-rate-limit-requests-quota", "content-type"} <= set(names))

    def test_content_type_and_status(self):
        self.fault("pass", content_type="text/html", status=202)
        reply = self.get()
        self.assertEqual((reply.status, reply.headers["Content-Type"], reply.json["id"]), (202, "text/html", 218))

    def test_cut_off_in_the_body(self):
        self.fault("pass", match=POST, cut=10)
        self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.assertEqual(self.captures(), 1)

    def test_drip(self):
        self.fault("pass", drip={"bytes": 100, "every_ms": 1})
        self.assertEqual(self.get().json["id"], 218)
        self.assertEqual(self.last_request()["answer"]["what"], "dripped")

    def test_drip_until_the_client_leaves(self):
        self.fault("pass", drip={"bytes": 1, "every_ms": 50})
        self.get_and_leave()
        self.wait(idle=True, requests={"answered": True})
        self.assertTrue(self.last_request()["client_left"])

    def get_and_leave(self):
        connection = self.connect()
        connection.request("GET", ORDER, headers=HEADERS)
        self.wait(requests={"match": {"call": "order_get"}})
        connection.close()

    def test_a_keep_alive_connection_that_is_closed_without_a_word(self):
        self.fault("pass", close=True)
        self.assertEqual(self.get().status, 200)
        self.wait(connections={"at_most": 0})

    def test_busy_connections_too_but_not_who_asks_for_it(self):
        self.fault("hang")
        hanging = InBackground(self, "GET", ORDER)
        self.wait(held=1)
        self.assertEqual(self.steer("POST", "/sandbox/disconnect", {"all": True})["closed"], 1)
        self.assertIsInstance(hanging.result(), Exception)

    def test_idle_connections_are_closed_on_order(self):
        self.get()
        self.wait(connections=1, idle=True)
        self.assertEqual(self.steer("POST", "/sandbox/disconnect", {})["closed"], 1)
        self.wait(connections={"at_most": 0})

    def test_a_store_that_goes_away(self):
        port = self.steer("POST", "/sandbox/door", {"open": True})["port"]
        idle, busy = (self.connect(port) for _ in range(2))
        self.assertEqual(self.ask("GET", ORDER, connection=idle).status, 200)
        held = self.fault("hang", then="answer")
        busy.request("GET", ORDER, headers=HEADERS)
        self.wait(held=1)
        self.steer("POST", "/sandbox/door", {"open": False})
        with self.assertRaises(ConnectionRefusedError):
            self.connect(port).connect()
        self.assert_no_answer("GET", ORDER, connection=idle)
        self.steer("POST", "/sandbox/release", {"fault": held})
        last = busy.getresponse()
        self.assertEqual((last.getheader("Connection"), last.read()[:6]), ("close", b'{"id":'))
        self.wait(connections={"at_most": 0})
        self.assertEqual(self.steer("POST", "/sandbox/door", {"open": True})["port"], port)
        again = self.ask("GET", ORDER, connection=self.connect(port))
        self.assertEqual((again.status, again.headers.get("Connection")), (200, None))

    def test_a_store_that_goes_away_and_is_back_at_once(self):
        port = self.steer("POST", "/sandbox/door", {"open": True})["port"]
        busy = self.connect(port)
        held = self.fault("hang", then="answer")
        busy.request("GET", ORDER, headers=HEADERS)
        self.wait(held=1)
        for is_open in (False, True):
            self.steer("POST", "/sandbox/door", {"open": is_open})
        self.steer("POST", "/sandbox/release", {"fault": held})
        self.assertEqual(busy.getresponse().getheader("Connection"), "close")

    def test_latency(self):
        self.fault("pass", latency_ms=30)
        self.get()
        self.store(latency_ms=30)
        self.get()
        self.store(latency_ms=0)
        self.steer("PATCH", "/sandbox/settings", {"latency_ms": 30})
        self.get()
        for one in self.steer("GET", "/sandbox/requests")["requests"]:
            self.assertGreaterEqual(one["answered_at"] - one["at"], 0.029)


class NoAnswers(SandboxCase):
    """Goal: the request is taken or not, and the client cannot know which."""

    def test_dropped_before_it_is_taken(self):
        for how in ("close", "reset"):
            self.fault("drop", how=how)
            self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.assertEqual(self.captures(), 0)
        self.assertEqual(self.post().status, 201)

    def test_dropped_after_it_was_taken(self):
        for taken, how in enumerate(("close", "reset"), start=1):
            self.fault("drop", how=how, taken=True)
            self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
            self.assertEqual(self.captures(), taken)

    def test_a_reset_is_one(self):
        self.fault("drop", how="reset")
        with self.assertRaises(ConnectionResetError):
            self.get()

    def test_garbage(self):
        self.fault("garbage")
        self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.assertEqual(self.captures(), 0)
        self.fault("garbage", body="SSH-2.0-x\r\n", taken=True)
        self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.assertEqual(self.captures(), 1)

    def test_late(self):
        fault = self.fault("late", match=POST)
        self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.wait(held=1)
        self.assertEqual(self.captures(), 0)
        self.assertEqual(self.steer("POST", "/sandbox/release", {"fault": fault})["released"], 1)
        self.wait(captures={"store": "shop", "order": 218}, held={"at_most": 0})

    def test_late_by_itself_after_an_error(self):
        self.fault("late", match=POST, seconds=0.05, status=504, shape="html")
        self.assertEqual(self.post().status, 504)
        self.wait(captures={"store": "shop", "count": 1})

    def test_late_and_then_the_test_is_over(self):
        self.fault("late", match=POST)
        self.assert_no_answer("POST", TRANSACTIONS, CAPTURE)
        self.steer("POST", "/sandbox/reset", {"keep_stores": True})
        self.wait(held={"at_most": 0})
        self.assertEqual(self.captures(), 0)


class Hanging(SandboxCase):
    """Goal: silence, ended by a release, by time or by the client."""

    def test_until_released_and_closed(self):
        for taken in (False, True):
            self.fault("hang", match=POST, taken=taken)
            call = InBackground(self, "POST", TRANSACTIONS, CAPTURE)
            self.wait(held=1)
            self.assertEqual(self.captures(), int(taken))
            self.steer("POST", "/sandbox/release")
            self.assertIsInstance(call.result(), Exception)
            self.assertEqual(self.captures(), int(taken))

    def test_until_released_and_answered(self):
        for count, taken in enumerate((False, True), start=1):
            self.fault("hang", match=POST, taken=taken, then="answer")
            call = InBackground(self, "POST", TRANSACTIONS, CAPTURE)
            self.wait(held=1)
            self.steer("POST", "/sandbox/release")
            self.assertEqual(call.result().status, 201)
            self.assertEqual(self.captures(), count)

    def test_for_some_time(self):
        self.fault("hang", seconds=0.02, then="answer")
        self.assertEqual(self.get().status, 200)

    def test_the_client_leaves(self):
        self.fault("hang", match=POST, then="answer")
        connection = self.connect()
        connection.request("POST", TRANSACTIONS, json.dumps(CAPTURE), WRITE)
        self.wait(held=1)
        connection.close()
        self.wait(held={"at_most": 0}, idle=True, requests={"answered": True})
        self.assertTrue(self.last_request()["client_left"])
        self.assertEqual(self.captures(), 0)

    def test_only_the_fault_named_is_released(self):
        first, second = self.fault("hang"), self.fault("hang")
        calls = [InBackground(self, "GET", ORDER), InBackground(self, "GET", ORDER)]
        self.wait(held=2)
        self.steer("POST", "/sandbox/release", {"fault": first})
        self.assertEqual(self.wait(held={"at_most": 1, "at_least": 1})["seen"]["held"], 1)
        self.steer("POST", "/sandbox/release", {"fault": second})
        for call in calls:
            self.assertIsInstance(call.result(), Exception)


class Matching(SandboxCase):
    """Goal: a fault strikes the request it is meant for, as often as it is meant to."""

    def test_what_matches(self):
        self.steer("PUT", "/sandbox/stores/other", {"token": HEADERS["X-Auth-Token"]})
        for match, path, strikes in (
                ({"path": "/v3/.*transactions"}, TRANSACTIONS, True), ({"path": "/v3/"}, ORDER, False),
                ({"store": "other"}, "/stores/other/v2/store", True), ({"store": "other"}, ORDER, False),
                ({"order": 218}, ORDER, True), ({"order": "218"}, ORDER, True), ({"order": 21}, ORDER, False),
                ({"call": "order_get"}, ORDER, True), ({"method": "POST"}, ORDER, False), ({}, ORDER, True)):
            with self.subTest(match=match, path=path):
                self.fault("answer", status=418, match=match)
                self.assertEqual(self.get(path).status == 418, strikes)
                self.steer("DELETE", "/sandbox/faults")

    def test_a_body_matches(self):
        self.fault("answer", status=418, match={"body": '"marker-2"'})
        self.assertEqual(self.post().status, 201)
        self.assertEqual(self.post(gateway_transaction_id="marker-2").status, 418)

    def test_by_chance(self):
        self.fault("answer", status=500, chance=0.5, times="forever")
        seen = [self.get().status for _ in range(60)]
        self.assertTrue(5 < seen.count(500) < 55 and seen.count(200) == 60 - seen.count(500), seen)

    def test_times_and_after(self):
        self.fault("answer", status=500, after=1, times=2)
        self.assertEqual([self.get().status for _ in range(4)], [200, 500, 500, 200])
        self.wait(faults_used=True)
        self.fault("answer", status=500, times="forever")
        self.assertEqual([self.get().status for _ in range(3)], [500] * 3)
        self.assertEqual(self.steer("GET", "/sandbox/faults")[1]["used"], 3)

    def test_a_queue_of_faults(self):
        self.steer("POST", "/sandbox/faults", [{"do": "answer", "status": 500}, {"do": "answer", "status": 502}])
        self.assertEqual([self.get().status for _ in range(3)], [500, 502, 200])

    def test_orders_that_make_no_sense(self):
        for spec in ({"do": "dance"}, {}, {"do": "drop", "time": 2}, {"do": "drop", "times": 0},
                     {"do": "drop", "match": {"url": "/"}}, {"do": "drop", "match": {"path": "("}},
                     {"do": "answer", "shape": "round"}, {"do": "redirect"}, {"do": "hang", "then": "sing"},
                     {"do": "drop", "how": "softly"}, {"do": "drop", "chance": 0}, []):
            with self.subTest(spec=spec):
                reply = self.try_steer("POST", "/sandbox/faults", spec)
                self.assertEqual(reply.status, 201 if spec == [] else 400)
        self.assertEqual(self.steer("GET", "/sandbox/faults"), [])

    def test_broken_rules_are_noted_under_a_fault_too(self):
        self.fault("answer", status=500)
        self.post(amount="69.84")
        self.assert_violations("bad-amount")

    def test_the_connection_goes_on_after_a_whole_answer(self):
        self.fault("answer", status=500)
        self.get()
        kept = self.connection.sock
        self.get()
        self.assertIsInstance(kept, socket.socket)
        self.assertIs(self.connection.sock, kept)
