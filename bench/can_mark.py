"""How long bcpaid_can_mark() takes for one order after the other, beside the least that a function over SQL can do."""

import statistics

import lib
import orders

# Every tenth order waits to be invoiced: its own row decides. The others are paid.
CHEAP, FULL = "id % 10 = 0", "id % 10 <> 0"
# The limit: a function that looks up the order's row by a kept plan, and nothing else.
LEAST = """
CREATE FUNCTION public.least(order_id int) RETURNS bool LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT o.invoice_status = 'invoiced' FROM public.sale_order o WHERE o.id = order_id);
END $$;
"""
# Spread over the table, as people look at orders; times in microseconds a call, all else of the statement included.
ASK = """
SET jit = off;
CREATE TEMP TABLE asked AS SELECT id FROM sale_order WHERE {which} AND (id * 7919::bigint) % {orders} < {spread} LIMIT {asked};
DO $do$
DECLARE
    begin_at timestamptz;
    n bigint;
    run int;
BEGIN
    FOR run IN 1 .. 2 LOOP      -- the first one warms up
        begin_at := clock_timestamp();
        n := (SELECT count(*) FROM asked a WHERE {function}(a.id) IS NOT NULL);
    END LOOP;
    PERFORM set_config('bench.us', (extract(epoch FROM clock_timestamp() - begin_at) * 1e6 / n)::text, false);
END $do$;
SELECT current_setting('bench.us');
"""


def shop(bench, count):
    """A server with `count` orders, kept for the figures that ask for the same."""
    return bench.shared(("orders", count), lambda: filled(bench, count))


@lib.contextlib.contextmanager
def filled(bench, count):
    with bench.server(shared_buffers="4GB" if count > 100_000 else "512MB") as server:
        lib.tell(f"  {count} orders ...")
        orders.fill(server, count, invoice_status="CASE WHEN n % 10 = 0 THEN 'to invoice' ELSE 'invoiced' END")
        server.root(LEAST)
        yield server


def us_per_call(server, function, which, asked, count):
    spread = max(asked * 20, 1000)
    return server.number(ASK.format(function=function, which=which, asked=asked, orders=count, spread=spread))


def measure(bench, which, at_most_us):
    count, asked = bench.size(1_000_000, 1000), bench.size(10_000, 50)
    server = shop(bench, count)
    mine, least = lib.interleaved(bench.size(5, 1),
                                  lambda: us_per_call(server, "bcpaid_can_mark", which, asked, count),
                                  lambda: us_per_call(server, "public.least", which, asked, count))
    figure = statistics.median(mine)
    return {"figure": figure, "unit": "µs", "limit": statistics.median(least), "met": figure <= at_most_us,
            "limit_is": "a PL/pgSQL function that looks up the order's row", "orders": count, "asked": asked}
