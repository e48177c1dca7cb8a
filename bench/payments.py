"""Payments as statements: what Odoo 19 sends when a full payment is registered, in its order and number.

The reads are counted as observed; those of tables that t/shape does not have read a row of one that it has. Two
databases are compared, odoo with our triggers and bare without them, which are otherwise copies of each other.
"""

import contextlib
import itertools
import os
import re
import statistics
import subprocess
import time

import lib
import orders

FIRST = 10_000_000              # ids of payments and entries: far from the invoices'
SIDES = ("odoo", "bare")
REST = 0.01                     # seconds between two payments: what the worker makes of one is not the next one's
# What is paid: the type of the move, and the payment's direction and partner.
INVOICE, BILL = ("out_invoice", "inbound", "customer"), ("in_invoice", "outbound", "supplier")

READ = {
    "move": "SELECT * FROM account_move WHERE id IN ({invoice})",
    "lines": "SELECT * FROM account_move_line WHERE move_id IN ({invoice}) ORDER BY id",
    "payment": "SELECT * FROM account_payment WHERE id IN ({payment})",
    "partial": "SELECT * FROM account_partial_reconcile WHERE debit_move_id IN ({receivable})",
    "other": "SELECT id, name, symbol, decimal_places FROM res_currency WHERE id IN (1)",
}


def reads(count, *kinds):
    return [READ[kinds[number % len(kinds)]] for number in range(count)]


def update(table, key, **values):
    """As Odoo's ORM writes a row."""
    columns = ", ".join(f'"{name}" = "__tmp"."{name}"::{kind}' for name, (kind, _) in values.items())
    names = ", ".join(f'"{name}"' for name in ("id", *values))
    row = ", ".join(str(value) for _, value in values.values())
    return (f'UPDATE "{table}" SET {columns} FROM (VALUES ({key}, {row})) AS "__tmp"({names})'
            f' WHERE "{table}"."id" = "__tmp"."id"')


def flag(value):
    return ("bool", value)


def text(value):
    return ("varchar", f"'{value}'")


def money(value):
    return ("numeric", f"'{value}'")


NOW = ("timestamp", "'2026-11-22T22:15:03.669937'")


