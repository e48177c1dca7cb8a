"""Requests of Odoo's that overlap, and one that does not commit."""

import concurrent.futures

from cases import case
from odoo import OdooError
from waiting import wait_for

GATE = 4711
AT_THE_GATE = 5
AT_ONCE = 6


def two_invoices(bench):
    """An order with two posted, unpaid invoices, and these."""
    order = bench.order(100)
    return order, [bench.shop.invoice(order, percentage=50), bench.shop.invoice(order)]


def in_parallel(*calls):
    """Makes each call in a thread of its own; raises what the first to fail raised."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


@case
def write_skew(bench):
    """two invoices of one order paid by two requests, neither of which can see the other's payment"""
    for _ in range(AT_THE_GATE):
        order, (first, second) = two_invoices(bench)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            with bench.database.gate(GATE):
                # Two journals: in one, the second request would wait for the first one's number.
                requests = [pool.submit(bench.shop.pay_in_action, [move], journal, gate=GATE)
                            for move, journal in ((first, bench.shop.bank), (second, bench.shop.cash))]
                bench.database.wait_at_gate(GATE, 2)
            for request in requests:
                request.result()
        bench.expect_captured(order)


@case
def two_dialogs_at_once(bench):
    """two invoices of one order paid in two Register Payment dialogs at the same time, in one journal"""
    for _ in range(AT_ONCE):
        order, (first, second) = two_invoices(bench)
        in_parallel(lambda: bench.shop.register([first]), lambda: bench.shop.register([second]))
        bench.expect_captured(order)


@case
def many_orders_at_once(bench):
    """six orders paid by three requests at a time: every one captured once"""
    orders = [bench.order(10 + number) for number in range(6)]
    invoices = [bench.shop.invoice(order) for order in orders]
    in_parallel(*(lambda move=move: bench.shop.register([move]) for move in invoices))
    for order in orders:
        bench.expect_captured(order)


@case
def rolled_back(bench):
    """a request that fails after it registered the payment sends nothing; paid again, it is captured"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    try:
        bench.shop.pay_in_action([invoice], fail=True)
        raise AssertionError("the request did not fail")
    except OdooError as error:
        assert "refused after the payment" in str(error), error
    bench.expect_nothing(order)
    assert bench.odoo.read("account.move", invoice, "payment_state") == "not_paid"
    bench.shop.register([invoice])
    bench.expect_captured(order)


@case
def terminated(bench):
    """a session that is killed right before its commit sends nothing; paid again, it is captured"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with bench.database.gate(GATE):
            request = pool.submit(bench.shop.pay_in_action, [invoice], gate=GATE)
            bench.database.wait_at_gate(GATE, 1)
            bench.database.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                               f" AND objid = {GATE} AND NOT granted")
            wait_for(request.done, "the request to fail")
        assert request.exception(), "the request did not fail"
    bench.expect_nothing(order)
    bench.shop.register([invoice])
    bench.expect_captured(order)
