"""Orders of an Odoo database as a bulk import makes them: fast, without triggers, all analyzed.

Order n has one line, one posted invoice and the remote order 1000000 + n. `paid` says for which n its invoice is paid.
"""

import contextlib

# In one pass each, and in parts: a transaction that fits into memory. Payments: of paid invoices, as Odoo leaves them.
PARTS = """
INSERT INTO sale_order (id, name, state, invoice_status, currency_id, amount_total, bcpaid_store_id, bcpaid_remote_order_id)
SELECT n, 'S' || n, 'sale', {invoice_status}, 1, 10, 1, (1000000 + n)::text FROM generate_series({first}, {last}) n;
INSERT INTO sale_order_line (id, order_id, product_id, name, product_uom_qty, price_unit, price_total)
SELECT n, n, 1, 'product', 1, 10, 10 FROM generate_series({first}, {last}) n;
INSERT INTO account_move (id, name, state, move_type, payment_state, currency_id, amount_total, amount_residual, amount_total_signed)
SELECT n, 'INV/' || n, 'posted', '{move_type}', CASE WHEN {paid} THEN 'paid' ELSE 'not_paid' END, 1, 10,
       CASE WHEN {paid} THEN 0 ELSE 10 END, 10 FROM generate_series({first}, {last}) n;
INSERT INTO account_move_line (id, move_id, account_id, display_type, product_id, currency_id, balance, price_total)
SELECT 2 * n - o, n, 2 - o, CASE o WHEN 0 THEN 'product' ELSE 'payment_term' END, 1 - o, 1, CASE o WHEN 0 THEN -10 ELSE 10 END,
       CASE o WHEN 0 THEN 10 END FROM generate_series({first}, {last}) n, generate_series(0, 1) o;
INSERT INTO sale_order_line_invoice_rel (order_line_id, invoice_line_id) SELECT n, 2 * n FROM generate_series({first}, {last}) n;
"""
TABLES = ("sale_order", "sale_order_line", "account_move", "account_move_line", "sale_order_line_invoice_rel")
PART = 500_000


def fill(server, count, paid="true", invoice_status="'invoiced'", move_type="out_invoice"):
    """`count` orders; `paid` and `invoice_status` are SQL over n."""
    with without_indexes(server):
        for first in range(1, count + 1, PART):
            server.root("SET session_replication_role = replica; SET synchronous_commit = off;" + PARTS.format(
                first=first, last=min(first + PART - 1, count), paid=paid, invoice_status=invoice_status,
                move_type=move_type))
    server.root("".join(f"SELECT setval('{table}_id_seq', {2 * count + 1000});" for table in TABLES[:4]) +
                "UPDATE bcpaid.progress SET swept_at = clock_timestamp(); TRUNCATE bcpaid.candidate; VACUUM ANALYZE;")


@contextlib.contextmanager
def without_indexes(server):
    """Built at the end they take a third of the time; keys and their constraints are left alone."""
    found = server.root(f"""
        SELECT string_agg(format('DROP INDEX %s;', i.indexrelid::regclass), ''),
               string_agg(pg_get_indexdef(i.indexrelid) || ';', '')
          FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         WHERE c.relname IN ({", ".join(f"'{table}'" for table in TABLES)}) AND NOT i.indisunique
           AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                            WHERE d.objid = i.indexrelid AND d.refclassid = 'pg_extension'::regclass)""")
    drop, make = found.split("|", 1)
    server.root(drop)
    yield
    server.root("SET maintenance_work_mem = '1GB'; " + make)
