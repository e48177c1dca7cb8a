/* Cases that only an Odoo 18 or 19 knows: payments without a journal entry. */
\o /dev/null
SELECT fixture.expect('no entry: 40 of 100', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 40) p;
SELECT fixture.expect('no entry: 40, then 60', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 40) p, fixture.pay_without_entry(ARRAY[i], 60) q;
SELECT fixture.expect('no entry: 98, the write-off leaves 2', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 98) p;
SELECT fixture.expect('no entry: a payment in another currency', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 100, 'EUR') p;
SELECT fixture.expect('no entry: one payment for two invoices', 'yes', o, 100)
FROM fixture.sale() o, fixture.invoice(o, 60) i, fixture.invoice(o, 40) j, fixture.pay_without_entry(ARRAY[i, j], 100) p;
SELECT fixture.expect('no entry: too little for two invoices', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o, 60) i, fixture.invoice(o, 40) j, fixture.pay_without_entry(ARRAY[i, j], 90) p;
SELECT fixture.expect('no entry: the bank line of the 40 is not another 40', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 40) p, fixture.pay_without_entry(ARRAY[i], 20) q,
    fixture.bank(i, 40, 'in_payment') b, fixture.invoice_state(o, 'in_payment') s
WHERE b IS NOT NULL;
SELECT fixture.expect('no entry: cancelled', 'settled', o)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay_without_entry(ARRAY[i], 100) p
WHERE fixture.set_payment(p, 'canceled') IS NOT NULL;
SELECT fixture.expect('no entry: credit note of 30 paid out', 'hand', o, 70)
FROM fixture.sale() o, fixture.invoice(o) i, fixture.pay(i) p, fixture.credit(i, 30) c, fixture.pay_without_entry(ARRAY[c], 30) q;
\o
