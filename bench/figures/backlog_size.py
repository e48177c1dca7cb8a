"""What the ledger takes once a backlog of a million captures is done and vacuumed, and history is as old as it may get."""

import backlog

TARGET = "at most twice its rows, and history gone after the retention"
SIZE = "SELECT sum(pg_total_relation_size('bcpaid.' || t)) / 1048576.0 FROM unnest(ARRAY[{}]) t"
LEDGER = "'capture', 'history', 'attempt'"
# Their indexes keep the room for what comes next.
LEFT = "SELECT (pg_relation_size('bcpaid.history') + pg_relation_size('bcpaid.attempt')) / 1048576.0"
PRUNE = "CALL public.prune(); VACUUM bcpaid.history, bcpaid.attempt;"
PROCEDURE = """
CREATE PROCEDURE public.prune() LANGUAGE plpgsql AS $$
BEGIN
    WHILE bcpaid.queue_prune(interval '0', 10000) LOOP
        COMMIT;
    END LOOP;
END $$;
"""


def measure(bench):
    server = backlog.shop(bench)
    server.root("VACUUM bcpaid.capture, bcpaid.history, bcpaid.attempt;")
    size = server.number(SIZE.format(LEDGER), "postgres")
    server.root("VACUUM FULL bcpaid.capture, bcpaid.history, bcpaid.attempt;")
    least = server.number(SIZE.format(LEDGER), "postgres")
    server.root(PROCEDURE)
    server.root(PRUNE)
    left = server.number(LEFT, "postgres")
    return {"figure": size, "unit": "MB", "limit": least, "met": size / least <= 2 and left <= size / 50,
            "limit_is": "the same rows, written anew", "left_of_history_MB": left}
