"""How long bcpaid_can_mark() takes, beside the least that could answer.

Of every ten orders one waits to be invoiced and one has a capture under way: its own row and the ledger decide. The
others are paid, and so is everything looked at.
"""

import contextlib
import statistics

import lib
import orders

BY_ORDER, BY_LEDGER, FULL = "id % 10 = 0", "id % 10 = 1", "id % 10 > 1"
LEDGER = """
INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, origin, requested_by, amount, currency, marker, state, due)
SELECT 'demo', 1000000 + n, n, 1, 'payment', 'bench', 10, 'USD', 'bench', 'captured', 'infinity' FROM generate_series(1, {orders}, 10) n;
VACUUM ANALYZE bcpaid.capture;
"""
# The limit for one order: a function that looks up its row by a kept plan, and nothing else.
LEAST = """
CREATE FUNCTION public.least(order_id int) RETURNS bool LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT o.invoice_status = 'invoiced' FROM public.sale_order o WHERE o.id = order_id);
END $$;
"""
# The limit for a set: the rows of orders and what leads to their invoices, joined, and no condition but "paid".
JOINED = """
SELECT count(*) FILTER (WHERE q.paid) FROM (
    SELECT o.id, bool_and(o.invoice_status = 'invoiced' AND m.payment_state = 'paid') AS paid FROM sale_order o
      JOIN sale_order_line ol ON ol.order_id = o.id
      JOIN sale_order_line_invoice_rel r ON r.order_line_id = ol.id
      JOIN account_move_line ml ON ml.id = r.invoice_line_id
      JOIN account_move m ON m.id = ml.move_id
     WHERE o.id = ANY (ARRAY({ids})) GROUP BY o.id) q
"""
SET = "SELECT count(*) FILTER (WHERE can_mark) FROM bcpaid_can_mark(ARRAY({ids}))"
# A statement's time on the processor, all included; the first run warms up. The kernel counts in steps of some milliseconds.
TIMED = """
{before}
DO $do$
DECLARE
    begin_at bigint;
    answer bigint;
BEGIN
    FOR run IN 0 .. {runs} LOOP
        IF run = 1 THEN
            begin_at := processor_ns();
        END IF;
        answer := ({query});
    END LOOP;
    PERFORM set_config('bench.us', ((processor_ns() - begin_at) / 1000.0 / {runs})::text, false),
            set_config('bench.answer', answer::text, false);
END $do$;
SELECT current_setting('bench.us'), current_setting('bench.answer');
"""
# From all over the table, for neighbours are found in the same pages; but a page of a list is of neighbours.
ANYWHERE, NEWEST = "hashint4(id)", "id DESC"
ASKED = """CREATE TEMP TABLE asked AS
SELECT id FROM sale_order WHERE {which} ORDER BY {order} LIMIT {asked};
ANALYZE asked;"""


def shop(bench, count):
    """A server with `count` orders, kept for the figures that ask for the same: without a worker, which would sweep them."""
    return bench.shared(("orders", count), lambda: filled(bench, count))


@contextlib.contextmanager
def filled(bench, count):
    with bench.server(preload=False, shared_buffers="4GB" if count > 100_000 else "512MB") as server:
        lib.tell(f"  {count} orders ...")
        orders.fill(server, count, invoice_status="CASE WHEN n % 10 = 0 THEN 'to invoice' ELSE 'invoiced' END")
        server.root(LEAST + LEDGER.format(orders=count))
        yield server


def us(server, query, expected, before="", runs=1):
    """Microseconds of a statement that counts; a wrong count is no figure."""
    took, answer = server.sql(TIMED.format(query=query, before=before, runs=runs)).split("|")
    if int(answer) not in expected:
        raise lib.shop.Problem(f"{query.strip()}: {answer} instead of {expected}")
    return float(took)


def us_per_call(server, function, which, asked, order=ANYWHERE):
    before = ASKED.format(which=which, order=order, asked=asked)
    can_be_marked = asked if which == FULL or function != "bcpaid_can_mark" and which != BY_ORDER else 0
    return us(server, f"SELECT count(*) FILTER (WHERE {function}(a.id)) FROM asked a", [can_be_marked], before,
              runs=5) / asked


def sizes(bench):
    return bench.size(1_000_000, 1000), bench.size(10_000, 50)


def compared(bench, count, asked, which):
    """Microseconds a call: ours, and the least."""
    server = shop(bench, count)
    return map(statistics.median, lib.interleaved(
        bench.size(7, 1), *(lambda function=function: us_per_call(server, function, which, asked)
                            for function in ("bcpaid_can_mark", "public.least"))))


def measure(bench, which, at_most_us):
    count, asked = sizes(bench)
    figure, least = compared(bench, count, asked, which)
    return {"figure": figure, "unit": "µs", "limit": least, "met": figure <= at_most_us,
            "limit_is": "a PL/pgSQL function that looks up the order's row", "orders": count, "asked": asked}


def measure_growth(bench, at_most):
    few, many, asked = bench.size(100_000, 1000), bench.size(10_000_000, 4000), bench.size(10_000, 50)
    small, small_of_neighbours, large, large_of_neighbours = lib.interleaved(
        bench.size(7, 1), *(lambda server=server, order=order: us_per_call(server, "bcpaid_can_mark", FULL, asked, order)
                            for server in (shop(bench, few), shop(bench, many)) for order in (ANYWHERE, NEWEST)))
    ratio = lib.ratio(large, small)
    return {"figure": statistics.median(large), "unit": "µs", "limit": statistics.median(small), "ratio": ratio, "met": ratio <= at_most,
            "limit_is": f"the same with {few} orders", "orders": many,
            "of_neighbours": statistics.median(large_of_neighbours),
            "ratio_of_neighbours": lib.ratio(large_of_neighbours, small_of_neighbours)}


def measure_page(bench, page, at_most_ms):
    count, _ = sizes(bench)
    server = shop(bench, count)
    runs = bench.size(200, 2)
    before = ASKED.format(which="true", order=NEWEST, asked=page)
    mine, least = (lib.interleaved(bench.size(7, 1), *(
        lambda query=query: us(server, query.format(ids="SELECT id FROM asked"), range(page + 1), before, runs) / 1000 for query in (SET, JOINED))))
    figure = statistics.median(mine)
    return {"figure": figure, "unit": "ms", "limit": statistics.median(least), "met": figure <= at_most_ms,
            "limit_is": "a join from these orders to their invoices", "orders": count, "page": page}


def measure_all(bench, at_most_us):
    count, _ = sizes(bench)
    server = shop(bench, count)
    mine, least = (lib.interleaved(bench.size(3, 1), *(
        lambda query=query: us(server, query.format(ids="SELECT id FROM sale_order"), range(count // 10 * 8, count)) / count for query in (SET, JOINED))))
    figure = statistics.median(mine)
    return {"figure": figure, "unit": "µs", "limit": statistics.median(least), "met": figure <= at_most_us,
            "limit_is": "a join from all orders to their invoices", "orders": count}
