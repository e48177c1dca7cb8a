"""What is done by hand, and what happens when the store fails or the payment is taken back."""

import time

from cases import case
from database import SqlError
from waiting import wait_for

# A payment takes well under a second here; a request that waited for the store would take its timeouts.
NOT_IN_THE_WAY_S = 5

# Core waits 5 s for whoever is connected, then fails; the rest is the disk of a busy machine.
DROP_S = 15


@case
def by_hand(bench):
    """an order from before its store was switched on: only the button takes it, and only once"""
    store = bench.make_store("Second store", switched_on=False)
    order = bench.order(100, store=store)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order)
    unmet = bench.why_not(order)
    assert len(unmet) == 1 and "on" in unmet[0]["detail"], unmet

    bench.database.run("SELECT bcpaid.set_store(store_id => :store, mark_order_as_paid => true)", store=store)
    bench.wait_until_judged()
    assert bench.capture(order) is None, "an order from before the switch-on was taken automatically"
    assert bench.can_mark(order) is True, bench.why_not(order)
    unmet = [one["condition"] for one in bench.why_not(order)]
    assert unmet == ["automatic"], bench.why_not(order)

    first, second = (bench.database.value("SELECT bcpaid_mark(:order)", order=order) for _ in range(2))
    assert first == second, (first, second)
    bench.database.run("CALL bcpaid.wait(:capture, '20 s')", capture=first)
    bench.expect_captured(order, measured=False)


@case
def refused_by_hand(bench):
    """an order that is not paid: the button refuses with the condition, and nothing is sent"""
    order = bench.order(100)
    bench.shop.invoice(order)
    try:
        bench.database.run("SELECT bcpaid_mark(:order)", order=order)
        raise AssertionError("bcpaid_mark took an unpaid order")
    except SqlError as error:
        assert "ERROR" in str(error) and "DETAIL" in str(error) and "HINT" in str(error), error
    bench.expect_nothing(order)


@case
def store_down(bench):
    """the store is down: the payment goes on, the capture waits, and is taken when the store is back"""
    bench.sandbox.misbehave(do="answer", status=503, times="forever", match={})
    try:
        order = bench.order(100)
        invoice = bench.shop.invoice(order)
        started = time.monotonic()
        bench.shop.register([invoice])
        took_s = time.monotonic() - started
        assert took_s < NOT_IN_THE_WAY_S, f"the payment took {took_s:.1f} s"
        assert bench.odoo.read("account.move", invoice, "payment_state") in ("paid", "in_payment")
        wait_for(lambda: (bench.capture(order) or {}).get("state") == "waiting", "the capture to wait for the store")
        assert bench.status(order) is None, bench.status(order)
    finally:
        bench.sandbox.behave()
    bench.expect_captured(order, measured=False)


@case
def answer_lost(bench):
    """the store takes the capture but its answer is lost: found by looking, not sent again"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.sandbox.misbehave(do="drop", taken=True, match={"method": "POST", "order": str(bench.remote_id(order))})
    bench.shop.register([invoice])
    bench.expect_captured(order, measured=False)


@case
def taken_back(bench):
    """a payment taken back after the capture is flagged; paid again, nothing is sent again"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.expect_captured(order)
    bench.shop.take_back(invoice)
    wait_for(lambda: bench.capture(order)["taken_back_at"], "the capture to be flagged")
    bench.shop.register([invoice])
    wait_for(lambda: bench.capture(order)["taken_back_at"] is None, "the flag to go again")
    bench.expect_captured(order, measured=False)


@case
def duplicated(bench):
    """a copy made by Odoo's database manager sends nothing, the original goes on, the copy can be dropped"""
    paid = bench.shop.order(100)
    bench.shop.register([bench.shop.invoice(paid)])
    bench.sandbox.make_order(bench.remote_id(paid), 100)
    busy = bench.order(100)
    bench.shop.register([bench.shop.invoice(busy)])         # its worker is connected, or about to be

    bench.odoo.duplicate_database("shop_copy")
    copy = bench.database.other("shop_copy")
    try:
        assert copy.value("SELECT bool_or(environment_confirmed) FROM bcpaid.status") is False, "it says confirmed"
        assert copy.rows("SELECT FROM bcpaid.doctor() WHERE NOT ok AND hint LIKE '%confirm_environment%'")
        copy.run("UPDATE sale_order SET bcpaid_store_id = :store, bcpaid_remote_order_id = :'remote' WHERE id = :order",
                 store=bench.store, remote=bench.remote_id(paid), order=paid)
        bench.expect_captured(busy, measured=False)
        after = bench.order(100)
        bench.shop.register([bench.shop.invoice(after)])
        bench.expect_captured(after, measured=False, timeout_s=30)
        assert bench.sandbox.requests(bench.remote_id(paid)) == 0, "the copy asked the store"
    finally:
        bench.database.superuser().run("CHECKPOINT")        # for which DROP DATABASE would wait
        started = time.monotonic()
        copy.drop()
    assert time.monotonic() - started < DROP_S, f"DROP DATABASE took {time.monotonic() - started:.1f} s"


@case
def nothing_twice(bench):
    """over all orders: no double capture, no rule of the API broken, nothing left over"""
    report = bench.sandbox.report()
    assert report["ok"], {"doubles": report["doubles"], "violations": report["violations"]}
    open_captures = bench.database.rows("SELECT order_id, state, reason FROM bcpaid.capture "
                                        " WHERE state NOT IN ('applied', 'cancelled')")
    assert open_captures == [], open_captures
    captured = bench.database.value("SELECT count(*) FROM sale_order WHERE bcpaid_payment_status = 'Captured'")
    assert captured == report["captures"], (captured, report["captures"])
    assert report["throttled"] == 0, report["throttled"]
