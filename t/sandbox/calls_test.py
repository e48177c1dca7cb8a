"""The API as it behaves when nobody breaks anything: orders, transactions, captures, lags, quota, scopes."""

import threading

from .harness import CAPTURE, HEADERS, ORDER, TRANSACTIONS, SandboxCase


class Orders(SandboxCase):
    """Goal: an order reads as BigCommerce's v2 writes it, and as a test set it."""

    def test_the_members(self):
        order = self.get().json
        self.assertEqual((order["id"], order["status_id"], order["status"]), (218, 7, "Awaiting Payment"))
        self.assertEqual((order["total_inc_tax"], order["payment_status"]), ("69.8400", ""))
        self.assertEqual((order["is_deleted"], order["refunded_amount"]), (False, "0.0000"))

    def test_any_member_may_be_set_or_removed(self):
        self.order(total_inc_tax=5, payment_status=None, sandbox={"remove": ["payment_method"]})
        order = self.get().json
        self.assertEqual((order["total_inc_tax"], order["payment_status"]), ("5.0000", None))
        self.assertNotIn("payment_method", order)

    def test_the_list(self):
        self.steer("POST", "/sandbox/stores/shop/orders", {"from": 1, "to": 9, "order": {"status_id": 1}})
        self.steer("PATCH", "/sandbox/stores/shop/orders/3", {"is_deleted": True})

        def ids(query):
            return [order["id"] for order in self.get("/stores/shop/v2/orders" + query).json]
        self.assertEqual(ids("?min_id=2&max_id=5"), [2, 4, 5])
        self.assertEqual(ids("?limit=2&page=2"), [4, 5])
        self.assertEqual(ids("?min_id=9"), [9, 218])
        self.assertEqual(self.get("/stores/shop/v2/orders?min_id=500").status, 204)
        self.assert_violations()

    def test_orders_on_demand(self):
        self.store(orders_on_demand={"payment_method": "Cash"})
        self.assertEqual(self.get("/stores/shop/v2/orders/123456789").json["payment_method"], "Cash")
        self.assertEqual(self.get("/stores/shop/v3/orders/77/transactions").json["data"], [])
        self.assertEqual(len(self.get("/stores/shop/v2/orders?min_id=300&max_id=309&limit=50").json), 10)

    def test_the_store(self):
        store = self.get("/stores/shop/v2/store").json
        self.assertEqual((store["currency"], store["plan_level"]), ("USD", "Standard"))