def payment(direction, partner):
    """The statements of one payment, in a transaction; {invoice} and its kin are left to be filled in."""
    lines = "{debit}", "{credit}"
    both = [update("account_move_line", line, payment_id=("int4", "{payment}"), parent_state=text("draft")) for line in lines]
    return [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE", *reads(14, "move", "lines", "other"),
        "INSERT INTO account_payment (id, amount, company_id, currency_id, date, journal_id, partner_type, payment_type, state,"
        f" write_date) VALUES ({{payment}}, '10.00', 1, 1, '2026-11-22', 1, '{partner}', '{direction}', 'draft', now()) RETURNING id",
        *reads(7, "other"),
        "INSERT INTO account_move (id, currency_id, date, move_type, origin_payment_id, ref, state, write_date)"
        " VALUES ({entry}, 1, '2026-11-22', 'entry', {payment}, 'INV', 'draft', now()) RETURNING id",
        *reads(2, "payment", "other"),
        "INSERT INTO account_move_line (id, account_id, amount_currency, balance, currency_id, display_type, move_id)"
        " VALUES ({debit}, 3, '10.00', '10.00', 1, 'product', {entry}), ({credit}, 1, '-10.00', '-10.00', 1, 'product', {entry})"
        " RETURNING id",
        *reads(16, "lines", "payment", "other"), both[0], *reads(2, "lines"), both[1], *reads(1, "lines"),
        update("account_payment", "{payment}", journal_id=("int4", 1), write_date=NOW),
        *reads(4, "move", "lines", "payment"),
        update("account_payment", "{payment}", move_id=("int4", "{entry}"), state=text("in_process"), write_date=NOW),
        *reads(8, "move", "partial", "payment"),
        update("account_move", "{entry}", amount_residual=money(0), amount_total=money("10.00"), payment_state=text("not_paid"),
               state=text("posted"), write_date=NOW),
        "SAVEPOINT name", "UPDATE account_move SET name = 'PBNK1/2026/' || {payment} WHERE id = {entry}", "RELEASE SAVEPOINT name",
        update("account_move_line", "{credit}", amount_residual=money("-10.00"), reconciled=flag("false")), *reads(1, "lines"),
        update("account_move", "{entry}", name=text("PBNK1/2026/{payment}"), write_date=NOW),
        *reads(11, "move", "lines", "partial", "other"),
        "INSERT INTO account_partial_reconcile (amount, credit_amount_currency, credit_move_id, debit_amount_currency, debit_move_id)"
        " VALUES ('10.00', '10.00', {credit}, '10.00', {receivable}) RETURNING id",
        *reads(5, "partial", "payment"),
        update("account_payment", "{payment}", name=text("PBNK1/2026/{payment}"), write_date=NOW),
        *reads(22, "move", "lines", "partial", "payment", "other"),
        "UPDATE account_move_line l SET reconciled = true FROM (VALUES (1, ARRAY[{receivable}, {credit}])) AS s(n, ids)"
        " WHERE l.id = ANY(s.ids)", *reads(6, "lines", "partial", "other"),
        "UPDATE account_move_line l SET display_type = display_type FROM (VALUES (1, ARRAY[{receivable}, {credit}])) AS s(n, ids)"
        " WHERE l.id = ANY(s.ids)", *reads(3, "lines"),
        "UPDATE account_partial_reconcile SET amount = amount WHERE debit_move_id = {receivable}", *reads(4, "other"),
        update("account_payment", "{payment}", is_matched=flag("false"), is_reconciled=flag("true"), write_date=NOW),
        *reads(1, "partial"),
        "INSERT INTO account_move__account_payment (invoice_id, payment_id) VALUES ({invoice}, {payment}) ON CONFLICT DO NOTHING",
        *reads(7, "move", "lines", "payment"),
        update("account_move_line", "{debit}", parent_state=text("posted"), price_total=money("10.00")),
        update("account_move_line", "{credit}", parent_state=text("posted"), amount_residual=money(0), reconciled=flag("true")),
        update("account_move_line", "{product}", parent_state=text("posted")),
        update("account_move_line", "{receivable}", amount_residual=money(0), reconciled=flag("true")),
        update("account_move", "{invoice}", amount_residual=money(0), payment_state=text("paid"), write_date=NOW),
        update("account_payment", "{payment}", state=text("paid"), write_date=NOW),
        "COMMIT"]


def names_of(invoice):
    """The ids of one payment, by the invoice's."""
    return {"invoice": invoice, "receivable": 2 * invoice - 1, "product": 2 * invoice, "payment": FIRST + invoice,
            "entry": FIRST + invoice, "debit": 2 * (FIRST + invoice) - 1, "credit": 2 * (FIRST + invoice)}


@contextlib.contextmanager
def sides(bench, invoices, move_type="out_invoice"):
    """A server with the databases odoo and bare, each with so many open invoices."""
    with bench.server() as server:
        lib.tell(f"  {invoices} invoices ...")
        orders.fill(server, invoices, paid="false", move_type=move_type)
        server.sql("CREATE DATABASE bare TEMPLATE odoo;", "postgres", "postgres")
        drop = server.sql("SELECT string_agg(format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass), ';') FROM pg_trigger"
                          " WHERE tgname LIKE 'bcpaid%'", "odoo")
        server.sql(drop, "odoo", "bare")
        server.sql("VACUUM ANALYZE", "postgres", "bare")
        yield server


def compare(bench, before=()):
    """Milliseconds of a payment with and without triggers: the median of rounds, each with sessions of its own."""
    few, count, shared, rounds = bench.size((20, 160, 40, 7), (1, 2, 2, 1))
    statements = [*before, *payment(*INVOICE[1:])]
    found = []
    with sides(bench, rounds * (few + count + shared)) as server:
        for number in range(rounds):
            invoices = itertools.count(1 + number * (few + count + shared))
            found.append(one_round(server, statements, *(list(itertools.islice(invoices, each)) for each in (few, count, shared))))
            lib.tell(f"  {found[-1]['more_ms']:.3f} ms more")
    usual = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {"figure": usual["limit"] + usual["more_ms"], **usual, "payments": rounds * count}


