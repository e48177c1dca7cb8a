/* Each kind of profile: found, attached, read, and written.  Rolled back. */
SET client_min_messages = notice;

\echo == teqstars: columns by label, hash in a path, status by the key of a selection
BEGIN;
SELECT fixture.teqstars();
ALTER TABLE mk_instance OWNER TO regress_profiles;
SELECT * FROM bcpaid.detect();
SELECT bcpaid.attach();
SELECT bcpaid.set_store(7, mark_order_as_paid => true);
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = error;
SELECT fixture.teqstars();
ALTER TABLE mk_instance OWNER TO regress_profiles;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(1, mark_order_as_paid => true);
SELECT fixture.paid_order(100, NULL) AS first, fixture.paid_order(50, NULL) AS second, fixture.paid_order(50, NULL) AS third \gset
UPDATE sale_order SET mk_instance_id = 1, mk_id = '218', bc_pay_status = 'p1' WHERE id = :first;
UPDATE sale_order SET mk_instance_id = 2, mk_id = '218' WHERE id = :second;
UPDATE sale_order SET mk_instance_id = 1, mk_id = '219', bc_pay_status = 'r2' WHERE id = :third;
SELECT store_id, store_hash, remote_order_id, amount, can_mark, failed FROM bcpaid.judge(ARRAY[:first, :second, :third]) ORDER BY order_id;
SELECT bcpaid.connector_token(1), fixture.apply(:first);
SELECT bc_pay_status, bcpaid_can_mark(id) FROM sale_order WHERE id = :first;
SELECT profile, status_column, link_is_ours FROM bcpaid.profile_in_use();
SELECT store, remote, status, situation FROM fixture.orders();
SELECT detail FROM bcpaid_why_not(:first) WHERE NOT met;
SELECT detail FROM bcpaid_why_not(:second) WHERE NOT met;
ALTER TABLE mk_instance DROP COLUMN bc_hash;
SELECT bcpaid_can_mark(:third);
SELECT * FROM bcpaid_why_not(:third);
SELECT bcpaid.detach();
ROLLBACK;

\echo == attached where stores were made for another profile: their ids mean others now
BEGIN;
SELECT fixture.teqstars();
ALTER TABLE mk_instance OWNER TO regress_profiles;
SET LOCAL client_min_messages = error;
SELECT bcpaid.attach('native');
SELECT bcpaid.set_store(1, hash => 'native1', mark_order_as_paid => true) AS one \gset
INSERT INTO bcpaid.token VALUES (1, 'of-native-1') ON CONFLICT DO NOTHING;
SET LOCAL client_min_messages = warning;
SELECT bcpaid.attach('teqstars');
SELECT s.id, s.profile, s.hash, s.mark_order_as_paid, t.token FROM bcpaid.store s LEFT JOIN bcpaid.token t ON t.store_id = s.id;
SELECT bcpaid.set_store(1, mark_order_as_paid => true);
SELECT bcpaid.attach();
SELECT s.id, s.mark_order_as_paid FROM bcpaid.store s;
ROLLBACK;

\echo == teqstars without labels: hash, token and status are ours
BEGIN;
SET LOCAL client_min_messages = error;
SELECT fixture.teqstars();
ALTER TABLE mk_instance OWNER TO regress_profiles;
DELETE FROM ir_model_fields;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(1, hash => 'ours', mark_order_as_paid => true);
SELECT fixture.paid_order(100, NULL) AS first \gset
UPDATE sale_order SET mk_instance_id = 1, mk_id = '218' WHERE id = :first;
SELECT store_hash, can_mark, failed FROM bcpaid.judge(ARRAY[:first]);
SELECT fixture.apply(:first, '1') AS other, fixture.apply(:first), bcpaid.connector_token(1);
INSERT INTO bcpaid.link (order_id, payment_status) VALUES (:first, 'Captured');
SELECT failed FROM bcpaid.judge(ARRAY[:first]);
SELECT profile, status_column, link_is_ours FROM bcpaid.profile_in_use();
SELECT store, remote, status, situation FROM fixture.orders();
ROLLBACK;

\echo == two connectors fit
BEGIN;
SET LOCAL client_min_messages = error;
SELECT fixture.teqstars(), fixture.creyox();
ALTER TABLE mk_instance OWNER TO regress_profiles;
ALTER TABLE bigcommerce_store OWNER TO regress_profiles;
SELECT bcpaid.attach();
ROLLBACK;

