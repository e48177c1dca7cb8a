/*
 * The table of cases: one line each, with the answer that is expected.
 *
 *     yes     eligible: the button is there, and the automatic way takes it
 *     hand    eligible, but only a person or a backfill takes it
 *     other   not eligible, and this is the first condition that is not met
 *
 * Built and judged in one transaction, so that no worker sees it.  Stores: 1 is
 * on, 2 is off, 3 accepts only "paid", 4 has no hash, 5 has the hash of 1.
 */
CREATE TABLE fixture.cases (n serial, name text, expected text, order_id int, amount numeric);

CREATE FUNCTION fixture.expect(name text, expected text, order_id int, amount numeric DEFAULT NULL) RETURNS int
LANGUAGE sql AS $$
INSERT INTO fixture.cases (name, expected, order_id, amount) VALUES (name, expected, order_id, amount) RETURNING order_id
$$;
COMMENT ON FUNCTION fixture.expect IS 'one line of the table of cases';

/* An order with a remote order of its own: 10001, 10002 and so on. */
CREATE FUNCTION fixture.sale(total numeric DEFAULT 100, store int DEFAULT 1) RETURNS int
LANGUAGE sql RETURN fixture.order(total, (10000 + (SELECT last_value FROM sale_order_id_seq))::text, store);
COMMENT ON FUNCTION fixture.sale IS 'an order with a remote order that no other order has';

CREATE FUNCTION fixture.paid(total numeric DEFAULT 100, store int DEFAULT 1) RETURNS int
LANGUAGE sql RETURN fixture.paid_order(total, (10000 + (SELECT last_value FROM sale_order_id_seq))::text, store);
COMMENT ON FUNCTION fixture.paid IS 'the same, invoiced and paid';

CREATE FUNCTION fixture.set(id int, col text, value text) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE sale_order SET %I = $2 WHERE id = $1', col) USING id, value;
    RETURN id;
END $$;
COMMENT ON FUNCTION fixture.set IS 'sets a text column of an order and returns the order';

CREATE FUNCTION fixture.invoice_state(id int, state text) RETURNS int
LANGUAGE sql AS $$
UPDATE account_move m SET payment_state = invoice_state.state
FROM account_move_line l JOIN sale_order_line_invoice_rel r ON r.invoice_line_id = l.id
JOIN sale_order_line ol ON ol.id = r.order_line_id
WHERE m.id = l.move_id AND ol.order_id = invoice_state.id RETURNING invoice_state.id
$$;
COMMENT ON FUNCTION fixture.invoice_state IS 'sets the payment state of an order''s invoice and returns the order';

CREATE FUNCTION fixture.capture(id int, state text) RETURNS int
LANGUAGE sql AS $$
INSERT INTO bcpaid.capture (store_hash, remote_order_id, order_id, store_id, state, origin, requested_by, marker, reason)
SELECT 'shop', o.bcpaid_remote_order_id::bigint, o.id, 1, capture.state, 'payment', 'test', 'm', 'as tested'
FROM sale_order o WHERE o.id = capture.id RETURNING order_id
$$;
COMMENT ON FUNCTION fixture.capture IS 'puts a capture of an order into the ledger and returns the order';

INSERT INTO bcpaid.store (id, hash, mark_order_as_paid, payment_states) VALUES
    (1, 'shop', true, '{paid,in_payment}'), (2, 'shut', false, '{paid,in_payment}'), (3, 'strict', true, '{paid}'),
    (4, NULL, true, '{paid,in_payment}'), (5, 'shop', true, '{paid,in_payment}');

BEGIN;
\o /dev/null
SELECT fixture.expect('everything holds', 'yes', fixture.paid(), 100);

-- 1. the store's switch
SELECT fixture.expect('no store', 'switch', fixture.paid(store => NULL));
SELECT fixture.expect('a store that is not set up', 'switch', fixture.paid(store => 99));
SELECT fixture.expect('the switch is off', 'switch', fixture.paid(store => 2));
SELECT fixture.expect('a store without a hash', 'switch', fixture.paid(store => 4));

