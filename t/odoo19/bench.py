"""What a case works with: Odoo, its database with bcpaid in it, the sandbox store, and the two questions that
every case asks: was it captured once and for the right amount, or was nothing sent at all."""

from decimal import Decimal

from shop import Shop
from waiting import wait_for

# A capture in one of these goes nowhere by itself: no use waiting on.
NEEDS_A_PERSON = ("refused", "held", "not_ours", "cancelled")

# From the commit that paid the last invoice to the commit that wrote Captured, by PostgreSQL's own commit times
# (track_commit_timestamp): polling would measure the polling.
LATENCY_MS = """
    SELECT round(1000 * extract(epoch FROM pg_xact_commit_timestamp(o.xmin)
                                         - max(pg_xact_commit_timestamp(m.xmin))), 1)
    FROM sale_order o
    JOIN sale_order_line l ON l.order_id = o.id
    JOIN sale_order_line_invoice_rel r ON r.order_line_id = l.id
    JOIN account_move_line ml ON ml.id = r.invoice_line_id
    JOIN account_move m ON m.id = ml.move_id
    WHERE o.id = :order
    GROUP BY o.id, o.xmin"""


class Bench:
    def __init__(self, odoo, database, sandbox, screenshots=None):
        self.odoo, self.database, self.sandbox = odoo, database, sandbox
        self.screenshots = screenshots
        self.store = None
        self.shop = None
        self.latencies_ms = []

    def set_up(self):
        """All that a merchant does once, as the role that Odoo works as."""
        self.sandbox.make_store()
        self.database.run("CREATE EXTENSION bcpaid")
        self.database.run("SELECT bcpaid.attach('native')")
        self.store = self.make_store("Store of the cases", switched_on=True)
        # Bank statements are not among an administrator's own rights.
        self.odoo.grant(self.odoo.user, "account.group_account_basic")
        self.shop = Shop(self.odoo)

    def other(self, name, odoo, parent=None):
        """The bench of another company, who works as that user of Odoo's and has a store of its own at the sandbox."""
        other = Bench(odoo, self.database, self.sandbox.other(name, f"token-of-{name}"))
        other.sandbox.make_store()
        other.store = other.make_store(name, switched_on=True)
        other.shop = Shop(odoo, parent)
        return other

    def make_store(self, name, switched_on):
        """A store row with its token, both for the one store at the sandbox. Returns its id."""
        store = self.database.value(
            "SELECT bcpaid.set_store(name => :'name', hash => :'hash', mark_order_as_paid => :'on')",
            name=name, hash=self.sandbox.store, on=switched_on)
        self.give_token(store)
        return store

    def give_token(self, store):
        self.database.run(f"COPY bcpaid.token_inbox FROM STDIN;\n{store}\t{self.sandbox.token}\n\\.\n")

    # --- Orders that the store knows ----------------------------------------------------------

    def order(self, *prices, store=None, **values):
        """A confirmed order in Odoo that is linked to a remote order of the same total."""
        order = self.shop.order(*prices, **values)
        self.link(order, sum(prices), store)
        return order

    def link(self, order, total, store=None, **members):
        """What the import of an order does: the remote order exists, the order carries its id."""
        self.sandbox.make_order(self.remote_id(order), total, **members)
        self.link_again(order, store)

    def link_again(self, order, store=None):
        """The order carries the id of a remote order that is there already."""
        self.database.run("UPDATE sale_order SET bcpaid_store_id = :store, bcpaid_remote_order_id = :'remote'"
                          " WHERE id = :order",
                          store=store or self.store, remote=self.remote_id(order), order=order)

    @staticmethod
    def remote_id(order):
        return 100_000 + order

    def status(self, order):
        return self.database.value("SELECT bcpaid_payment_status FROM sale_order WHERE id = :order", order=order)

    def capture(self, order):
        """The order's row of the ledger, None if it has none."""
        rows = self.database.rows("SELECT * FROM bcpaid.capture WHERE order_id = :order", order=order)
        return rows[0] if rows else None

    def can_mark(self, order):
        return self.database.value("SELECT bcpaid_can_mark(:order)", order=order)

    def why_not(self, order):
        """The conditions that are not met, each with the fact that failed it."""
        return self.database.rows("SELECT condition, detail FROM bcpaid_why_not(:order) WHERE NOT met", order=order)

    # --- What every case ends with ------------------------------------------------------------

    def expect_captured(self, order, measured=True, timeout_s=20):
        """The order becomes Captured, and the store took it once: our marker, the right amount."""
        self.sandbox.wait_for_capture(self.remote_id(order))
        wait_for(lambda: self._is_applied(order), f"order {order} to be Captured", timeout_s)
        if measured:
            self.latencies_ms.append(self.database.value(LATENCY_MS, order=order))
        self._check_capture(order)
        assert self.can_mark(order) is False, "a captured order can be marked again"

    def _is_applied(self, order):
        capture = self.capture(order)
        if capture and capture["state"] in NEEDS_A_PERSON:
            raise AssertionError(f"the capture of order {order} is {capture['state']}: {capture['reason']}")
        return capture and capture["state"] == "applied" and self.status(order) == "Captured"

    def _check_capture(self, order):
        remote = self.sandbox.order(self.remote_id(order))
        assert len(remote["captures"]) == 1, f"order {order} was captured {len(remote['captures'])} times"
        sent, = (one for one in remote["transactions"] if one["event"] == "capture")
        marker = self.database.value("SELECT marker FROM bcpaid.capture WHERE order_id = :order", order=order)
        assert sent["gateway_transaction_id"] == marker, (sent, marker)
        assert Decimal(str(sent["amount"])) == Decimal(remote["order"]["total_inc_tax"]), sent
        assert (sent["method"], sent["gateway"], sent["status"]) == ("offline", "custom", "ok"), sent
        assert remote["order"]["payment_status"] == "captured", remote["order"]["payment_status"]

    def expect_nothing(self, order, condition=None, fact=""):
        """All that has happened so far is judged, and the store was not even asked about this order. `condition`
        is the first that is not met, and `fact` is in what bcpaid says of it."""
        self.wait_until_judged()
        assert self.capture(order) is None, self.capture(order)
        assert self.status(order) is None, self.status(order)
        assert self.can_mark(order) is False and self.why_not(order), "it could be marked by hand"
        assert self.sandbox.requests(self.remote_id(order)) == 0, "the store was asked about it"
        why = self.why_not(order)[0]
        assert condition in (None, why["condition"]) and fact in why["detail"], self.why_not(order)

    def expect_left_to_people(self, order, fact):
        """It may be marked, but only by a person; `fact` is why. Nothing is sent by itself."""
        self.wait_until_judged()
        assert self.capture(order) is None, self.capture(order)
        assert self.can_mark(order) is True, self.why_not(order)
        why, = self.why_not(order)
        assert why["condition"] == "automatic" and fact in why["detail"], why
        assert self.sandbox.requests(self.remote_id(order)) == 0, "the store was asked about it"

    def expect_held(self, order, *facts):
        """Its capture is held with these facts, and the store took nothing. Cancels it: a person's answer."""
        capture = wait_for(lambda: (lambda row: row and row["state"] == "held" and row)(self.capture(order)),
                           f"the capture of order {order} to be held")
        assert all(fact in capture["reason"] for fact in facts), capture["reason"]
        assert self.sandbox.order(self.remote_id(order))["captures"] == [], "it was captured"
        assert self.status(order) is None, self.status(order)
        self.database.run("SELECT bcpaid.cancel(:capture)", capture=capture["id"])

    def wait_until_judged(self):
        """Candidates are written with the payment's commit and leave with the judgement's: none left means
        that every payment so far is judged."""
        wait_for(lambda: self.database.value("SELECT count(*) = 0 FROM bcpaid.candidate"),
                 "the worker to judge all candidates")
