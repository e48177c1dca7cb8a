/*
 * What people do in Odoo, as the statements that reach the database: orders,
 * invoices, credit notes and payments, for either shape.  The order of the
 * statements in a payment is the order in which Odoo sends them.
 *
 *     SELECT fixture.pay(fixture.invoice(fixture.order(100, '218')));
 */
CREATE SCHEMA fixture;
CREATE SEQUENCE fixture.invoice_number;
CREATE SEQUENCE fixture.credit_number;

CREATE FUNCTION fixture.has(tab text, col text DEFAULT NULL) RETURNS bool
LANGUAGE sql STABLE
RETURN CASE WHEN col IS NULL THEN to_regclass(tab) IS NOT NULL ELSE EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass(tab) AND attname = col AND NOT attisdropped) END;
COMMENT ON FUNCTION fixture.has IS 'does this shape have the table, or the column?';

/* The order is confirmed and not invoiced; remote and store go to native columns. */
CREATE FUNCTION fixture.order(total numeric, remote text DEFAULT NULL, store int DEFAULT 1,
    currency text DEFAULT 'USD', state text DEFAULT 'sale', lines int DEFAULT 1) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    new_id int := nextval('sale_order_id_seq');
BEGIN
    INSERT INTO sale_order (id, name, state, invoice_status, currency_id, amount_total)
    SELECT new_id, 'S' || lpad(new_id::text, 5, '0'), "order".state,
           CASE "order".state WHEN 'sale' THEN 'to invoice' ELSE 'no' END, c.id, total
    FROM res_currency c WHERE c.name = currency;
    INSERT INTO sale_order_line (order_id, product_id, name, product_uom_qty, price_unit, price_total)
    SELECT new_id, n, 'product ' || n, 1, total / lines, total / lines FROM generate_series(1, lines) n;
    IF fixture.has('sale_order', 'bcpaid_store_id') THEN
        EXECUTE 'UPDATE sale_order SET bcpaid_store_id = $2, bcpaid_remote_order_id = $3 WHERE id = $1'
        USING new_id, store, remote;
    END IF;
    RETURN new_id;
END $$;
COMMENT ON FUNCTION fixture.order IS 'a confirmed order, not yet invoiced, linked where the native columns exist';

/*
 * One move with a receivable line and a product line for each amount; product
 * lines that have an order are linked to its first order line.  Odoo counts
 * drafts as invoiced, so the orders become "invoiced" here already.
 */
CREATE FUNCTION fixture.move(move_type text, orders int[], amounts numeric[],
    state text DEFAULT 'posted', currency text DEFAULT NULL, reverses int DEFAULT NULL) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    new_id int := nextval('account_move_id_seq');
    total numeric := (SELECT sum(a) FROM unnest(amounts) a);
    sign int := CASE WHEN move_type LIKE 'out_refund%' OR move_type = 'in_invoice' THEN -1 ELSE 1 END;
    cur res_currency;
    line int;
    n int;
BEGIN
    SELECT c.* INTO cur FROM res_currency c
    WHERE c.name = coalesce(currency, (SELECT oc.name FROM sale_order o JOIN res_currency oc
        ON oc.id = o.currency_id WHERE o.id = ANY (orders) LIMIT 1), 'USD');
    INSERT INTO account_move (id, state, move_type, payment_state, currency_id, amount_total,
        amount_residual, amount_total_signed, reversed_entry_id)
    VALUES (new_id, 'draft', move_type, 'not_paid', cur.id, total, total,
        sign * fixture.in_company_currency(total, cur.name), reverses);
    INSERT INTO account_move_line (move_id, account_id, display_type, currency_id, balance, amount_currency, amount_residual)
    VALUES (new_id, 1, 'payment_term', cur.id, sign * fixture.in_company_currency(total, cur.name), sign * total, sign * total);
    FOR n IN 1 .. cardinality(amounts) LOOP
        INSERT INTO account_move_line (move_id, account_id, display_type, product_id, currency_id, balance, price_total)
        VALUES (new_id, 2, 'product', n, cur.id, -sign * fixture.in_company_currency(amounts[n], cur.name), amounts[n])
        RETURNING account_move_line.id INTO line;
        INSERT INTO sale_order_line_invoice_rel (order_line_id, invoice_line_id)
        SELECT min(ol.id), line FROM sale_order_line ol WHERE ol.order_id = orders[n] HAVING min(ol.id) IS NOT NULL;
    END LOOP;
    UPDATE sale_order o SET invoice_status = 'invoiced'
    WHERE o.id = ANY (orders) AND o.state IN ('sale', 'done') AND move_type = 'out_invoice'
      AND o.invoice_status <> 'invoiced';
    IF move.state <> 'draft' THEN
        PERFORM fixture.post(new_id);
    END IF;
    IF move.state = 'cancel' THEN
        UPDATE account_move m SET state = 'cancel' WHERE m.id = new_id;
    END IF;
    RETURN new_id;