-- 2. the link
SELECT fixture.expect('BigCommerce ID ' || coalesce(quote_literal(id), 'NULL'), 'link', fixture.paid_order(100, id))
FROM unnest('{NULL,"","  ","0","000","abc","-5","12.5","218x","9223372036854775808"}'::text[]) id;
SELECT fixture.expect('BigCommerce ID ' || quote_literal(id), 'yes', fixture.paid_order(100, id), 100)
FROM unnest('{"0701"," 702 ","9223372036854775807"}'::text[]) id;
SELECT fixture.expect('a quotation', 'link', fixture.set(fixture.paid(), 'state', 'draft'));
SELECT fixture.expect('a quotation that was sent', 'link', fixture.set(fixture.paid(), 'state', 'sent'));
SELECT fixture.expect('a cancelled order', 'link', fixture.set(fixture.paid(), 'state', 'cancel'));
SELECT fixture.expect('a locked order (up to Odoo 16)', 'yes', fixture.set(fixture.paid(), 'state', 'done'), 100);
SELECT fixture.expect('one remote order, the first', 'link', fixture.paid_order(100, '801'));
SELECT fixture.expect('one remote order, the second', 'link', fixture.paid_order(100, '801'));
SELECT fixture.expect('one remote order in two spellings', 'link', fixture.paid_order(100, id)) FROM unnest('{802,0802}'::text[]) id;
SELECT fixture.expect('one remote order, two rows of one store', 'link', fixture.paid_order(100, '803', store))
FROM unnest('{1,5}'::int[]) store;
SELECT fixture.expect('the same number at another store', 'yes', fixture.paid_order(100, '804', store), 100)
FROM unnest('{1,3}'::int[]) store;
SELECT fixture.expect('the other order is a quotation', 'link', o)
FROM fixture.paid_order(100, '805') o, fixture.order(100, '805', state => 'draft') x;
SELECT fixture.expect('the other order is cancelled', 'yes', o, 100)
FROM fixture.paid_order(100, '806') o, fixture.order(100, '806', state => 'cancel') x;

-- 3. fully invoiced
SELECT fixture.expect('invoice status ' || s, 'invoiced', fixture.set(fixture.paid(), 'invoice_status', s))
FROM unnest('{to invoice,upselling,no}'::text[]) s;
SELECT fixture.expect('no invoice status', 'invoiced', fixture.set(fixture.paid(), 'invoice_status', NULL));
SELECT fixture.expect('no invoice', 'invoiced', fixture.set(fixture.sale(), 'invoice_status', 'invoiced'));
SELECT fixture.expect('only a draft invoice', 'invoiced', o) FROM fixture.sale() o, fixture.invoice(o, state => 'draft') i;
SELECT fixture.expect('only a cancelled invoice', 'invoiced', o) FROM fixture.sale() o, fixture.invoice(o, state => 'cancel') i;
SELECT fixture.expect('a draft debit note: to invoice', 'invoiced', fixture.set(o, 'invoice_status', 'to invoice'))
FROM fixture.paid() o, fixture.invoice(o, 10, 'draft') i;
SELECT fixture.expect('down payment of 30 paid, final invoice to come', 'invoiced', fixture.set(o, 'invoice_status', 'to invoice'))
FROM fixture.sale() o, fixture.invoice(o, 30) i, fixture.pay(i) p;

-- 4. settled
SELECT fixture.expect('a draft invoice beside a paid one', 'settled', o) FROM fixture.paid() o, fixture.invoice(o, 10, 'draft') i;
SELECT fixture.expect('a cancelled invoice beside a paid one', 'yes', o, 100) FROM fixture.paid() o, fixture.invoice(o, 10, 'cancel') i;
SELECT fixture.expect('not paid', 'settled', o) FROM fixture.sale() o, fixture.invoice(o) i;
SELECT fixture.expect('paid in part', 'settled', o) FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, 40) p;
SELECT fixture.expect('paid in instalments', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, 40) p, LATERAL (SELECT fixture.pay(i + 0 * p)) q;
SELECT fixture.expect('payment state ' || coalesce(s, 'NULL'), 'settled', fixture.invoice_state(fixture.paid(), s))
FROM unnest('{not_paid,partial,blocked,invoicing_legacy,NULL}'::text[]) s;
SELECT fixture.expect('in_payment', 'yes', o, 100) FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, settled => 'in_payment') p;
SELECT fixture.expect('in_payment, and the store wants paid', 'settled', o)
FROM fixture.sale(store => 3) o, fixture.invoice(o) i, fixture.pay(i, settled => 'in_payment') p;
SELECT fixture.expect('paid, and the store wants paid', 'yes', fixture.paid(store => 3), 100);
SELECT fixture.expect('a bank line, no payment', 'yes', o, 100) FROM fixture.sale() o, fixture.invoice(o) i, fixture.bank(i) b;
SELECT fixture.expect('two invoices, both paid', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o, 60) i, fixture.invoice(o, 40) j, fixture.pay(i) p, fixture.pay(j) q;
SELECT fixture.expect('two invoices, one paid', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o, 60) i, fixture.invoice(o, 40) j, fixture.pay(i) p;
SELECT fixture.expect('one invoice for two orders', 'yes', x.o, x.amount)
FROM fixture.sale(60) a, fixture.sale(40) b, fixture.move('out_invoice', ARRAY[a, b], '{60,40}') i, fixture.pay(i) p,
    LATERAL (VALUES (a, 60), (b, 40)) x (o, amount);
