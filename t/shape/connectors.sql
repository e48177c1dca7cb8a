/*
 * Tables of connectors, as far as their profiles name them, one call each:
 *     SELECT fixture.teqstars();
 * Labels have the type that this shape's ir_model_fields has.
 */
CREATE FUNCTION fixture.label(english text, french text DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE
RETURN CASE format_type((SELECT atttypid FROM pg_attribute WHERE attrelid = 'ir_model_fields'::regclass
                         AND attname = 'field_description'), NULL)
    WHEN 'jsonb' THEN jsonb_strip_nulls(jsonb_build_object('en_US', english, 'fr_FR', french))::text
    ELSE coalesce(english, french) END;
COMMENT ON FUNCTION fixture.label IS 'a label as this Odoo stores it';

CREATE FUNCTION fixture.field(model text, name text, ttype text, english text, french text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO ir_model_fields (model, name, ttype, store, field_description) VALUES ($1, $2, $3, true, %L)',
                   fixture.label(english, french)) USING model, name, ttype;
END $$;
COMMENT ON FUNCTION fixture.field IS 'a field as ir_model_fields knows it';

CREATE FUNCTION fixture.option(model text, field text, value text, english text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO ir_model_fields_selection (field_id, value, name) '
                   'SELECT f.id, $3, %L FROM ir_model_fields f WHERE f.model = $1 AND f.name = $2', fixture.label(english))
    USING model, field, value;
END $$;
COMMENT ON FUNCTION fixture.option IS 'one key of a selection field';

/* The documented columns; hash, token and status under names that only their labels tell. */
CREATE FUNCTION fixture.teqstars() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE mk_instance (id serial PRIMARY KEY, name varchar, marketplace varchar, state varchar,
        mark_order_paid_from_odoo bool, bc_hash varchar, bc_secret varchar);
    ALTER TABLE sale_order ADD mk_instance_id int REFERENCES mk_instance, ADD mk_id varchar, ADD bc_pay_status varchar;
    PERFORM fixture.field('mk.instance', 'bc_hash', 'char', 'Store Hash', 'Code boutique');
    PERFORM fixture.field('mk.instance', 'bc_secret', 'char', NULL, 'Access Token');
    PERFORM fixture.field('mk.instance', 'mark_order_paid_from_odoo', 'boolean', 'Mark Order as Paid?');
    PERFORM fixture.field('sale.order', 'bc_pay_status', 'selection', 'BigCommerce Payment Status');
    PERFORM fixture.option('sale.order', 'bc_pay_status', k, l) FROM
        (VALUES ('p1', 'Pending'), ('c1', 'Captured'), ('r1', 'Refunded'), ('r2', 'Partially Refunded')) o (k, l);
    INSERT INTO mk_instance (name, marketplace, state, mark_order_paid_from_odoo, bc_hash, bc_secret) VALUES
        ('Main street', 'bigcommerce', 'confirmed', true, 'https://api.bigcommerce.com/stores/ABC123/v3/', 'secret'),
        ('Elsewhere', 'shopify', 'confirmed', true, 'xyz', 'other');
END $$;
COMMENT ON FUNCTION fixture.teqstars IS 'TeqStars: everything by label, a selection with keys of its own';

/* int4 ids, BigCommerce's own words as status, and a gateway for the test. */
CREATE FUNCTION fixture.creyox() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE bigcommerce_store (id serial PRIMARY KEY, store_hash varchar, access_token varchar, api_url varchar);
    ALTER TABLE sale_order ADD bigcommerce_order_id int, ADD bigcommerce_store_id int, ADD bigcommerce_payment_status varchar,
        ADD payment_method varchar;
    INSERT INTO bigcommerce_store (store_hash, access_token) VALUES (' CREYOX ', 'secret');
    INSERT INTO bcpaid.profile (name, link_store_column, link_remote_column, store_table, store_hash_column, store_token_column,
        status_column, status_captured, gateway_column, gateway_real)
    VALUES ('creyox', 'bigcommerce_store_id', 'bigcommerce_order_id', 'bigcommerce_store', 'store_hash', 'access_token',
        'bigcommerce_payment_status', 'captured', 'payment_method', '{Braintree,PayPal}');
END $$;
COMMENT ON FUNCTION fixture.creyox IS 'creyox: int4 ids, status in words';

CREATE FUNCTION fixture.bcconnector() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE bigcommerce_connector (id serial PRIMARY KEY, store_hash varchar, access_token varchar);
    CREATE TABLE bigcommerce_order_binding (id serial PRIMARY KEY, instance_id int, sale_order_id int, bigcommerce_order_id varchar);
    INSERT INTO bigcommerce_connector (store_hash, access_token) VALUES ('bind', 'secret');
    INSERT INTO bcpaid.profile (name, link_table, link_order_column, link_store_column, link_remote_column,
        store_table, store_hash_column, store_token_column, hazard)
    VALUES ('bcconnector', 'bigcommerce_order_binding', 'sale_order_id', 'instance_id', 'bigcommerce_order_id',
        'bigcommerce_connector', 'store_hash', 'access_token', 'Turn off its scheduled action "import transactions".');
END $$;
COMMENT ON FUNCTION fixture.bcconnector IS 'bcconnector: a binding table, no status';

CREATE FUNCTION fixture.novobi() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE ecommerce_channel (id serial PRIMARY KEY, name varchar, platform varchar, bc_store_hash varchar, bc_access_token varchar);
    CREATE TABLE order_status_channel (id serial PRIMARY KEY, name varchar, platform varchar, type varchar);
    ALTER TABLE sale_order ADD channel_id int, ADD id_on_channel varchar,
        ADD payment_status_channel_id int REFERENCES order_status_channel;
    INSERT INTO ecommerce_channel (name, platform, bc_store_hash) VALUES ('Shop', 'bigcommerce', 'novo');
    INSERT INTO order_status_channel (name, platform, type) VALUES
        ('Captured', 'shopify', 'payment'), ('Captured', 'bigcommerce', 'payment'),
        ('Partially Refunded', 'bigcommerce', 'payment'), ('Pending', 'bigcommerce', 'payment');
    INSERT INTO bcpaid.profile (name, link_store_column, link_remote_column, store_table, store_filter, store_name_column,
        store_hash_column, store_token_column, status_column, status_captured, status_lookup)
    VALUES ('novobi', 'channel_id', 'id_on_channel', 'ecommerce_channel', '{"platform": "bigcommerce"}', 'name',
        'bc_store_hash', 'bc_access_token', 'payment_status_channel_id', 'Captured',
        '{"table": "order_status_channel", "column": "name", "filter": {"platform": "bigcommerce", "type": "payment"}}');
END $$;
COMMENT ON FUNCTION fixture.novobi IS 'novobi: the status is a foreign key';