def one_round(server, statements, first, apart_ones, shared):
    """What each statement usually takes, summed up.

    Payments in turn, one with, one without: what slows the machine slows both. Each statement's median, for a payment as a
    whole varies by a fifth from one to the next; but COMMIT's mean, for what it wakes may be felt by one in ten only. What no
    trigger sees counts as much on both sides, for its sum differs by 0.3 ms between any two sessions. The worker, which
    judges the payment then, runs on another processor: what it takes from COMMIT where it may run anywhere is told aside.
    """
    with contextlib.ExitStack() as stack:
        sessions = {side: stack.enter_context(server.session(side)) for side in SIDES}
        for session in sessions.values():
            session("SELECT")     # it is connected
        with apart(server):
            pay(sessions, statements, first)     # warms up
            mine, bare = pay(sessions, statements, apart_ones)
        beside = pay(sessions, statements, shared)
    tables = server.sql("SELECT string_agg(DISTINCT tgrelid::regclass::text, '|') FROM pg_trigger WHERE tgname LIKE 'bcpaid%'")
    ours = [number for number, statement in enumerate(statements)
            if re.match(rf'COMMIT|(INSERT INTO|UPDATE|DELETE FROM) "?({tables})\b', statement)]
    found = {"limit": usual(bare, range(len(statements))), "more_ms": usual(mine, ours) - usual(bare, ours), "statements_of_ours": len(ours)}
    for name, one, other in (("commit_more_ms", mine, bare), ("commit_more_where_the_worker_may_run_ms", *beside)):
        found[name] = statistics.mean(one[-1]) - statistics.mean(other[-1])
    return found


def pay(sessions, statements, invoices):
    """For each side and statement, what it took each time."""
    times = {side: [[] for _ in statements] for side in SIDES}
    for number in invoices:
        names = names_of(number)
        for side in SIDES if number % 2 else reversed(SIDES):
            for statement, seconds in zip(statements, times[side]):
                seconds.append(1000 * sessions[side](statement.format(**names)))
            time.sleep(REST)
    return [times[side] for side in SIDES]


def usual(times, numbers):
    """The sum of these statements; COMMIT is the last one."""
    return sum((statistics.median if number + 1 < len(times) else statistics.mean)(times[number]) for number in numbers)


@contextlib.contextmanager
def apart(server):
    """The sessions' backends and clients on one processor, whatever else the server does on the others."""
    backends = server.root("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
    ours = [os.getpid(), *map(int, backends.split()), *lib.children_of(os.getpid())]
    theirs = [server.process(), *lib.children_of(server.process())]
    all_of_them = os.sched_getaffinity(0)
    first = min(all_of_them)
    try:
        keep(theirs, all_of_them - {first} or all_of_them)
        keep(ours, {first})
        yield
    finally:
        # Twice: what forks meanwhile has what its parent had.
        for _ in range(2):
            keep([*ours, server.process(), *lib.children_of(server.process())], all_of_them)


def keep(processes, processors):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):     # a worker, or a session, may have left
            os.sched_setaffinity(process, processors)


def instructions(bench, what):
    """How many instructions a backend needs to pay one of these, with and without triggers; counted once in a run."""
    return bench.shared(("instructions", what), lambda: contextlib.nullcontext(count_instructions(bench, *what)))


def count_instructions(bench, move_type, *words):
    few, many = bench.size((5, 25), (1, 2))
    statements = payment(*words)
    with sides(bench, few + many, move_type) as server:
        server.ctl("stop", "-m", "fast")
        found = []
        for side in SIDES:
            counts = [counted(server, side, statements, range(first, first + count))
                      for first, count in ((1, few), (few + 1, many))]
            found.append((counts[1] - counts[0]) / (many - few))
        server.ctl("start")
    return found


def counted(server, database, statements, invoices):
    lines = ["SET SESSION AUTHORIZATION odoo", *(statement.format(**names_of(invoice)) for invoice in invoices
                                                  for statement in statements)]
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "postgres", "--single", "-D",
                           server.data, database], input="\n".join(lines) + "\n", capture_output=True, text=True)
    said = re.search(r"Collected : (\d+)", done.stderr)
    if not said or re.search(r"ERROR|FATAL|WARNING", done.stderr):
        raise lib.shop.Problem(done.stderr[-2000:])
    return int(said.group(1))