SELECT fixture.expect('down payment of 30 and final invoice', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o, 30) i, fixture.pay(i) p, fixture.move('out_invoice', ARRAY[o, o], '{100,-30}') j, fixture.pay(j) q;
SELECT fixture.expect('down payment of all, final invoice over nothing', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.move('out_invoice', ARRAY[o, o], '{100,-100}') j;
SELECT fixture.expect('an order over nothing', 'settled', o) FROM fixture.sale(0) o, fixture.invoice(o) i;
SELECT fixture.expect('95 and a write-off of 5', 'yes', o, 100) FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, 95, write_off => 5) p;
SELECT fixture.expect('early discount: 98 settle 100', 'yes', o, 100) FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, 98, write_off => 2) p;
SELECT fixture.expect('130 paid for 100', 'yes', o, 100) FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i, 130) p;
SELECT fixture.expect('cash rounding', 'yes', o, 69.85)
FROM fixture.sale(69.83) o, fixture.move('out_invoice', ARRAY[o, NULL], '{69.83,0.02}') i, fixture.pay(i) p;
SELECT fixture.expect('freight added in Odoo', 'yes', o, 107)
FROM fixture.sale() o, fixture.move('out_invoice', ARRAY[o, NULL], '{100,7}') i, fixture.pay(i) p;
SELECT fixture.expect('USD order, EUR invoice', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o, 90.91, currency => 'EUR') i, fixture.pay(i) p;
SELECT fixture.expect('a connector registered the payment itself', 'yes', fixture.paid(), 100);

-- credit notes
SELECT fixture.expect('reversed, and nothing else', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.credit(i) c, fixture.apply_credit(i, c) a;
SELECT fixture.expect('reversed beside paid', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.credit(i) c, fixture.apply_credit(i, c) a, fixture.invoice(o) j, fixture.pay(j) p;
SELECT fixture.expect('exchange: another order''s credit note', 'settled', o)
FROM fixture.paid() x, fixture.sale() o, fixture.invoice(o) i, fixture.invoice(x) xi, fixture.credit(xi) c, fixture.apply_credit(i, c) a;
SELECT fixture.expect('written off by a credit note without sale line', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.credit(i, linked => false) c, fixture.apply_credit(i, c) a;
SELECT fixture.expect('credit note of 30, the rest paid', 'yes', o, 70)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.credit(i, 30) c, fixture.apply_credit(i, c) a, LATERAL (SELECT fixture.pay(i)) p
WHERE a IS NOT NULL;
SELECT fixture.expect('a draft credit note', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i, state => 'draft') c;
SELECT fixture.expect('a draft credit note without sale line', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i, 30, false, 'draft') c;
SELECT fixture.expect('a credit note that is not paid out yet', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i, 30) c;
SELECT fixture.expect('credit note without sale line, paid out', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i, linked => false) c, fixture.pay(c) q;
SELECT fixture.expect('credit note with sale line, paid out, quantity 0', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i) c, fixture.pay(c) q;
SELECT fixture.expect('credit note of 30, paid out, sale line: ' || l, 'hand', o, 70)
FROM unnest('{true,false}'::bool[]) l, LATERAL fixture.sale(100 + 0 * l::int) o, fixture.invoice(o) i, fixture.pay(i) p,
    fixture.credit(i, 30, l) c, fixture.pay(c) q;

-- 5. the payment status
SELECT fixture.expect('payment status ' || quote_literal(s), 'status', fixture.set(fixture.paid(), 'bcpaid_payment_status', s))
FROM unnest('{Captured,captured,CAPTURED," captured ",Refunded,refunded,Partially Refunded,partially_refunded,
    Paid,capture_pending,Capture Pending,Void,void_pending,VOID PENDING}'::text[]) s;
SELECT fixture.expect('payment status ' || quote_literal(s), 'yes', fixture.set(fixture.paid(), 'bcpaid_payment_status', s), 100)
FROM unnest('{"",pending,Authorized,declined,unpaid}'::text[]) s;

-- 6. and 7. what the ledger knows; a real gateway is in sql/profiles.sql
SELECT fixture.expect('a capture that is not ours', 'gateway', fixture.capture(fixture.paid(), 'not_ours'));
SELECT fixture.expect('a capture that is ' || s, 'capture', fixture.capture(fixture.paid(), s))
FROM unnest('{queued,claimed,sending,captured,applied,waiting,unknown}'::text[]) s;
SELECT fixture.expect('a capture that is ' || s, 'hand', fixture.capture(fixture.paid(), s), 100)
FROM unnest('{refused,held,cancelled}'::text[]) s;

-- the automatic way alone
WITH o AS (SELECT fixture.paid() AS id), b AS (INSERT INTO bcpaid.baseline (order_id, store_id) SELECT id, 1 FROM o)
SELECT fixture.expect('eligible since before the switch-on', 'hand', id, 100) FROM o;
\o
