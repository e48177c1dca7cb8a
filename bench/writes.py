"""The limit of PostgreSQL: what captures write, by pgbench, with nothing between.

The intent and the outcome are durable, each for itself; what a crash may undo is not waited for, as bcpaid does not. So
many captures go in each transaction, of which there are four, by eight clients. Statements are prepared and sent in one
go, so that nothing waits for a client. Into tables of the same shape, in a schema of their own: a worker that meets
captures of nobody takes them for a crash's.
"""

import re

CLIENTS = 8
TABLES = "CREATE SCHEMA bare;" + "".join(f"CREATE TABLE bare.{name.partition('.')[2]} (LIKE {name} INCLUDING ALL);"
                                         for name in ("bcpaid.capture", "bcpaid.history", "bcpaid.attempt", "public.sale_order"))
ORDERS = "INSERT INTO bare.sale_order SELECT * FROM public.sale_order WHERE id BETWEEN {} AND {}; ANALYZE bare.sale_order;"
IDS = "generate_series(:id::bigint, :last) id"
HISTORY = f"INSERT INTO bare.history (capture_id, state, by) SELECT id, '{{}}', 'worker' FROM {IDS};\n"
ATTEMPT = ("INSERT INTO bare.attempt (capture_id, purpose, requests, status, took_ms, outcome)"
           f" SELECT id, '{{}}', {{}}, 200, 10, '{{}}' FROM {IDS};\n")
MOVE = "UPDATE bare.capture SET state = '{}', due = clock_timestamp(), changed_at = clock_timestamp(){} WHERE id BETWEEN :id AND :last;\n"
CAPTURED = ", captured_by = 'bcpaid', captured_at = clock_timestamp(), transaction_id = '9007199254740993'"
SCRIPT = f"""
\\set n :n + :batch
\\set id :base + :client_id * 1000000 + :n
\\set order_id :first + :client_id * :orders_of_one + :n % (:orders_of_one - :batch)
\\set last :id + :batch - 1
\\set last_order :order_id + :batch - 1
\\startpipeline
BEGIN;
SET LOCAL synchronous_commit = off;
INSERT INTO bare.capture (id, store_hash, remote_order_id, order_id, store_id, origin, requested_by, amount, currency, marker)
SELECT id, 'bench', id, :order_id + id - :id, 1, 'payment', 'bcpaid', 10, 'USD', 'bcpaid-0123456789abcdef0123456789abcdef' FROM {IDS};
{HISTORY.format("queued")}{MOVE.format("claimed", "")}{HISTORY.format("claimed")}COMMIT;
BEGIN;
{ATTEMPT.format("look", 2, "go")}{MOVE.format("sending", ", sends = 1, sent_at = clock_timestamp()")}{HISTORY.format("sending")}COMMIT;
BEGIN;
{ATTEMPT.format("send", 1, "taken")}{MOVE.format("captured", CAPTURED)}{HISTORY.format("captured")}COMMIT;
BEGIN;
SET LOCAL synchronous_commit = off;
UPDATE bare.sale_order SET bcpaid_payment_status = 'Captured' WHERE id BETWEEN :order_id AND :last_order;
{MOVE.format("applied", "")}{HISTORY.format("applied")}COMMIT;
\\endpipeline
"""


class Writes:
    """Runs of it, each with ids of its own."""

    def __init__(self, server, first, orders):
        self.server, self.first, self.orders, self.runs = server, first, orders, 0
        server.root(TABLES + ORDERS.format(first, first + orders - 1))

    def rate(self, captures, batch=1):
        """Captures a second."""
        self.runs += 1
        numbers = {"n": 0, "batch": batch, "base": self.runs * 1_000_000_000, "first": self.first, "orders_of_one": self.orders // CLIENTS}
        said = self.server.pgbench(SCRIPT, "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-t", str(captures // CLIENTS // batch),
                                   *(word for name, value in numbers.items() for word in ("-D", f"{name}={value}")),
                                   user="postgres", database="dbname=odoo options='-c enable_seqscan=off'")
        return batch * float(re.search(r"tps = ([\d.]+)", said)[1])
