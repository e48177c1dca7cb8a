/*
 * What a person and a monitor look at.  No secrets.
 */

CREATE VIEW bcpaid.captures AS
    SELECT c.id, c.order_id, c.store_id, c.store_hash, c.remote_order_id, c.state, c.reason,
           c.amount, c.currency, c.transaction_id, c.marker, c.captured_by, c.origin, c.requested_by,
           c.sends, c.failures,
           CASE WHEN c.state IN ('queued', 'waiting', 'unknown', 'captured') AND c.due < 'infinity' THEN c.due END AS due,
           c.warning, c.taken_back_at, c.created_at, c.changed_at, c.captured_at
      FROM bcpaid.capture c;
COMMENT ON VIEW bcpaid.captures IS 'every capture, its state, and why';

CREATE VIEW bcpaid.attempts AS
    SELECT a.id, a.capture_id, c.order_id, c.store_id, a.at, a.purpose, a.requests, a.status, a.took_ms,
           a.outcome, a.detail
      FROM bcpaid.attempt a LEFT JOIN bcpaid.capture c ON c.id = a.capture_id;
COMMENT ON VIEW bcpaid.attempts IS 'every conversation with a store; took_ms is in milliseconds';

/* The reasons are those that queue_judge() writes (41-judged.sql). */
CREATE VIEW bcpaid.news AS
    SELECT h.id, h.at, h.capture_id, c.order_id, c.store_id, c.remote_order_id,
           CASE WHEN h.state IN ('refused', 'held') THEN h.state
                WHEN h.reason = 'the payment was taken back after the capture' THEN 'taken_back'
                ELSE 'captured' END AS event,
           h.reason, c.amount, c.currency, c.transaction_id, c.captured_by, c.origin, c.requested_by
      FROM bcpaid.history h JOIN bcpaid.capture c ON c.id = h.capture_id
     WHERE h.state IN ('refused', 'held')
        OR h.state = 'applied' AND h.reason IS DISTINCT FROM 'the payment is there again'
        OR h.state = 'captured' AND h.reason = 'the payment was taken back after the capture';
COMMENT ON VIEW bcpaid.news IS 'what people want to hear of a capture: captured, refused, held, or its payment taken back after the capture; nothing of captures that are not ours';

CREATE VIEW bcpaid.stores AS
    SELECT s.id, s.name, s.hash, s.mark_order_as_paid, s.paused, s.stopped_reason, s.warning,
           s.payment_states, s.offline_methods, s.tolerance, s.strategy, s.no_transactions, s.quota_reserve,
           s.failures, s.retry_at, s.switched_on_at, s.last_success_at,
           s.tested_at, s.test_ok, s.test_result,
           EXISTS (SELECT FROM bcpaid.token t WHERE t.store_id = s.id) AS has_token
      FROM bcpaid.store s;
COMMENT ON VIEW bcpaid.stores IS 'every store: settings, condition, and whether bcpaid has a token for it';

CREATE VIEW bcpaid.status AS
    SELECT s.id AS store_id, s.name AS store,
           bcpaid.environment_is_confirmed() AS environment_confirmed,
           bcpaid.sender_is_ready() AS sender_is_ready,
           EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                    WHERE a.backend_type = 'bcpaid worker' AND a.datname = pg_catalog.current_database()) AS worker_runs,
           c.due, c.oldest_due, c.under_way, c.waiting, c.held, c.unknown, c.refused,
           s.last_success_at, s.stopped_reason
      FROM bcpaid.store s
     CROSS JOIN LATERAL (
           SELECT pg_catalog.count(*) FILTER (WHERE state IN ('queued', 'waiting', 'unknown', 'captured')
                                                AND c.due <= pg_catalog.now()) AS due,
                  pg_catalog.now() - pg_catalog.min(c.due) FILTER (WHERE state IN ('queued', 'waiting', 'unknown', 'captured')
                                                AND c.due <= pg_catalog.now()) AS oldest_due,
                  pg_catalog.count(*) FILTER (WHERE state IN ('claimed', 'sending')) AS under_way,
                  pg_catalog.count(*) FILTER (WHERE state = 'waiting') AS waiting,
                  pg_catalog.count(*) FILTER (WHERE state = 'held') AS held,
                  pg_catalog.count(*) FILTER (WHERE state = 'unknown') AS unknown,
                  pg_catalog.count(*) FILTER (WHERE state = 'refused'
                                                AND c.changed_at > pg_catalog.now() - interval '24 hours') AS refused
             FROM bcpaid.capture c WHERE c.store_id = s.id AND c.state <> 'applied') AS c;
COMMENT ON VIEW bcpaid.status IS 'for monitoring, a row a store: is the environment confirmed, does a worker run, what is due (oldest_due: since when), what needs a person; refused counts the last 24 hours';
