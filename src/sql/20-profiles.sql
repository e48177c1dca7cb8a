/*
 * Profiles: where a connector keeps the link, the store and the status.
 *
 * A profile is a row, not code.  The order's link is a column of sale_order, or
 * link_table is a binding table with a column for the order.  store_table is
 * the connector's table of stores, NULL where bcpaid.store is the only one;
 * store_filter picks the rows that are BigCommerce stores, by value or through
 * a foreign key:
 *     {"platform": "bigcommerce"}
 *     {"channel_id": {"table": "ecommerce_channel", "column": "code", "value": "bigcommerce"}}
 * The status is a column with text or the key of a selection, a foreign key
 * (status_lookup says into what), or none: then bcpaid.link has it.  discover
 * finds columns by the label that the connector's documentation gives them.
 *
 * The other connectors that are known, as rows; nobody has tried them on a
 * live database, so they are not shipped (sql/profiles.sql tries the shapes):
 *
 *     vraja      link bigcommerce_store_id, big_commerce_order_id; store
 *                bigcommerce_store_configuration (bigcommerce_store_hash,
 *                bigcommerce_x_auth_token); no status; hazard: its importer makes
 *                a payment of every transaction, its scheduled action must be off
 *     creyox     link bigcommerce_store_id, bigcommerce_order_id (int4); store
 *                bigcommerce_store (store_hash, access_token); status
 *                bigcommerce_payment_status, BigCommerce's own text
 *     odoo_in    link ecommerce_account_id, ecommerce_order_identifier; store
 *                ecommerce_account (bigcommerce_store_hash,
 *                bigcommerce_access_token), filter through ecommerce_channel
 *     moduledex  link bigcommerce_config_id, bigcommerce_order_id; store
 *                bigcommerce_config (store_hash, access_token)
 *     bcconfig2  the same table, link bigcommerce_config_id, bigcommerce_id (int4)
 *     bcconnector  link_table bigcommerce_order_binding: sale_order_id, instance_id,
 *                bigcommerce_order_id; store bigcommerce_connector (store_hash, access_token)
 *     novobi     link channel_id, id_on_channel; store ecommerce_channel
 *                (bc_store_hash, bc_access_token), filter platform; status
 *                payment_status_channel_id into order_status_channel.name
 *     webkul     link_table channel_order_mappings: order_name, channel_id,
 *                store_order_id; store multi_channel_sale, filter channel; status
 *                store_order_status on the mapping
 */
INSERT INTO bcpaid.profile (name, shipped, description, link_store_column, link_remote_column,
    status_column, status_captured, adds_columns)
VALUES ('native', true, 'no connector: three columns of our own on sale_order',
    'bcpaid_store_id', 'bcpaid_remote_order_id', 'bcpaid_payment_status', 'Captured',
    '{"bcpaid_store_id": "int4", "bcpaid_remote_order_id": "varchar", "bcpaid_payment_status": "varchar"}');

INSERT INTO bcpaid.profile (name, shipped, description, link_store_column, link_remote_column,
    store_table, store_filter, store_name_column, status_captured, own_switch, discover)
VALUES ('teqstars', true, 'TeqStars BigCommerce connector',
    'mk_instance_id', 'mk_id', 'mk_instance', '{"marketplace": "bigcommerce"}', 'name', 'Captured',
    'mark_order_paid_from_odoo',
    '{"store_hash_column":  {"table": "mk_instance", "label": "Store Hash"},
      "store_token_column": {"table": "mk_instance", "label": "Access Token"},
      "own_switch":         {"table": "mk_instance", "label": "Mark Order as Paid?"},
      "status_column":      {"table": "sale_order",  "label": "BigCommerce Payment Status"}}');

/* Where Odoo was when attached, or in public; never by search_path, which is the caller's. */
CREATE FUNCTION bcpaid.odoo_table() RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT c.oid::regclass
              FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relname = 'sale_order' AND c.relkind = 'r'
               AND n.nspname = coalesce((SELECT a.odoo_schema FROM bcpaid.attachment a), 'public'));
END $$;
COMMENT ON FUNCTION bcpaid.odoo_table() IS 'Odoo''s sale_order in this database, NULL where there is none';

CREATE FUNCTION bcpaid.odoo_schema() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = bcpaid.odoo_table()
$$;
COMMENT ON FUNCTION bcpaid.odoo_schema() IS 'the schema that Odoo''s tables are in';

/* A missing table is an answer here, not an error: NULL. */
CREATE FUNCTION bcpaid.column_type(odoo_table text, odoo_column text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT format_type(a.atttypid, NULL)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = bcpaid.odoo_schema()
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = odoo_column AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relname = odoo_table AND c.relkind IN ('r', 'p')
$$;
COMMENT ON FUNCTION bcpaid.column_type(text, text) IS 'the type of a column of Odoo''s, NULL where there is none';

/* One spelling for statuses: "Partially_Refunded " is "partially refunded". */
CREATE FUNCTION bcpaid.status_words(status text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN replace(lower(btrim(status)), '_', ' ');
COMMENT ON FUNCTION bcpaid.status_words(text) IS 'a payment status as it is compared: lower case, trimmed, _ as space';

/* The first three are the product's rule, the others are ours: money moved, or must not. */
CREATE FUNCTION bcpaid.refused_statuses() RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY['captured', 'refunded', 'partially refunded', 'paid', 'capture pending', 'void', 'void pending'];
COMMENT ON FUNCTION bcpaid.refused_statuses() IS 'payment statuses with which an order cannot be marked';

CREATE FUNCTION bcpaid.check_owner() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = bcpaid.odoo_table());
    caller oid := bcpaid.caller();
BEGIN
    IF owner IS NULL THEN
        RAISE EXCEPTION 'this database has no Odoo'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'There is no table public.sale_order.',
                  HINT = 'Connect to the database of Odoo, with the sale and account apps installed, and create the extension there.';
    END IF;
    IF NOT pg_has_role(caller, owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of %', bcpaid.odoo_table()
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Connect as %s, the role that Odoo works as.', owner::regrole);
    END IF;
END $$;
COMMENT ON FUNCTION bcpaid.check_owner() IS 'raises unless the caller may act as the owner of sale_order';
