/*
 * Payments, as Odoo registers them: see fixtures.sql, which comes first.
 */

/* Odoo's "Register Payment": the payment, its entry, the match, the link, the invoice, the state. */
CREATE FUNCTION fixture.pay(invoice int, amount numeric DEFAULT NULL, settled text DEFAULT 'paid',
    write_off numeric DEFAULT 0) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    inv account_move;
    inbound bool;
    paid numeric;
    entry int;
    payment int := nextval('account_payment_id_seq');
BEGIN
    SELECT m.* INTO inv FROM account_move m WHERE m.id = invoice;
    inbound := inv.move_type = 'out_invoice';
    paid := coalesce(amount, inv.amount_residual);
    IF fixture.has('account_payment', 'state') THEN
        INSERT INTO account_payment (id, state, payment_type, partner_type, amount, currency_id)
        VALUES (payment, 'draft', CASE WHEN inbound THEN 'inbound' ELSE 'outbound' END, 'customer', paid, inv.currency_id);
        entry := fixture.entry(paid, inv.currency_id, inbound);
        UPDATE account_payment SET move_id = entry, state = 'in_process' WHERE id = payment;
    ELSE
        entry := fixture.entry(paid, inv.currency_id, inbound);
        INSERT INTO account_payment (id, move_id, payment_type, partner_type, amount, currency_id)
        VALUES (payment, entry, CASE WHEN inbound THEN 'inbound' ELSE 'outbound' END, 'customer', paid, inv.currency_id);
        UPDATE account_move SET payment_id = payment, state = 'posted' WHERE id = entry;
    END IF;
    UPDATE account_move_line SET payment_id = payment WHERE move_id = entry;
    PERFORM fixture.match(CASE WHEN inbound THEN invoice ELSE entry END,
                          CASE WHEN inbound THEN entry ELSE invoice END, least(paid + write_off, inv.amount_residual));
    UPDATE account_payment SET is_reconciled = true WHERE id = payment;
    IF fixture.has('account_move__account_payment') THEN
        EXECUTE 'INSERT INTO account_move__account_payment (invoice_id, payment_id) VALUES ($1, $2)'
        USING invoice, payment;
    END IF;
    PERFORM fixture.settle(invoice, least(paid + write_off, inv.amount_residual), settled);
    IF fixture.has('account_payment', 'state') THEN
        UPDATE account_payment SET state = 'paid' WHERE id = payment;
    END IF;
    RETURN payment;
END $$;
COMMENT ON FUNCTION fixture.pay IS 'registers a payment on an invoice, or pays a credit note out';

CREATE FUNCTION fixture.entry(amount numeric, currency int, inbound bool) RETURNS int
LANGUAGE sql AS $$
WITH m AS (
    INSERT INTO account_move (name, state, move_type, payment_state, currency_id, amount_total, amount_residual)
    VALUES ('PBNK', 'posted', 'entry', 'not_paid', currency, amount, 0) RETURNING id
), l AS (
    INSERT INTO account_move_line (move_id, account_id, display_type, currency_id, balance)
    SELECT id, account, 'product', currency, CASE WHEN inbound = (account = 1) THEN -amount ELSE amount END
    FROM m, (VALUES (1), (3)) AS a (account)
)
SELECT id FROM m;
$$;
COMMENT ON FUNCTION fixture.entry IS 'the journal entry of a payment or a bank line';

/* [E]: a journal without outstanding account.  No entry, no match, residual as before. */
CREATE FUNCTION fixture.pay_without_entry(invoices int[], amount numeric, currency text DEFAULT 'USD') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    payment int;
BEGIN
    INSERT INTO account_payment (state, payment_type, partner_type, amount, currency_id)
    SELECT 'draft', CASE m.move_type WHEN 'out_invoice' THEN 'inbound' ELSE 'outbound' END, 'customer',
           pay_without_entry.amount, c.id
    FROM account_move m, res_currency c WHERE m.id = invoices[1] AND c.name = currency
    RETURNING id INTO payment;
    UPDATE account_payment SET state = 'in_process' WHERE id = payment;
    INSERT INTO account_move__account_payment (invoice_id, payment_id) SELECT i, payment FROM unnest(invoices) i;
    UPDATE account_payment SET is_matched = false, is_reconciled = false WHERE id = payment;
    UPDATE account_move SET payment_state = 'in_payment' WHERE id = ANY (invoices);
    RETURN payment;