END $$;
COMMENT ON FUNCTION fixture.move IS 'a customer invoice or credit note over lines of the given orders';

CREATE FUNCTION fixture.in_company_currency(amount numeric, currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE
RETURN amount * CASE currency WHEN 'EUR' THEN 1.10 WHEN 'JPY' THEN 0.01 ELSE 1 END;
COMMENT ON FUNCTION fixture.in_company_currency IS 'the amount in USD, at fixed rates';

CREATE FUNCTION fixture.post(move int) RETURNS void
LANGUAGE sql AS $$
UPDATE account_move SET state = 'posted',
    payment_state = CASE WHEN amount_residual = 0 THEN 'paid' ELSE payment_state END,
    name = CASE move_type WHEN 'out_refund' THEN 'RINV/' || lpad(nextval('fixture.credit_number')::text, 4, '0')
                          ELSE 'INV/' || lpad(nextval('fixture.invoice_number')::text, 4, '0') END
WHERE id = move;
$$;
COMMENT ON FUNCTION fixture.post IS 'posts a draft: it gets its name; one over nothing is paid at once';

CREATE FUNCTION fixture.invoice(order_id int, amount numeric DEFAULT NULL, state text DEFAULT 'posted',
    currency text DEFAULT NULL) RETURNS int
LANGUAGE sql
RETURN fixture.move('out_invoice', ARRAY[order_id],
    ARRAY[coalesce(amount, (SELECT o.amount_total FROM sale_order o WHERE o.id = order_id))], state, currency);
COMMENT ON FUNCTION fixture.invoice IS 'an invoice of one order, over its whole amount unless said otherwise';

/* The reversal wizard copies the sale lines; a credit note made by hand has none. */
CREATE FUNCTION fixture.credit(invoice int, amount numeric DEFAULT NULL, linked bool DEFAULT true,
    state text DEFAULT 'posted') RETURNS int
LANGUAGE sql
RETURN (SELECT fixture.move('out_refund',
    CASE WHEN linked THEN ARRAY[(SELECT min(ol.order_id) FROM account_move_line l
        JOIN sale_order_line_invoice_rel r ON r.invoice_line_id = l.id
        JOIN sale_order_line ol ON ol.id = r.order_line_id WHERE l.move_id = invoice)] ELSE '{}' END,
    ARRAY[coalesce(amount, m.amount_total)], credit.state, c.name::text, invoice)
    FROM account_move m JOIN res_currency c ON c.id = m.currency_id WHERE m.id = invoice);
COMMENT ON FUNCTION fixture.credit IS 'a credit note that reverses an invoice, with or without a link to the order line';

CREATE FUNCTION fixture.receivable(move int) RETURNS int
LANGUAGE sql STABLE
RETURN (SELECT min(l.id) FROM account_move_line l WHERE l.move_id = move AND l.account_id = 1);
COMMENT ON FUNCTION fixture.receivable IS 'the line of a move that is reconciled';

/* Matches two receivable lines: one partial row, then residuals and payment states. */
CREATE FUNCTION fixture.match(debit int, credit int, amount numeric) RETURNS void
LANGUAGE sql AS $$
INSERT INTO account_partial_reconcile (debit_move_id, credit_move_id, amount, debit_amount_currency, credit_amount_currency)
VALUES (fixture.receivable(debit), fixture.receivable(credit), amount, amount, amount);
$$;
COMMENT ON FUNCTION fixture.match IS 'reconciles the receivable lines of two moves for an amount';

CREATE FUNCTION fixture.settle(move int, amount numeric, settled text DEFAULT 'paid') RETURNS void
LANGUAGE sql AS $$
UPDATE account_move SET
    amount_residual = amount_residual - amount,
    payment_state = CASE WHEN amount_residual <= amount THEN settled ELSE 'partial' END
WHERE id = move;
$$;
COMMENT ON FUNCTION fixture.settle IS 'less is open on a move; nothing open any more gives the payment state';