\echo == creyox: int4 ids, a real gateway
BEGIN;
SET LOCAL client_min_messages = error;
SELECT fixture.creyox();
ALTER TABLE bigcommerce_store OWNER TO regress_profiles;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(1, mark_order_as_paid => true);
SELECT fixture.paid_order(100, NULL) AS first, fixture.paid_order(50, NULL) AS second, fixture.paid_order(50, NULL) AS third \gset
UPDATE sale_order SET bigcommerce_store_id = 1, bigcommerce_order_id = 200 + id WHERE id IN (:first, :second);
UPDATE sale_order SET bigcommerce_store_id = 1, bigcommerce_order_id = 200 + :second WHERE id = :third;
UPDATE sale_order SET payment_method = 'PAYPAL' WHERE id = :first;
SELECT store_hash, remote_order_id - order_id AS remote, can_mark, failed FROM bcpaid.judge(ARRAY[:first, :second]) ORDER BY order_id;
SELECT detail LIKE 'remote order % is also carried by S%' AS named FROM bcpaid_why_not(:second) WHERE NOT met;
SELECT condition, detail FROM bcpaid_why_not(:first) WHERE NOT met;
UPDATE sale_order SET state = 'cancel' WHERE id = :third;
SELECT bcpaid_can_mark(:second), bcpaid.unswept(0, 1000000) = :first AS swept;
SELECT fixture.apply(:second, '1') AS other, fixture.apply(:second);
SELECT bigcommerce_payment_status FROM sale_order WHERE id = :second;
SELECT store, remote, status, situation FROM fixture.orders();
ROLLBACK;

\echo == bcconnector: a binding table, no status, a hazard
BEGIN;
SELECT fixture.bcconnector();
ALTER TABLE bigcommerce_connector OWNER TO regress_profiles;
ALTER TABLE bigcommerce_order_binding OWNER TO regress_profiles;
SELECT bcpaid.attach();
SET LOCAL client_min_messages = error;
SELECT bcpaid.set_store(1, mark_order_as_paid => true);
SELECT fixture.paid_order(100, NULL) AS first, fixture.paid_order(50, NULL) AS second, fixture.paid_order(50, NULL) AS third \gset
INSERT INTO bigcommerce_order_binding (instance_id, sale_order_id, bigcommerce_order_id)
VALUES (1, :first, '0301'), (1, :first, '301'), (1, :second, '302'), (1, :second, '303'), (1, :third, '302');
SELECT store_hash, remote_order_id, can_mark, failed FROM bcpaid.judge(ARRAY[:first, :second, :third]) ORDER BY order_id;
SELECT detail FROM bcpaid_why_not(:second) WHERE NOT met;
SELECT fixture.apply(:first, '1') AS other, fixture.apply(:first), bcpaid.connector_token(1);
SELECT store, remote, status, situation FROM fixture.orders();
SELECT count(*) FROM bcpaid.unswept(0, 1000000);
SELECT indexrelid::regclass FROM pg_index WHERE indexrelid::regclass::text LIKE 'bcpaid\_%' ORDER BY 1;
ROLLBACK;

\echo == novobi: a filter, and a status behind a foreign key
BEGIN;
SET LOCAL client_min_messages = error;
SELECT fixture.novobi();
ALTER TABLE ecommerce_channel OWNER TO regress_profiles;
ALTER TABLE order_status_channel OWNER TO regress_profiles;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(1, mark_order_as_paid => true);
SELECT fixture.paid_order(100, NULL) AS first, fixture.paid_order(50, NULL) AS second \gset
UPDATE sale_order SET channel_id = 1, id_on_channel = id, payment_status_channel_id = 4 WHERE id = :first;
UPDATE sale_order SET channel_id = 1, id_on_channel = id, payment_status_channel_id = 3 WHERE id = :second;
SELECT can_mark, failed FROM bcpaid.judge(ARRAY[:first, :second]) ORDER BY order_id;
SELECT fixture.apply(:first);
SELECT payment_status_channel_id AS "2" FROM sale_order WHERE id = :first;
SELECT store, remote, status, situation FROM fixture.orders();
DELETE FROM order_status_channel WHERE id NOT IN (SELECT payment_status_channel_id FROM sale_order WHERE payment_status_channel_id IS NOT NULL);
UPDATE sale_order SET payment_status_channel_id = 3 WHERE id = :first;
DELETE FROM order_status_channel WHERE id = 2;
SELECT fixture.apply(:first), payment_status_channel_id FROM sale_order WHERE id = :first;
UPDATE ecommerce_channel SET platform = 'shopify';
SELECT can_mark, failed FROM bcpaid.judge(ARRAY[:first]);
SET LOCAL client_min_messages = warning;
SELECT bcpaid.attach();
ROLLBACK;
