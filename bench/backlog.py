"""A backlog: captures that wait to be sent, claimed and moved on in the way and the batches of a worker."""

import contextlib
import statistics

import lib
import orders

ROOM = 64                       # conversations with one store at most
BULK = 2000                     # what is between the start and the end is drained in bulk
FILL = """
INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, origin, requested_by, amount, currency, marker, due)
SELECT 'demo', 1000000 + n, n, 1, 'payment', 'bench', 10, 'USD', bcpaid.marker('demo', 1000000 + n), clock_timestamp()
  FROM generate_series({first}, {last}) n;
INSERT INTO bcpaid.history (capture_id, state, reason, by)
SELECT id, state, 'payment', 'worker' FROM bcpaid.capture WHERE order_id BETWEEN {first} AND {last};
"""
# One session, as the worker's: plans are kept from the first call on. Each batch is in transactions of its own.
DRAIN = """
CREATE PROCEDURE public.drain(batches int, room int) LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    began timestamptz;
BEGIN
    FOR n IN 1 .. batches LOOP
        began := clock_timestamp();
        ids := ARRAY(SELECT id FROM bcpaid.queue_claim(ARRAY[1], ARRAY[room], '{}', room, room));
        INSERT INTO public.claims (room, ms, found) VALUES (room, extract(epoch FROM clock_timestamp() - began) * 1000, cardinality(ids));
        COMMIT;
        EXIT WHEN ids = '{}';
        PERFORM bcpaid.queue_move(ids, 'sending', NULL, NULL, 'worker');
        COMMIT;
        PERFORM bcpaid.queue_move(ids, 'captured', NULL, NULL, 'worker');
        INSERT INTO bcpaid.attempt (capture_id, purpose, requests, status, took_ms, outcome)
        SELECT id, purpose, 1, 200, 100, 'ok' FROM unnest(ids) id, unnest(ARRAY['look', 'capture']) purpose;
        COMMIT;
        PERFORM bcpaid.queue_move(ids, 'applied', NULL, 'infinity', 'worker');
        COMMIT;
    END LOOP;
END $$;
CREATE TABLE public.claims (n serial, room int, ms float8, found int);
"""
# What a worker sets, see src/work.c.
SESSION = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET synchronous_commit = on;"


@contextlib.contextmanager
def drained(bench):
    """A server whose backlog was just done, with the time of each claim in public.claims."""
    count, measured = bench.size((1_000_000, 100), (2000, 5))
    with bench.server("autovacuum = on\nautovacuum_naptime = 10s", preload=False, shared_buffers="2GB") as server:
        lib.tell(f"  {count} captures ...")
        orders.fill(server, count)
        for first in range(1, count + 1, orders.PART):
            server.root(FILL.format(first=first, last=min(first + orders.PART - 1, count)))
        server.root("VACUUM ANALYZE bcpaid.capture, bcpaid.history; " + DRAIN)
        # In many statements: only between two of them does a session tell autovacuum what it left behind.
        bulk = max(0, (count - 2 * measured * ROOM) // (10 * BULK))
        rest = (count - measured * ROOM - bulk * 10 * BULK) // (10 * ROOM) + 1
        server.root(f"{SESSION} CALL drain({measured}, {ROOM});" + f"CALL drain(10, {BULK});" * bulk + f"CALL drain(10, {ROOM});" * rest)
        yield server


def shop(bench):
    return bench.shared("backlog", lambda: drained(bench))


def claim_ms(server, order, count):
    """The median of so many claims at the start (ASC) or at the end (DESC) that found as many as there was room for."""
    times = server.root(f"SELECT ms FROM claims WHERE room = {ROOM} AND found = {ROOM} ORDER BY n {order} LIMIT {count}").split()
    return statistics.median(map(float, times))
