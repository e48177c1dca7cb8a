"""A batch that pays 10,000 invoices in one transaction, with bcpaid's triggers; its writes alone, without Odoo's reads."""

import statistics

import lib
import payments

TARGET = "at most 1.05"
FIRST = payments.FIRST

# The writes of payments.payment(), each over all rows at once: nothing is parsed row by row, so that little hides ours.
WRITES = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE TEMP TABLE b ON COMMIT DROP AS
SELECT i, {FIRST} + i AS p, 2 * ({FIRST} + i) - 1 AS debit, 2 * ({FIRST} + i) AS credit, 2 * i - 1 AS receivable
  FROM generate_series({{first}}, {{last}}) i;
INSERT INTO account_payment (id, amount, company_id, currency_id, date, journal_id, partner_type, payment_type, state)
SELECT p, 10, 1, 1, '2026-11-22', 1, 'customer', 'inbound', 'draft' FROM b;
INSERT INTO account_move (id, currency_id, date, move_type, origin_payment_id, ref, state)
SELECT p, 1, '2026-11-22', 'entry', p, 'INV', 'draft' FROM b;
INSERT INTO account_move_line (id, account_id, amount_currency, balance, currency_id, display_type, move_id)
SELECT debit, 3, 10, 10, 1, 'product', p FROM b UNION ALL SELECT credit, 1, -10, -10, 1, 'product', p FROM b;
UPDATE account_move_line l SET payment_id = b.p, parent_state = 'draft' FROM b WHERE l.move_id = b.p;
UPDATE account_payment p SET journal_id = 1, write_date = now() FROM b WHERE p.id = b.p;
UPDATE account_payment p SET move_id = b.p, state = 'in_process' FROM b WHERE p.id = b.p;
UPDATE account_move m SET amount_residual = 0, amount_total = 10, payment_state = 'not_paid', state = 'posted' FROM b WHERE m.id = b.p;
UPDATE account_move m SET name = 'PBNK1/2026/' || b.p FROM b WHERE m.id = b.p;
UPDATE account_move_line l SET amount_residual = -10, reconciled = false FROM b WHERE l.id = b.credit;
INSERT INTO account_partial_reconcile (amount, credit_amount_currency, credit_move_id, debit_amount_currency, debit_move_id)
SELECT 10, 10, credit, 10, receivable FROM b;
UPDATE account_payment p SET name = 'PBNK1/2026/' || b.p FROM b WHERE p.id = b.p;
UPDATE account_move_line l SET reconciled = true FROM b WHERE l.id IN (b.receivable, b.credit);
UPDATE account_payment p SET is_matched = false, is_reconciled = true FROM b WHERE p.id = b.p;
INSERT INTO account_move__account_payment (invoice_id, payment_id) SELECT i, p FROM b ON CONFLICT DO NOTHING;
UPDATE account_move_line l SET parent_state = 'posted', amount_residual = 0 FROM b WHERE l.id IN (b.debit, b.credit, b.receivable);
UPDATE account_move m SET amount_residual = 0, payment_state = 'paid' FROM b WHERE m.id = b.i;
UPDATE account_payment p SET state = 'paid' FROM b WHERE p.id = b.p;
COMMIT;
"""


def measure(bench):
    count, rounds = bench.size(10_000, 20), bench.size(9, 1)
    with payments.sides(bench, (rounds + 1) * count) as server:
        batches = {side: iter(range(1, (rounds + 1) * count, count)) for side in payments.SIDES}

        def pay(side):
            first = next(batches[side])
            said = server.sql(f"SELECT processor_ns(); {WRITES.format(first=first, last=first + count - 1)} SELECT processor_ns()",
                              database=side).split()
            # What this batch left to be judged, or to be cleaned up, is not the next one's.
            server.wait_until("all is judged", "SELECT NOT EXISTS (SELECT FROM bcpaid.candidate)", 600)
            server.sql("VACUUM account_payment, account_move, account_move_line", database=side, user="postgres")
            return (int(said[1]) - int(said[0])) / 1e6

        for side in payments.SIDES:
            pay(side)
        mine, bare = lib.interleaved(rounds, *(lambda side=side: pay(side) for side in payments.SIDES))
    ratio = lib.ratio(mine, bare)
    return {"figure": statistics.median(mine), "unit": "ms", "limit": statistics.median(bare), "ratio": ratio, "met": ratio <= 1.05,
            "limit_is": "the same batch without triggers", "invoices": count}
