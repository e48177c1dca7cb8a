"""The addon in Odoo, as a person at the web client uses it: the calls that a click sends."""

import concurrent.futures
import time

from cases import case
from odoo import OdooError
from waiting import wait_for

# From the press to the form that shows Captured, the widget's polling included.
CAPTURED_WITHIN_S = 2

FORM_FIELDS = {name: {} for name in (
    "bcpaid_can_mark", "bcpaid_status", "bcpaid_situation", "bcpaid_linked_order", "bcpaid_capture_count",
    "bcpaid_banner", "bcpaid_link_is_ours")} | {"bcpaid_linked_store_id": {"fields": {"display_name": {}}}}


def form(bench, order):
    """What the order's form reads."""
    return bench.odoo.call("sale.order", "web_read", [order], FORM_FIELDS)[0]


def left_to_the_button(bench):
    """An order that is paid, linked and left to people, because its store was switched on only then."""
    store = bench.make_store("Store of the button", switched_on=False)
    order = bench.order(100, store=store)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_nothing(order)
    assert form(bench, order)["bcpaid_can_mark"] is False, "the button is there though the store is off"
    bench.database.run("SELECT bcpaid.set_store(store_id => :store, mark_order_as_paid => true)", store=store)
    bench.wait_until_judged()
    return order


def follow(bench, model, record, timeout_s=20):
    """What the widget does after a press: asks, each time in a request of its own, until it is done."""
    return wait_for(lambda: (lambda answer: answer["done"] and answer)(bench.odoo.call(model, "bcpaid_follow", [record])),
                    f"{model} {record} to be done", timeout_s)


@case
def button(bench):
    """the button is there for an order that may be marked; pressed, the form shows Captured within 2 s"""
    order = left_to_the_button(bench)
    before = form(bench, order)
    assert before["bcpaid_can_mark"] is True and before["bcpaid_situation"] == "awaiting", before
    assert not before["bcpaid_banner"] and before["bcpaid_link_is_ours"], before

    started = time.monotonic()
    bench.odoo.call("sale.order", "action_bcpaid_mark", [order])
    answer = follow(bench, "sale.order", order)
    after = form(bench, order)
    took_s = time.monotonic() - started
    assert answer["text"] == "Captured", answer
    assert after["bcpaid_status"] == "Captured" and after["bcpaid_situation"] == "captured", after
    assert after["bcpaid_can_mark"] is False and after["bcpaid_capture_count"] == 1, after
    assert took_s < CAPTURED_WITHIN_S, f"Captured {took_s:.2f} s after the press"
    bench.expect_captured(order, measured=False)
    by = bench.database.value("SELECT requested_by FROM bcpaid.captures WHERE order_id = :order", order=order)
    assert by.startswith("odoo for "), by


@case
def button_refuses(bench):
    """pressed where it may not be, Odoo shows the condition that is not met, and nothing is sent"""
    order = bench.order(100)
    bench.shop.invoice(order)
    try:
        bench.odoo.call("sale.order", "action_bcpaid_mark", [order])
        raise AssertionError("an unpaid order was marked")
    except OdooError as error:
        assert "cannot be marked" in str(error) and "not met" in str(error) and "SELECT" not in str(error), error
    answer = bench.odoo.call("sale.order", "action_bcpaid_why_not", [order])
    body = bench.odoo.read("bcpaid.answer", answer["res_id"], "body")
    assert "Invoices are paid" in body and "not_paid" in body, body
    bench.expect_nothing(order)


@case
def marked_in_the_list(bench):
    """of three selected orders the one that may be marked is captured, the others are told why not; filters find each"""
    paid, unpaid, unlinked = left_to_the_button(bench), bench.order(50), bench.shop.order(30)
    can_mark = bench.odoo.search("sale.order", ["bcpaid_can_mark", "=", True], ["id", "in", [paid, unpaid, unlinked]])
    assert can_mark == [paid], "filter of what can be marked"
    action = bench.odoo.call("sale.order", "action_bcpaid_mark", [paid, unpaid, unlinked])
    body = bench.odoo.read("bcpaid.answer", action["res_id"], "body")
    assert action["name"] == "1 of 3 orders are being captured", action
    assert "invoice status is" in body and "no store" in body, body
    bench.expect_captured(paid, measured=False)

    def found(situation):
        return bench.odoo.search("sale.order", ["bcpaid_situation", "=", situation], ["id", "in", [paid, unpaid, unlinked]])

    assert (found("captured"), found("awaiting"), found("failed")) == ([paid], [unpaid], []), "filters"
    rows = bench.odoo.call("sale.order", "web_search_read", [["bcpaid_situation", "=", "captured"]], FORM_FIELDS)["records"]
    assert {row["bcpaid_status"] for row in rows} == {"Captured"}, rows


