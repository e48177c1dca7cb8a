-- Goal: profiles are found, attached, attached again, broken, mended and
-- detached, and each kind of them is read and written rightly.  What a worker
-- could see is rolled back.
\set ECHO none
\set SHOW_CONTEXT never

\echo == a database without Odoo
CREATE DATABASE regress_empty;
\c regress_empty
SET client_min_messages = warning;
CREATE EXTENSION bcpaid;
SELECT bcpaid.odoo_table();
SELECT bcpaid.attach();
SELECT bcpaid.detach();
SELECT bcpaid_can_mark(1);

\echo == native, attached twice by the role of Odoo, which owns its database
CREATE ROLE regress_profiles LOGIN;
CREATE ROLE regress_stranger LOGIN;
CREATE DATABASE regress_profiles19 OWNER regress_profiles;
\c regress_profiles19
SET client_min_messages = warning;
SET ROLE regress_profiles;
\i t/shape/odoo19.sql
RESET ROLE;
\i t/shape/fixtures.sql
\i t/shape/fixtures-payments.sql
SET ROLE regress_profiles;
CREATE EXTENSION bcpaid;
RESET client_min_messages;
SELECT * FROM bcpaid.detect();
SELECT bcpaid.attach('nobody');
SELECT bcpaid.attach('teqstars');
SELECT bcpaid.attach();
SELECT bcpaid.attach();
RESET ROLE;
SELECT odoo_table, name, events, args FROM bcpaid.existing_triggers() ORDER BY name;
SELECT count(*) AS "triggers and index depend on the extension" FROM pg_depend WHERE deptype = 'x';
SET ROLE regress_stranger;
SELECT bcpaid.attach();
RESET ROLE;
GRANT USAGE ON SCHEMA bcpaid TO regress_stranger;
GRANT EXECUTE ON FUNCTION bcpaid.attach(text) TO regress_stranger;
SET ROLE regress_stranger;
SELECT bcpaid.attach();
RESET ROLE;

\echo == Odoo alters and drops columns; attach mends
SET ROLE regress_profiles;
ALTER TABLE account_move ALTER payment_state TYPE text, ALTER state TYPE varchar(40), ALTER amount_residual TYPE numeric(16, 2);
ALTER TABLE sale_order ALTER bcpaid_remote_order_id TYPE text, ALTER invoice_status TYPE text;
SET client_min_messages = warning;
SELECT bcpaid.set_store(name => 'Shop', hash => 'shop', mark_order_as_paid => true);
BEGIN;
RESET ROLE;
SELECT fixture.paid_order(100, '0218') AS first \gset
SELECT bcpaid_can_mark(:first);
SET ROLE regress_profiles;
ALTER TABLE sale_order DROP COLUMN invoice_status CASCADE;
SELECT bcpaid_can_mark(:first);
SELECT * FROM bcpaid_why_not(:first);
SELECT bcpaid.attach();
ROLLBACK;
BEGIN;
RESET ROLE;
SELECT fixture.paid_order(100, '0218') AS first \gset
SET ROLE regress_profiles;
ALTER TABLE sale_order DROP COLUMN invoice_status CASCADE;
ALTER TABLE sale_order ADD COLUMN invoice_status varchar;
UPDATE sale_order SET invoice_status = 'invoiced';
SELECT bcpaid_can_mark(:first);
ALTER TABLE sale_order DROP COLUMN bcpaid_remote_order_id;
ALTER TABLE sale_order ADD COLUMN bcpaid_remote_order_id int;
ALTER TABLE sale_order ALTER bcpaid_store_id TYPE varchar;
UPDATE sale_order SET bcpaid_remote_order_id = 218;
DROP TRIGGER bcpaid_invoice ON account_move;
ALTER TABLE sale_order DISABLE TRIGGER bcpaid_order;
SET client_min_messages = notice;
SELECT bcpaid.attach();
SELECT bcpaid_can_mark(:first);
RESET ROLE;
SELECT fixture.apply(:first), fixture.apply(:first), fixture.apply(0);
SELECT bcpaid_payment_status FROM sale_order WHERE id = :first;

\echo == detach keeps what columns hold; the links come back
SET ROLE regress_profiles;
SELECT bcpaid.detach();
SELECT bcpaid.detach();
SELECT bcpaid_can_mark(:first);
SELECT * FROM bcpaid.link;
ALTER TABLE sale_order DROP COLUMN bcpaid_remote_order_id, DROP COLUMN bcpaid_store_id, DROP COLUMN bcpaid_payment_status;
SELECT bcpaid.attach();
SELECT bcpaid_store_id, bcpaid_remote_order_id, bcpaid_payment_status FROM sale_order;
SELECT count(*) FROM bcpaid.link;
UPDATE sale_order SET bcpaid_store_id = NULL, bcpaid_remote_order_id = NULL, bcpaid_payment_status = NULL;
INSERT INTO ir_model_fields (model, name, ttype, store, field_description)
VALUES ('sale.order', 'bcpaid_payment_status', 'char', true, '{"en_US": "Payment status"}');
SELECT bcpaid.detach();
SELECT attname FROM pg_attribute WHERE attrelid = 'sale_order'::regclass AND attname LIKE 'bcpaid%' AND NOT attisdropped;
SELECT indexrelid::regclass FROM pg_index WHERE indexrelid::regclass::text LIKE 'bcpaid\_%';
ROLLBACK;

\echo == DROP EXTENSION takes triggers and index along
BEGIN;
SELECT bcpaid.attach();
DROP EXTENSION bcpaid;
SELECT tgname FROM pg_trigger WHERE tgname LIKE 'bcpaid%';
SELECT indexrelid::regclass FROM pg_index WHERE indexrelid::regclass::text LIKE 'bcpaid\_%';
ROLLBACK;
SELECT bcpaid.detach();
RESET ROLE;

\i t/shape/connectors.sql
\i t/shape/connector-cases.sql

\echo == Odoo 14, in a database that the role of Odoo does not own
CREATE DATABASE regress_profiles14;
\c regress_profiles14
SET client_min_messages = warning;
GRANT CREATE ON SCHEMA public TO regress_profiles;
SET ROLE regress_profiles;
\i t/shape/odoo14.sql
RESET ROLE;
\i t/shape/fixtures.sql
\i t/shape/fixtures-payments.sql
\i t/shape/connectors.sql
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
SET ROLE regress_profiles;
SELECT * FROM bcpaid.detect();
SELECT bcpaid.detach();
RESET ROLE;
\i t/shape/connector-cases.sql