class Captures(SandboxCase):
    """Goal: a capture changes the order, is listed, is counted; a second one is seen."""

    def test_one(self):
        reply = self.post()
        self.assertEqual(reply.status, 201)
        made = reply.json["data"]
        self.assertEqual((made["order_id"], made["gateway_transaction_id"]), ("218", "marker-1"))
        self.assertGreater(made["id"], 2 ** 53)
        self.assertEqual(self.get().json["payment_status"], "captured")
        self.assertEqual(self.get(TRANSACTIONS).json["data"], [made])
        report = self.report()
        self.assertEqual((report["ok"], report["captures"], report["doubles"]), (True, 1, []))

    def test_two(self):
        self.post()
        self.assertEqual(self.post(gateway_transaction_id="marker-2").status, 201)
        double = self.steer("GET", "/sandbox/doubles")[0]
        self.assertEqual((double["store"], double["order"], double["why"]), ("shop", 218, "captured twice"))
        self.assertEqual([one["marker"] for one in double["captures"]], ["marker-1", "marker-2"])
        self.assertFalse(self.report()["ok"])

    def test_a_second_one_may_be_refused(self):
        self.store(second_capture="refuse")
        self.assertEqual([self.post().status, self.post().status], [201, 422])
        self.assertEqual((self.captures(), self.report()["doubles"]), (1, []))

    def test_after_somebody_else(self):
        seed = "/sandbox/stores/shop/orders/218/transactions"
        self.steer("POST", seed, {"event": "capture", "status": "error"})
        self.post()
        self.assertEqual(self.report()["doubles"], [])
        self.steer("PUT", "/sandbox/stores/shop/orders/218", {})
        self.steer("POST", seed, {"event": "purchase", "gateway": "stripe", "status": "ok", "custom": {}})
        self.post()
        self.assertEqual([one["why"] for one in self.report()["doubles"]], ["was paid already"])

    def test_many_at_once_on_one_order_are_all_counted(self):
        def one():
            self.assertEqual(self.ask("GET", ORDER, connection=self.connect()).status, 200)
            self.ask("POST", TRANSACTIONS, CAPTURE, connection=self.connect())
        threads = [threading.Thread(target=one) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((self.captures(), len(self.report()["doubles"])), (10, 9))

    def test_what_it_answers_can_be_less(self):
        self.store(capture_status=200, capture_answer="minimal")
        reply = self.post()
        self.assertEqual((reply.status, list(reply.json["data"])), (200, ["id"]))
        self.store(capture_answer="empty")
        self.assertEqual(self.post().raw, b"")


class Lags(SandboxCase):
    """Goal: reads may show the old state for some reads, or for ever."""

    def statuses(self, count=3):
        return [self.get().json["payment_status"] for _ in range(count)]

    def listed(self, count=3):
        return [len(self.get(TRANSACTIONS).json["data"]) for _ in range(count)]

    def test_of_the_store(self):
        self.store(payment_status_lag=2, transaction_lag=1)
        self.post()
        self.assertEqual((self.statuses(), self.listed()), (["", "", "captured"], [0, 1, 1]))
        truly = self.steer("GET", "/sandbox/stores/shop/orders/218")
        self.assertEqual((truly["order"]["payment_status"], len(truly["transactions"])), ("captured", 1))

    def test_of_the_order_and_for_ever(self):
        self.order(sandbox={"payment_status_lag": "never", "transaction_lag": "never"})
        self.post()
        self.assertEqual((self.statuses(), self.listed()), ([""] * 3, [0] * 3))
        self.assertEqual(self.captures(), 1)
        self.post()
        self.assertEqual(len(self.report()["doubles"]), 1)

    def test_a_status_that_does_not_change_or_is_another(self):
        self.store(captured_status=None)
        self.post()
        self.assertEqual(self.statuses(1), [""])
        self.store(captured_status="paid")
        self.post()
        self.assertEqual(self.statuses(1), ["paid"])


class Pages(SandboxCase):
    """Goal: a list of transactions has pages, or is empty in either of two ways."""

    def test_pages(self):
        for number in range(5):
            self.steer("POST", "/sandbox/stores/shop/orders/218/transactions", {"id": number})
        self.store(page_size=2)
        seen, page, pages = [], 1, 1
        while page <= pages:
            reply = self.get(f"{TRANSACTIONS}?page={page}&limit=250").json
            pagination = reply["meta"]["pagination"]
            self.assertEqual(pagination["current_page"], page)
            pages, page = pagination["total_pages"], page + 1
            seen += [one["id"] for one in reply["data"]]
        self.assertEqual((seen, pages), ([0, 1, 2, 3, 4], 3))

    def test_none(self):
        self.assertEqual(self.get(TRANSACTIONS).json["data"], [])
        self.store(empty_transactions="204")
        self.assertEqual(self.get(TRANSACTIONS).status, 204)


class TokensAndQuota(SandboxCase):
    """Goal: who may do what, and how often."""

    def test_scopes(self):
        self.store(scopes=["store_v2_orders_read_only", "store_v2_transactions_read_only"])
        self.assertEqual([self.get().status, self.get(TRANSACTIONS).status], [200, 200])
        self.assertEqual(self.get("/stores/shop/v2/store").status, 403)
        self.assertEqual(self.post().json["status"], 403)
        self.assertEqual(self.ask("PUT", ORDER, {"status_id": 11}).json[0]["status"], 403)
        self.assert_violations()

    def test_stores_do_not_share_tokens(self):
        self.steer("PUT", "/sandbox/stores/other", {"tokens": {"another-token": ["store_v2_information_read_only"]}})
        self.assertEqual(self.get("/stores/other/v2/store").status, 401)
        headers = {**HEADERS, "X-Auth-Token": "another-token"}
        self.assertEqual(self.ask("GET", "/stores/other/v2/store", None, headers).status, 200)
        self.assertEqual(self.get("/stores/nobody/v2/store").status, 401)

    def test_the_headers_and_the_429(self):
        self.store(quota={"limit": 2, "window_ms": 60_000, "retry_after": True})
        first = self.get().headers
        self.assertEqual((first["X-Rate-Limit-Requests-Left"], first["X-Rate-Limit-Requests-Quota"]), ("1", "2"))
        self.assertEqual(first["X-Rate-Limit-Time-Window-Ms"], "60000")
        self.assertLessEqual(int(first["X-Rate-Limit-Time-Reset-Ms"]), 60_000)
        self.get()
        reply = self.post()
        self.assertEqual((reply.status, reply.json["status"]), (429, 429))
        self.assertLessEqual(int(reply.headers["X-Retry-After"]), 60)
        self.assertEqual((self.captures(), self.report()["throttled"]), (0, 1))
        self.steer("POST", "/sandbox/stores/shop/quota", {"reset": True})
        self.assertEqual(self.get().status, 200)

    def test_a_429_without_headers(self):
        self.store(quota={"limit": 0, "headers_on_429": False})
        reply = self.get()
        self.assertEqual(reply.status, 429)
        self.assertNotIn("X-Rate-Limit-Requests-Left", reply.headers)

    def test_others_use_the_quota_too(self):
        self.steer("POST", "/sandbox/stores/shop/quota", {"use": 149})
        self.assertEqual(self.get().headers["X-Rate-Limit-Requests-Left"], "0")
        self.assertEqual(self.get().status, 429)

    def test_others_come_in_the_middle_of_each_window(self):
        self.store(quota={"limit": 9, "window_ms": 60_000, "others": {"after": 2, "use": 5}})
        for _ in range(2):
            left = [self.get().headers["X-Rate-Limit-Requests-Left"] for _ in range(4)]
            self.assertEqual(left, ["8", "2", "1", "0"])
            self.assertEqual(self.get().status, 429)
            self.steer("POST", "/sandbox/stores/shop/quota", {"reset": True})
        self.assertEqual(self.try_steer("PATCH", "/sandbox/stores/shop", {
            "quota": {"kind": "sliding", "others": {"after": 2, "use": 5}}}).status, 400)

    def test_both_kinds_of_window_end(self):
        for kind in ("fixed", "sliding"):
            with self.subTest(kind=kind):
                self.store(quota={"limit": 3, "window_ms": 40, "kind": kind})
                statuses = [self.get().status]
                while statuses.count(200) < 7 and len(statuses) < 5000:
                    statuses.append(self.get().status)
                self.assertIn(429, statuses)
                self.assertEqual(statuses.count(200), 7)

    def test_a_plan(self):
        self.store(plan="pro")
        self.assertEqual(self.get().headers["X-Rate-Limit-Requests-Quota"], "450")