def notes(bench, order):
    """What the chatter of an order says of BigCommerce, the latest first, once the scheduled action has run."""
    row, = bench.odoo.search("ir.model.data", ["module", "=", "sale_bcpaid"], ["name", "=", "ir_cron_note"])
    bench.odoo.call("ir.cron", "method_direct_trigger", [bench.odoo.read("ir.model.data", row, "res_id")])
    found = bench.odoo.search("mail.message", ["model", "=", "sale.order"], ["res_id", "=", order],
                              ["message_type", "=", "notification"], ["body", "ilike", "BigCommerce"], order="id desc")
    return [bench.odoo.read("mail.message", one, "body") for one in found]


@case
def repaired(bench):
    """a refused capture is in the list of failures with its reason, has a note and an activity; retried, it is captured"""
    order = bench.order(100)
    bench.sandbox.misbehave(do="answer", status=422, match={"method": "POST", "order": str(bench.remote_id(order))})
    bench.shop.register([bench.shop.invoice(order)])
    wait_for(lambda: bench.capture(order)["state"] == "refused" if bench.capture(order) else False, "the capture to be refused")
    capture, = bench.odoo.search("bcpaid.capture", ["state", "in", ["refused", "held"]], ["order_id", "=", order])
    row = bench.odoo.call("bcpaid.capture", "read", [capture], ["reason", "amount", "tries", "history_ids", "attempt_ids"])[0]
    assert "422" in row["reason"] and row["amount"] == 100 and row["tries"] == 1, row
    assert row["history_ids"] and row["attempt_ids"], row
    assert form(bench, order)["bcpaid_situation"] == "failed"
    assert len(notes(bench, order)) == 1 and "refused" in notes(bench, order)[0], notes(bench, order)
    assert bench.odoo.search("mail.activity", ["res_model", "=", "sale.order"], ["res_id", "=", order]), "no activity"

    bench.odoo.call("bcpaid.capture", "action_retry", [capture])
    follow(bench, "sale.order", order)
    bench.expect_captured(order, measured=False)
    said = notes(bench, order)
    assert len(said) == 2 and "Captured at BigCommerce" in said[0] and "100.00 USD" in said[0], said
    assert len(notes(bench, order)) == 2, "a note was written twice"
    assert not bench.odoo.search("mail.activity", ["res_model", "=", "sale.order"], ["res_id", "=", order]), "still to do"


@case
def noted_once(bench):
    """the scheduled action, run by four requests at the same time, writes one note for each of six captures"""
    orders = [bench.order(20 + number) for number in range(6)]
    for order in orders:
        bench.shop.register([bench.shop.invoice(order)])
    for order in orders:
        bench.expect_captured(order, measured=False)

    def run():
        try:
            return notes(bench, orders[0])
        except OdooError as error:                      # "already executing", or a snapshot that was too old
            return error

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(), range(4)))
    for order in orders:
        assert len(notes(bench, order)) == 1, notes(bench, order)


@case
def taken_back_noted(bench):
    """a payment taken back after the capture: a note, an activity, and the order is found by its filter"""
    order = bench.order(100)
    invoice = bench.shop.invoice(order)
    bench.shop.register([invoice])
    bench.expect_captured(order, measured=False)
    bench.shop.take_back(invoice)
    wait_for(lambda: form(bench, order)["bcpaid_situation"] == "taken_back", "the order to show that it is not paid any more")
    assert order in bench.odoo.search("sale.order", ["bcpaid_situation", "=", "taken_back"])
    assert "taken back" in notes(bench, order)[0], notes(bench, order)
    assert bench.odoo.search("mail.activity", ["res_model", "=", "sale.order"], ["res_id", "=", order]), "no activity"
    bench.shop.register([invoice])
    wait_for(lambda: form(bench, order)["bcpaid_situation"] == "captured", "the order to show that it is paid again")


@case
def no_worker(bench):
    """nothing there that starts workers: the lists say so, and no longer once it is there again"""
    def banner():
        return bench.odoo.call("bcpaid.check", "banner")

    assert not banner(), banner()
    ended = bench.database.superuser().value(
        "SELECT bool_and(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity WHERE backend_type = 'bcpaid launcher'")
    assert ended is True, "the launcher did not end"
    assert banner() == "launcher: the process that starts workers does not run: payments are noted, nobody sends", banner()
    wait_for(lambda: not banner(), "the launcher to be back", 20)


