/*
 * Attaching to Odoo: in short
 *     ALTER TABLE sale_order ADD COLUMN ...; CREATE TRIGGER bcpaid_... ON ...;
 * run as the owner of sale_order, for the profile that fits, and undone by detach.
 *
 * The triggers name no column in their definition, neither in UPDATE OF nor in
 * WHEN: either makes Odoo's own upgrades fail ("cannot alter type of a column
 * used in a trigger definition"), and Odoo's DROP COLUMN ... CASCADE would take
 * the trigger with it, unseen.  What a WHEN clause would say is said in the
 * arguments, and bcpaid.note() decides from the row:
 *
 *     bcpaid.note(kind, column, only, changed)
 *
 *     kind     'o' order, 'm' journal entry, 'p' payment, 'l' order line
 *     column   the int4 column whose value is noted; NULL is not noted
 *     only     '' or conditions on the row, all of which must hold:
 *              'payment_type=inbound;partner_type=customer' means that the text
 *              of each column is one of the values (several: 'a=x,y;b=z')
 *     changed  '' or columns: 'state,amount' means that on UPDATE at least one
 *              of them must differ; says nothing about INSERT and DELETE
 *
 * The row is NEW for INSERT and UPDATE and OLD for DELETE.  No name and no
 * value holds one of , ; = and none is quoted.  A column that is gone by then
 * is no reason to be silent: its condition counts as met, its value as
 * changed; without the column to be noted a sweep is asked for.
 */

/* Odoo 14 to 17 keep a payment's state in its entry; what is not there is not listed. */
CREATE FUNCTION bcpaid.existing_columns(odoo_table text, VARIADIC names text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT string_agg(n, ',' ORDER BY o)
FROM unnest(names) WITH ORDINALITY u (n, o)
WHERE bcpaid.column_type(odoo_table, n) IS NOT NULL AND n !~ '[,;=]'
$$;
COMMENT ON FUNCTION bcpaid.existing_columns(text, text[]) IS 'those of the named columns that exist, as an argument of bcpaid.note()';

/*
 * Every event after which an order may have become eligible, or a payment may
 * have been taken back.  A draft that is deleted makes an order eligible, too;
 * by commit nothing leads from it to the order any more, so the order line or
 * the reversed invoice is noted.  Binding tables are left to the sweep.
 */
CREATE FUNCTION bcpaid.wanted_triggers(fit jsonb)
RETURNS TABLE (odoo_table text, name text, events text[], args text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT w.* FROM (VALUES
    ('sale_order', 'bcpaid_order', ARRAY['UPDATE'], ARRAY['o', 'id', '',
        concat_ws(',', 'invoice_status,state', bcpaid.existing_columns('sale_order',
            CASE WHEN fit ->> 'link_table' = 'sale_order' THEN fit ->> 'link_store_column' END,
            CASE WHEN fit ->> 'link_table' = 'sale_order' THEN fit ->> 'link_remote_column' END,
            CASE WHEN fit ->> 'status_table' = 'sale_order' THEN fit ->> 'status_column' END))]),
    ('account_move', 'bcpaid_invoice', ARRAY['UPDATE'], ARRAY['m', 'id', 'move_type=out_invoice,out_refund',
        'payment_state,state,amount_residual']),
    ('account_move', 'bcpaid_invoice_gone', ARRAY['DELETE'], ARRAY['m', 'reversed_entry_id', 'move_type=out_refund', '']),
    ('account_payment', 'bcpaid_payment', ARRAY['INSERT', 'UPDATE'], ARRAY['p', 'id',
        'payment_type=inbound;partner_type=customer',
        bcpaid.existing_columns('account_payment', 'state', 'move_id', 'amount')]),
    ('account_move__account_payment', 'bcpaid_payment_link', ARRAY['INSERT', 'DELETE'], ARRAY['m', 'invoice_id', '', '']),
    ('sale_order_line_invoice_rel', 'bcpaid_invoice_line', ARRAY['DELETE'], ARRAY['l', 'order_line_id', '', '']))
    w (odoo_table, name, events, args)
WHERE bcpaid.column_type(w.odoo_table, w.args[2]) IS NOT NULL
$$;
COMMENT ON FUNCTION bcpaid.wanted_triggers(jsonb) IS 'the triggers that a profile needs on Odoo''s tables';

/* Our triggers as they are, in the same terms; one that somebody disabled differs. */
CREATE FUNCTION bcpaid.existing_triggers()
RETURNS TABLE (odoo_table text, name text, events text[], args text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT c.relname::text, t.tgname::text,
       array_remove(ARRAY[CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END,
                          CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' END], NULL),
       CASE WHEN t.tgenabled = 'O' AND t.tgtype & 3 = 1 AND t.tgqual IS NULL AND t.tgattr::text = ''
            THEN (string_to_array(encode(t.tgargs, 'escape'), E'\\000'))[:t.tgnargs] END
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
WHERE t.tgfoid = 'bcpaid.note()'::regprocedure AND NOT t.tgisinternal
  AND c.relnamespace = (SELECT o.relnamespace FROM pg_class o WHERE o.oid = bcpaid.odoo_table())
$$;
COMMENT ON FUNCTION bcpaid.existing_triggers() IS 'our triggers on Odoo''s tables as they are';

CREATE FUNCTION bcpaid.make_triggers(fit jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
    made int := 0;
BEGIN
    FOR t IN SELECT e.* FROM bcpaid.existing_triggers() e
             WHERE NOT EXISTS (SELECT FROM bcpaid.wanted_triggers(fit) w WHERE ROW (w.*) IS NOT DISTINCT FROM ROW (e.*))
    LOOP
        PERFORM bcpaid.as_owner(format('DROP TRIGGER %I ON %I.%I', t.name, bcpaid.odoo_schema(), t.odoo_table));
    END LOOP;
    FOR t IN SELECT w.* FROM bcpaid.wanted_triggers(fit) w
             WHERE NOT EXISTS (SELECT FROM bcpaid.existing_triggers() e WHERE e.odoo_table = w.odoo_table AND e.name = w.name)
    LOOP
        PERFORM bcpaid.as_owner(format('CREATE TRIGGER %I AFTER %s ON %I.%I FOR EACH ROW EXECUTE FUNCTION bcpaid.note(%s)',
            t.name, array_to_string(t.events, ' OR '), bcpaid.odoo_schema(), t.odoo_table,
            (SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(t.args) WITH ORDINALITY u (a, n))));
        PERFORM bcpaid.as_owner(format('ALTER TRIGGER %I ON %I.%I DEPENDS ON EXTENSION bcpaid',
            t.name, bcpaid.odoo_schema(), t.odoo_table));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION bcpaid.make_triggers(jsonb) IS 'makes the triggers what they should be; returns how many were made';