END $$;
COMMENT ON FUNCTION fixture.pay_without_entry IS 'a payment that leaves no journal entry: the invoices show in_payment whatever the amount';

/* A bank statement line reconciled with the invoice: no payment row at all. */
CREATE FUNCTION fixture.bank(invoice int, amount numeric DEFAULT NULL, settled text DEFAULT 'paid') RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    inv account_move;
    entry int;
BEGIN
    SELECT m.* INTO inv FROM account_move m WHERE m.id = invoice;
    entry := fixture.entry(coalesce(amount, inv.amount_residual), inv.currency_id, true);
    PERFORM fixture.match(invoice, entry, coalesce(amount, inv.amount_residual));
    UPDATE account_move SET statement_line_id = entry WHERE id = entry;
    PERFORM fixture.settle(invoice, coalesce(amount, inv.amount_residual), settled);
    RETURN invoice;
END $$;
COMMENT ON FUNCTION fixture.bank IS 'reconciles a bank statement line with an invoice';

/* A credit note settles an invoice, of the same order or of another. */
CREATE FUNCTION fixture.apply_credit(invoice int, credit int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    inv account_move;
    cre account_move;
    covered numeric;
BEGIN
    SELECT m.* INTO inv FROM account_move m WHERE m.id = invoice;
    SELECT m.* INTO cre FROM account_move m WHERE m.id = credit;
    covered := least(inv.amount_residual, cre.amount_residual);
    PERFORM fixture.match(invoice, credit, covered);
    PERFORM fixture.settle(invoice, covered,
        CASE WHEN inv.amount_residual = inv.amount_total THEN 'reversed' ELSE 'paid' END);
    PERFORM fixture.settle(credit, covered);
    RETURN invoice;
END $$;
COMMENT ON FUNCTION fixture.apply_credit IS 'reconciles a credit note with an invoice; wholly settled so, the invoice shows reversed';

/* The accountant takes a payment back: the match goes, the invoice is open again. */
CREATE FUNCTION fixture.unpay(payment int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        DELETE FROM account_partial_reconcile r USING account_move_line l, account_move_line i
        WHERE l.id = r.credit_move_id AND i.id = r.debit_move_id AND l.payment_id = payment
        RETURNING i.move_id, r.amount
    LOOP
        UPDATE account_move SET amount_residual = amount_residual + part.amount,
            payment_state = CASE WHEN amount_residual + part.amount = amount_total THEN 'not_paid' ELSE 'partial' END
        WHERE id = part.move_id;
    END LOOP;
    IF fixture.has('account_payment', 'state') THEN
        EXECUTE 'DELETE FROM account_move__account_payment WHERE payment_id = $1' USING payment;
        UPDATE account_payment SET state = 'canceled', is_reconciled = false WHERE id = payment;
    END IF;
END $$;
COMMENT ON FUNCTION fixture.unpay IS 'cancels a payment that was matched';

/* One order, invoiced and paid in full: what most tests start from. */
CREATE FUNCTION fixture.paid_order(total numeric, remote text DEFAULT NULL, store int DEFAULT 1) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    id int := fixture.order(total, remote, store);
BEGIN
    PERFORM fixture.pay(fixture.invoice(id));
    RETURN id;
END $$;
COMMENT ON FUNCTION fixture.paid_order IS 'an order with one invoice, paid in full';

CREATE FUNCTION fixture.set_payment(payment int, new_state text) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account_payment SET state = new_state WHERE id = payment;
    RETURN payment;
END $$;
COMMENT ON FUNCTION fixture.set_payment IS 'changes the state of a payment, where payments have one';

CREATE FUNCTION fixture.apply(order_id int, remote text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT q ->> 'apply' FROM bcpaid.attachment a, bcpaid.as_owner(a.apply, order_id::text, remote) q);
END $$;
COMMENT ON FUNCTION fixture.apply IS 'sets an order to Captured, as the worker does, and says what came of it';

CREATE FUNCTION fixture.orders() RETURNS TABLE (n bigint, store int, remote bool, status text, situation text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT row_number() OVER (ORDER BY id), store_id, remote_order_id IS NOT NULL, payment_status, situation FROM (%s) q'
        ' ORDER BY id DESC LIMIT 3', bcpaid.orders_query());
END $$;
COMMENT ON FUNCTION fixture.orders IS 'where the last orders stand, as reports see it; ids differ from run to run';