@case
def store_form(bench):
    """a store made, tested, paused and resumed in its form alone, with its token; then an order of it is captured"""
    store = bench.odoo.create("bcpaid.store", name="Store of the form", hash=bench.sandbox.store, token="wrong-token")

    def tested():
        bench.odoo.call("bcpaid.store", "action_test", [store])
        follow(bench, "bcpaid.store", store)
        return bench.odoo.call("bcpaid.store", "read", [store], ["test_ok", "test_result"])[0]

    assert tested()["test_ok"] is False, tested()
    bench.odoo.call("bcpaid.store", "write", [store], {"token": bench.sandbox.token, "mark_order_as_paid": True})
    bench.odoo.call("bcpaid.store", "action_resume", [store])
    answer = tested()
    assert answer["test_ok"] is True and "plan" in answer["test_result"], answer
    assert bench.odoo.call("bcpaid.store", "read", [store], ["token", "has_token"])[0] == {
        "id": store, "token": False, "has_token": True}

    bench.odoo.call("bcpaid.store", "action_pause", [store])
    order = bench.order(100, store=store)
    bench.shop.register([bench.shop.invoice(order)])
    bench.wait_until_judged()
    assert bench.capture(order)["state"] == "queued", bench.capture(order)
    banner = bench.odoo.call("bcpaid.store", "read", [store], ["banner"])[0]["banner"]
    assert "paused" in banner, banner
    bench.odoo.call("bcpaid.store", "action_resume", [store])
    bench.expect_captured(order, measured=False)


@case
def linked_in_the_form(bench):
    """an order linked in its form, by Odoo alone, is captured; a duplicate of it carries nothing"""
    order = bench.shop.order(100)
    bench.sandbox.make_order(bench.remote_id(order), 100)
    bench.odoo.call("sale.order", "write", [order], {"bcpaid_linked_store_id": bench.store,
                                                     "bcpaid_linked_order": str(bench.remote_id(order))})
    copy = bench.odoo.call("sale.order", "copy", [order])
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order)
    copied = form(bench, copy[0] if isinstance(copy, list) else copy)
    assert (copied["bcpaid_linked_order"], copied["bcpaid_linked_store_id"], copied["bcpaid_status"]) == (False,) * 3, copied


@case
def upgraded(bench):
    """Odoo's upgrade of sale, account and the addon: links, captures and triggers are what they were"""
    order = bench.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order, measured=False)
    before = what_is_there(bench, order)
    modules = bench.odoo.search("ir.module.module", ["name", "in", ["sale", "account", "sale_bcpaid"]])
    bench.odoo.call("ir.module.module", "button_immediate_upgrade", modules)
    assert what_is_there(bench, order) == before, (before, what_is_there(bench, order))
    goes_on(bench)


@case
def uninstalled(bench):
    """the addon uninstalled: payments are captured as before, no link and no history is lost; installed again, it finds them"""
    order = bench.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order, measured=False)
    before = what_is_there(bench, order)
    said = notes(bench, order)
    addon = bench.odoo.search("ir.module.module", ["name", "=", "sale_bcpaid"])
    bench.odoo.call("ir.module.module", "button_immediate_uninstall", addon)
    left = bench.database.rows("SELECT relname FROM pg_class WHERE relname LIKE 'bcpaid%' AND relkind IN ('r', 'v')"
                               " AND relnamespace = 'public'::regnamespace")
    assert left == [], left
    assert what_is_there(bench, order) == before, (before, what_is_there(bench, order))
    while_away = goes_on(bench)
    bench.odoo.call("ir.module.module", "button_immediate_install", addon)
    assert what_is_there(bench, order) == before
    for one in (order, while_away):
        shown = form(bench, one)
        assert shown["bcpaid_status"] == "Captured" and shown["bcpaid_linked_order"] == str(bench.remote_id(one)), shown
    assert len(notes(bench, while_away)) == 0 and notes(bench, order) == said, "news of before the installation"
    goes_on(bench)


def what_is_there(bench, order):
    """All that an uninstall or an upgrade might take."""
    return bench.database.rows("""
        SELECT o.bcpaid_store_id, o.bcpaid_remote_order_id, o.bcpaid_payment_status,
               (SELECT json_agg(h.* ORDER BY h.id) FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id
                 WHERE c.order_id = o.id) AS history,
               (SELECT json_agg(d.* ORDER BY d."check") FROM bcpaid.doctor() d WHERE d."check" IN ('columns', 'triggers', 'queries', 'attached')) AS doctor
          FROM sale_order o WHERE o.id = :order""", order=order)


def goes_on(bench, measured=True):
    order = bench.order(100)
    bench.shop.register([bench.shop.invoice(order)])
    bench.expect_captured(order, measured=measured, timeout_s=30)
    return order


@case
def neutralised(bench):
    """a neutralised duplicate: its stores are paused, and nothing may be sent from it"""
    bench.odoo.duplicate_database("shop_test", neutralize=True)
    copy = bench.database.other("shop_test")
    try:
        assert copy.value("SELECT bool_and(paused) FROM bcpaid.stores") is True, "a store is not paused"
        assert copy.value("SELECT bcpaid.environment_is_confirmed()") is False
        problem = copy.value("SELECT detail FROM bcpaid.doctor() WHERE \"check\" = 'environment'")
        assert "neutralised" in problem, problem
    finally:
        copy.drop()
    goes_on(bench, measured=False)      # its worker was ended for the copy, and stays away for 10 s
