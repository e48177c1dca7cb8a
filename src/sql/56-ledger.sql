/*
 * Carry the ledger by hand: a restore on a server without bcpaid, or a major
 * upgrade of Odoo elsewhere, loses the extension's tables.
 *
 *     psql -c "COPY (SELECT bcpaid.export_ledger()) TO STDOUT" > ledger
 *     psql -c "CREATE TEMP TABLE l (l jsonb)" -c "\copy l FROM ledger" -c "SELECT bcpaid.import_ledger(l) FROM l"
 */

CREATE FUNCTION bcpaid.export_ledger() RETURNS SETOF jsonb
LANGUAGE bcpaid STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT jsonb_build_object('store', to_jsonb(s)) FROM bcpaid.store s
     UNION ALL
    SELECT jsonb_build_object('capture', to_jsonb(c) - 'id', 'history', (
               SELECT jsonb_agg(to_jsonb(h) - 'capture_id' - 'id' ORDER BY h.at)
                 FROM bcpaid.history h WHERE h.capture_id = c.id))
      FROM bcpaid.capture c
     UNION ALL
    SELECT jsonb_build_object('baseline', to_jsonb(b)) FROM bcpaid.baseline b
     UNION ALL
    SELECT jsonb_build_object('link', to_jsonb(k)) FROM bcpaid.link k;
END $$;
COMMENT ON FUNCTION bcpaid.export_ledger() IS 'stores (without tokens), captures with their history, baseline and links, a line each';

/*
 * A line that is here already changes nothing.  What was in the middle of
 * being sent when it was exported must be looked for first.  Odoo's row may be
 * older than the ledger, and not show what was applied: due for ever says that
 * it is to be applied once more if its order turns out to be so.
 */
CREATE FUNCTION bcpaid.import_ledger(line jsonb) RETURNS boolean
LANGUAGE bcpaid SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c jsonb := line -> 'capture';
    new_id bigint;
    changed integer;
BEGIN
    PERFORM bcpaid.check_owner();
    IF EXISTS (SELECT FROM bcpaid.environment)
        AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = bcpaid.caller()::oid) THEN
        RAISE EXCEPTION 'the ledger is in use'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'Captures could be made up by whoever may import them.',
                  HINT = 'Import before bcpaid.attach(), or as a superuser.';
    END IF;
    IF c IS NOT NULL THEN
        c := c || jsonb_build_object('id', nextval('bcpaid.capture_id_seq'), 'state', CASE c ->> 'state'
            WHEN 'sending' THEN 'unknown' WHEN 'claimed' THEN 'queued' ELSE c ->> 'state' END,
            'due', CASE c ->> 'state' WHEN 'applied' THEN 'infinity' ELSE c ->> 'due' END,
            'approved', CASE c ->> 'state' WHEN 'sending' THEN NULL ELSE c -> 'approved' END,
            'sent_at', CASE c ->> 'state' WHEN 'sending' THEN to_jsonb(clock_timestamp()) ELSE c -> 'sent_at' END,
            'marker', bcpaid.marker(c ->> 'store_hash', (c ->> 'remote_order_id')::bigint));
        INSERT INTO bcpaid.capture SELECT * FROM jsonb_populate_record(NULL::bcpaid.capture, c)
            ON CONFLICT DO NOTHING RETURNING id INTO new_id;
        INSERT INTO bcpaid.history
        SELECT r.* FROM jsonb_array_elements(line -> 'history') AS h,
               jsonb_populate_record(NULL::bcpaid.history, h || jsonb_build_object('id', nextval('bcpaid.history_id_seq'), 'capture_id', new_id)) AS r
         WHERE new_id IS NOT NULL AND jsonb_typeof(line -> 'history') = 'array';
        RETURN new_id IS NOT NULL;
    ELSIF line ? 'store' THEN
        INSERT INTO bcpaid.store SELECT * FROM jsonb_populate_record(NULL::bcpaid.store, line -> 'store') ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS changed = ROW_COUNT;
        PERFORM setval('bcpaid.store_id_seq', greatest((SELECT max(id) FROM bcpaid.store), 1));
        RETURN changed > 0;
    ELSIF line ? 'baseline' THEN
        INSERT INTO bcpaid.baseline SELECT * FROM jsonb_populate_record(NULL::bcpaid.baseline, line -> 'baseline') ON CONFLICT DO NOTHING;
    ELSIF line ? 'link' THEN
        INSERT INTO bcpaid.link SELECT * FROM jsonb_populate_record(NULL::bcpaid.link, line -> 'link') ON CONFLICT DO NOTHING;
    ELSE
        RAISE EXCEPTION 'this is no line of a ledger'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give each row of bcpaid.export_ledger() as it is.';
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed > 0;
END $$;
COMMENT ON FUNCTION bcpaid.import_ledger(jsonb) IS
    'take in one line of an exported ledger; false if it is here already; SQLSTATE 22023 for anything else, 42501 once the environment is confirmed unless a superuser calls';
