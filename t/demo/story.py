#!/usr/bin/env python3
"""Tells what bcpaid does, and checks every word of it: the second half of script/demo.

Runs as a user that PostgreSQL accepts, with the server's programs in PATH and a directory in BCPAID_WORK.
Ends with 1 at the first thing that is not as told.
"""

import argparse
import os
import select
import signal
import sys
import time

import shop as shops
from shop import Problem

TOTAL, REMOTE = "69.84", 218
FINAL = "'applied','refused','held','not_ours','cancelled'"
COMMITTED = "SELECT extract(epoch FROM pg_xact_commit_timestamp(p.xmin)) FROM account_payment p ORDER BY p.id DESC LIMIT 1"


def title(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def say(text=""):
    print(f"   {text}".rstrip())


class Story:
    """Each chapter shows and checks one thing; `checks` counts what was found true."""

    def __init__(self, shop):
        self.shop, self.checks = shop, 0

    def check(self, what, seen, wanted):
        if seen != wanted:
            raise Problem(f"{what}: {seen!r}, not {wanted!r}")
        self.checks += 1

    # --- What the chapters are made of ---

    def order(self, remote, total, parts=1):
        """An order at the store and in Odoo, invoiced in equal parts; its id in Odoo and its invoices'."""
        self.shop.ask_store("PUT", f"stores/demo/orders/{remote}",
                            {"payment_method": "Bank Deposit", "total_inc_tax": f"{total}00"})
        order = self.shop.value("SELECT fixture.order(:total, :'remote')", total=total, remote=remote)
        invoices = [self.shop.value("SELECT fixture.invoice(:order, :total::numeric / :parts)",
                                    order=order, total=total, parts=parts) for _ in range(parts)]
        return order, invoices

    def in_store(self, remote):
        return self.shop.ask_store("GET", f"stores/demo/orders/{remote}")

    def captures(self, remote):
        """How often the remote order was captured, as the store knows it."""
        return self.shop.ask_store("GET", f"captures?store=demo&order={remote}")["total"]

    def show_order(self, order, remote, status):
        row = self.shop.sql(
            "SELECT o.name, o.amount_total, string_agg(m.name || ' ' || m.payment_state, ', ' ORDER BY m.id),"
            " coalesce(o.bcpaid_payment_status, '') FROM sale_order o"
            " JOIN sale_order_line ol ON ol.order_id = o.id"
            " JOIN sale_order_line_invoice_rel r ON r.order_line_id = ol.id"
            " JOIN account_move_line l ON l.id = r.invoice_line_id JOIN account_move m ON m.id = l.move_id"
            " WHERE o.id = :order GROUP BY o.id", order=order)[0]
        there = self.in_store(remote)
        seen = there["order"]["payment_status"]
        say(f"Odoo    {row[0]}     {float(row[1]):.2f} USD   {row[2]:<28} payment status: {row[3] or '(none)'}")
        say(f"Store   order {remote}  {float(there['order']['total_inc_tax']):.2f} USD"
            f"   {there['order']['payment_method']:<28} payment status: {seen or '(none)'}")
        self.check("payment status in Odoo", row[3], status)
        self.check("payment status at the store", seen.lower(), status.lower())

    def pay(self, invoice):
        """Register Payment, as Odoo sends it; returns how long the transaction took, in ms."""
        session = self.shop.session()
        try:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ;")
            start = time.monotonic()
            session.run(f"SELECT fixture.pay({invoice});")
            session.run("COMMIT;")
            return (time.monotonic() - start) * 1000
        finally:
            session.close()

    def wait_for_end(self, order):
        """Until the capture of the order is final; returns its state."""
        def state():
            return self.shop.value("SELECT state FROM bcpaid.captures WHERE order_id = :order"
                                   f" AND state IN ({FINAL})", order=order)
        self.shop.wait_until(f"the capture of order {order} has come to its end", state)
        return state()

    def wait_until_judged(self):
        self.shop.wait_until("bcpaid has looked at everything", lambda: self.shop.value(
            "SELECT NOT EXISTS (SELECT FROM bcpaid.candidate) AND NOT EXISTS (SELECT FROM bcpaid.captures"
            f" WHERE state NOT IN ({FINAL}))") == "t")

    # --- The chapters ---

    def before(self):
        title("1. An order, invoiced and not yet paid")
        self.first, invoices = self.order(REMOTE, TOTAL)
        self.show_order(self.first, REMOTE, "")
        say(f"May it be marked as paid?   SELECT * FROM bcpaid_why_not({self.first});")
        rows = self.shop.sql("SELECT met, condition, detail FROM bcpaid_why_not(:order)", order=self.first)
        for met, condition, detail in rows:
            say(f"   {'yes' if met == 't' else 'NO '}  {condition:<10} {detail}")
        self.check("the conditions that fail", [row[1] for row in rows if row[0] != "t"], ["settled"])
        self.check("bcpaid_can_mark", self.shop.value("SELECT bcpaid_can_mark(:order)", order=self.first), "f")
        return invoices[0]

    def payment(self, invoice):
        title("2. The accountant registers the payment in Odoo")
        took = self.pay(invoice)
        say("BEGIN ISOLATION LEVEL REPEATABLE READ;")
        say("   the payment, its journal entry, the reconciliation, the invoice (t/shape/fixtures-payments.sql)")
        say(f"COMMIT;   -- {took:.1f} ms. The store was not asked anything yet.")

    def capture(self):
        title("3. bcpaid takes it to the store (milliseconds after that COMMIT)")
        self.check("the end", self.wait_for_end(self.first), "applied")
        # The first capture of a store is read back once more, after the order in Odoo shows it.
        self.shop.wait_until("the capture was read back", lambda: self.shop.value(
            "SELECT id FROM bcpaid.attempts WHERE order_id = :order AND purpose = 'read back'", order=self.first))
        committed = float(self.shop.value(COMMITTED))
        says = {"queued": "judged in a fresh snapshot: eligible", "claimed": "", "sending": "the intent, on disk before the request",
                "captured": "settled from what the store answered", "applied": "the order in Odoo shows it"}
        states = self.shop.sql("SELECT extract(epoch FROM h.at), h.state FROM bcpaid.history h JOIN bcpaid.captures c"
                               " ON c.id = h.capture_id WHERE c.order_id = :order ORDER BY h.at", order=self.first)
        lines = [(float(at), f"{state:<10} {says[state]}") for at, state in states]
        requests = self.shop.ask_store("GET", f"requests?order={REMOTE}")["requests"]
        what = "look before the write"
        for one in requests:
            path = one["path"].split("/stores/demo")[1].split("?")[0]
            what = "the one write" if one["method"] == "POST" else what
            lines.append((one["at"], f"   {one['method']:<4} {path:<30} {one['answer']['status']}   {what}"))
            what = "read back" if one["method"] == "POST" else what
        for at, line in sorted(lines):
            say(f"{(at - committed) * 1000:+8.1f}  {line}")
        self.check("the states", [state for _, state in states], list(says))
        self.check("writes", [one["method"] for one in requests].count("POST"), 1)
        self.check("asked before the commit", min(one["at"] for one in requests) > committed, True)

    def after(self):
        title("4. The transaction, as the store shows it")
        there = self.in_store(REMOTE)["transactions"]
        self.check("transactions at the store", len(there), 1)
        shown = [("event", "capture"), ("method", "offline"), ("gateway", "custom"), ("status", "ok"),
                 ("amount", float(TOTAL)), ("currency", "USD")]
        say("   ".join(f"{name}: {there[0][name]}" for name, _ in shown))
        say(f"gateway_transaction_id: {there[0]['gateway_transaction_id']}   (our marker, the same after any restore)")
        for name, wanted in shown:
            self.check(name, there[0][name], wanted)
        title("5. The order after")
        self.show_order(self.first, REMOTE, "Captured")
        self.check("captures at the store", self.captures(REMOTE), 1)

    def mark_again(self):
        title("6. What it does not do")
        say(f"Twice.      SELECT bcpaid_mark({self.first});")
        done = self.shop.try_sql("SELECT bcpaid_mark(:order)", order=self.first)
        self.show_messages(done)
        self.check("marking again", (done.returncode, done.stdout.strip()), (0, self.shop.value(
            "SELECT id FROM bcpaid.captures WHERE order_id = :order", order=self.first)))
        self.wait_until_judged()
        self.check("captures at the store", self.captures(REMOTE), 1)
        say(f"            Still capture {done.stdout.strip()}, and the store still has 1.")

    def unpaid(self):
        order, invoices = self.order(219, "30.00")
        say(f"Early.      SELECT bcpaid_mark({order});   -- not paid")
        done = self.shop.try_sql("SELECT bcpaid_mark(:order)", order=order)
        self.show_messages(done)
        self.check("marking an unpaid order", done.returncode != 0 and all(
            word in done.stderr for word in ("cannot be marked as paid", "DETAIL:", "30.00", "HINT:")), True)
        return invoices[0]

    def show_messages(self, done):
        for line in done.stderr.splitlines():
            say("            " + line.replace("psql:", "").partition("<stdin>:1: ")[2] if "<stdin>" in line
                else "            " + line)

    def rolled_back(self, invoice):
        say("Undone.     BEGIN;  the payment as above;  ROLLBACK;")
        before = self.shop.ask_store("GET", "requests?limit=1")["last"]
        self.shop.sql("BEGIN; SELECT fixture.pay(:invoice); ROLLBACK;", invoice=invoice)
        self.wait_until_judged()
        self.check("captures at the store", self.captures(219), 0)
        self.check("requests to the store", self.shop.ask_store("GET", "requests?limit=1")["last"], before)
        say("            Nothing was enqueued, the store was not asked.")

    def together(self):
        title("7. Two invoices of one order, paid by two people at the same moment")
        order, invoices = self.order(220, "100.00", parts=2)
        people = [self.shop.session(), self.shop.session()]
        try:
            for statement in ("BEGIN ISOLATION LEVEL REPEATABLE READ;", "SELECT fixture.pay({});", "COMMIT;"):
                for person, invoice in zip(people, invoices):
                    person.run(statement.format(invoice))
        finally:
            for person in people:
                person.close()
        say("Neither transaction sees the other's payment, so neither sees a paid order. After both commits:")
        self.check("the end", self.wait_for_end(order), "applied")
        self.show_order(order, 220, "Captured")
        self.check("captures at the store", self.captures(220), 1)
        self.check("the amount", self.in_store(220)["transactions"][0]["amount"], 100)
        say("1 capture of 100.00 at the store.")

    def end(self):
        report = self.shop.ask_store("GET", "report")
        self.check("orders captured twice", report["doubles"], [])
        self.check("requests against the store's schema", report["violations"], [])
        self.check("captures at the store in all", report["captures"], 2)
        title(f"All true: {self.checks} checks, 2 captures in all, no order captured twice.")

    def tell(self):
        invoice = self.before()
        self.payment(invoice)
        self.capture()
        self.after()
        self.mark_again()
        self.rolled_back(self.unpaid())
        self.together()
        self.end()


def keep(shop):
    """Until Enter or Ctrl-C; without anybody at the keyboard until a signal."""
    print(f"""
Still running, until Enter or Ctrl-C:
   the store's page    http://127.0.0.1:{shop.store['port']}/
   Odoo's database     psql -h {shop.directory} -U odoo odoo
   try                 SELECT bcpaid_mark(2);   SELECT fixture.pay(2);   SELECT * FROM bcpaid.captures;
""")
    if sys.stdin.isatty():
        sys.stdin.readline()
    else:
        select.select([], [], [])


def main():
    parser = argparse.ArgumentParser(description="Tells what bcpaid does.")
    parser.add_argument("--keep", action="store_true")
    chosen = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    # So that the `with` blocks end what they started.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    directory = os.environ["BCPAID_WORK"]
    try:
        with shops.shop_in(directory) as shop:
            print(f"bcpaid: a payment in Odoo becomes a capture at the store\n\n"
                  f"PostgreSQL {shop.value('SHOW server_version').split()[0]} with Odoo's tables, and a sandbox"
                  f" store at {shop.store['url']}, both made up for this.")
            Story(shop).tell()
            if chosen.keep:
                open(os.path.join(directory, "told"), "w").close()
                keep(shop)
    except Problem as problem:
        print(f"\nThe demo failed: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read the story has left. What is still to be flushed at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
