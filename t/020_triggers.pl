# Goal: every event after which an order may be payable is noted, exactly, and leads to a capture; nothing else is noted.
#
# The library is not preloaded here: triggers note, and nobody reads, so that
# the notes can be compared one by one.  What a worker would do with them is
# then done by hand, by the function that the worker calls.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('triggers', no_database => 1,
	conf => "shared_preload_libraries = ''\nautovacuum = off");
my %database = (19 => 'odoo', 14 => 'odoo14');

for my $shape (19, 14)
{
	$shop->{shape} = "odoo$shape";
	$shop->make_database($database{$shape});
	$shop->odoo(<<'SQL', dbname => $database{$shape});
CREATE SEQUENCE fixture.remote START 1000;
CREATE FUNCTION fixture.next_remote() RETURNS text LANGUAGE sql RETURN nextval('fixture.remote')::text;
SET client_min_messages = error;
SELECT bcpaid.set_store(name => 'strict', hash => 'strict', mark_order_as_paid => true, payment_states => '{paid}');
SQL
}

# One transaction of Odoo's, for the order :o with the line :l.  `setup` comes
# before it, and its notes are taken away.  `notes` are what the event left:
# kind and id, the latter as a psql variable that setup or event has set.
# Then the order is captured, or with captured => 0 it is not; it never was
# before, so that it is this event that led to the capture.
sub event
{
	my ($name, %case) = @_;
	my $expected = $case{captured} // 1;

	for my $shape (@{ $case{shapes} || [ 19, 14 ] })
	{
		my %got = run_case($database{$shape}, %case);

		is("$got{error}; notes: $got{notes}; captures: $got{before}, then $got{after}",
			'; notes: ' . join(' ', sort split / /, $got{expected}) . "; captures: 0, then $expected",
			"$name ($shape)");
	}
	return;
}

sub run_case
{
	my ($database, %case) = @_;
	my ($code, $out, $error) = $shop->{node}->psql($database, <<"SQL");
SET ROLE odoo;
SELECT fixture.order(100, fixture.next_remote()) AS o \\gset
SELECT min(id) AS l FROM sale_order_line WHERE order_id = :o \\gset
@{[$case{setup} || '']}
RESET ROLE;
SELECT bcpaid.queue_take_candidates(100000) AS nothing \\gset
SELECT 'before=' || count(*) FROM bcpaid.capture WHERE order_id = :o;
DISCARD ALL;
SET ROLE odoo;
BEGIN ISOLATION LEVEL REPEATABLE READ;
$case{event}
COMMIT;
RESET ROLE;
SELECT 'notes=' || coalesce(string_agg(DISTINCT kind::text || ref, ' ' ORDER BY kind::text || ref), '') FROM bcpaid.candidate;
\\echo expected=$case{notes}
SELECT bcpaid.queue_take_candidates(100000) AS nothing \\gset
SELECT 'after=' || count(*) FROM bcpaid.capture WHERE order_id = :o AND origin = 'payment';
SQL
	return (before => '-', notes => '-', expected => '', after => '-', $out =~ /^(\w+)=(.*)$/mg, error => $error);
}

my $invoice = 'SELECT fixture.invoice(:o) AS i \gset';
my $paid = "$invoice\nSELECT fixture.pay(:i) AS p \\gset";

# ---- payments and what settles an invoice without one ----

event 'payment by the wizard', setup => $invoice,
  event => 'SELECT fixture.pay(:i) AS p \gset', notes => 'm:i p:p';
event 'first of two part payments', setup => $invoice,
  event => 'SELECT fixture.pay(:i, 40) AS p \gset', notes => 'm:i p:p', captured => 0;
event 'second of two part payments', setup => "$invoice\nSELECT fixture.pay(:i, 40);",
  event => 'SELECT fixture.pay(:i) AS p \gset', notes => 'm:i p:p';
event 'two invoices settled by one statement', setup => 'SELECT fixture.invoice(:o, 60) AS i, fixture.invoice(:o, 40) AS j \gset',
  event => "UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id IN (:i, :j);", notes => 'm:i m:j';
event 'bank statement line, no payment at all', setup => $invoice,
  event => 'SELECT fixture.bank(:i);', notes => 'm:i';
event 'outstanding credit, assigned later', setup => "$invoice\nSELECT fixture.entry(100, 1, true) AS entry \\gset",
  event => 'SELECT fixture.match(:i, :entry, 100), fixture.settle(:i, 100);', notes => 'm:i';
event 'payment of a draft invoice', setup => "SELECT fixture.invoice(:o, NULL, 'draft') AS i \\gset",
  event => 'SELECT fixture.pay(:i) AS p \gset', notes => 'm:i p:p', captured => 0;
event 'posting of a draft invoice that was paid', setup => "SELECT fixture.invoice(:o, NULL, 'draft') AS i \\gset\nSELECT fixture.pay(:i);",
  event => "UPDATE account_move SET state = 'posted' WHERE id = :i;", notes => 'm:i';
event 'in_payment becomes paid, nothing else',
  setup => "UPDATE sale_order SET bcpaid_store_id = 2 WHERE id = :o;\n$invoice\nSELECT fixture.pay(:i, NULL, 'in_payment');",
  event => "UPDATE account_move SET payment_state = 'paid' WHERE id = :i;", notes => 'm:i';
event 'the rest is settled, payment_state stays in_payment',
  setup => "$invoice\nUPDATE account_move SET payment_state = 'in_payment', amount_residual = 60 WHERE id = :i;",
  event => 'UPDATE account_move SET amount_residual = 0 WHERE id = :i;', notes => 'm:i';
event 'payment taken back', setup => $invoice . "\nSELECT fixture.pay(:i, 40) AS p \\gset",
  event => 'SELECT fixture.unpay(:p);', notes => 'm:i', captured => 0, shapes => [14];
event 'payment taken back', setup => $invoice . "\nSELECT fixture.pay(:i, 40) AS p \\gset",
  event => 'SELECT fixture.unpay(:p);', notes => 'm:i p:p', captured => 0, shapes => [19];

# ---- payments without a journal entry: Odoo 18 and later, Enterprise ----

my $part = "$invoice\nSELECT fixture.pay_without_entry(ARRAY[:i], 40) AS first \\gset";
my $other = "INSERT INTO account_payment (state, payment_type, partner_type, amount, currency_id)
VALUES ('in_process', 'inbound', 'customer', 60, 1) RETURNING id AS p \\gset";
my $link = 'INSERT INTO account_move__account_payment VALUES (:i, :p);';

event 'part payment that shows in_payment', setup => $invoice, shapes => [19],
  event => 'SELECT fixture.pay_without_entry(ARRAY[:i], 40) AS p \gset', notes => 'm:i p:p', captured => 0;
event 'second payment in process', setup => $part, shapes => [19],
  event => 'SELECT fixture.pay_without_entry(ARRAY[:i], 60) AS p \gset', notes => 'm:i p:p';
event 'nothing but the link of a payment to its invoice', setup => "$part\n$other", shapes => [19],
  event => $link, notes => 'm:i';
event 'nothing but the state of a payment', shapes => [19],
  setup => "$part\n$other\n$link\nUPDATE account_payment SET state = 'draft' WHERE id = :p;",
  event => "UPDATE account_payment SET state = 'in_process' WHERE id = :p;", notes => 'p:p';
event 'nothing but the amount of a payment', setup => $part, shapes => [19],
  event => 'UPDATE account_payment SET amount = 100 WHERE id = :first;', notes => 'p:first';
event 'nothing but the entry of a payment', shapes => [19],
  setup => "$part\nSELECT fixture.entry(40, 1, true) AS entry \\gset",
  event => 'UPDATE account_payment SET move_id = :entry WHERE id = :first;', notes => 'p:first', captured => 0;
event 'a payment loses its invoice', setup => $part, shapes => [19],
  event => 'DELETE FROM account_move__account_payment WHERE payment_id = :first;', notes => 'm:i', captured => 0;
event 'a payment is deleted', setup => $part, shapes => [19],
  event => 'DELETE FROM account_payment WHERE id = :first;', notes => 'm:i', captured => 0;

# ---- down payments ----

my $down = "SELECT fixture.invoice(:o) AS d \\gset
UPDATE sale_order SET invoice_status = 'to invoice' WHERE id = :o;\nSELECT fixture.pay(:d);";
my $final = "INSERT INTO account_move (state, move_type, payment_state, currency_id, amount_total, amount_residual)
VALUES ('draft', 'out_invoice', 'not_paid', 1, 0, 0) RETURNING id AS i \\gset
INSERT INTO account_move_line (move_id, account_id, display_type, currency_id, balance, price_total)
VALUES (:i, 2, 'product', 1, 0, 0) RETURNING id AS il \\gset
INSERT INTO sale_order_line_invoice_rel (invoice_line_id, order_line_id) VALUES (:il, :l);
UPDATE sale_order SET invoice_status = 'invoiced' WHERE id = :o;";

event 'zero final invoice after a down payment of all, as a draft', setup => $down,
  event => $final, notes => 'o:o', captured => 0;
event 'zero final invoice after a down payment of all, posted', setup => "$down\n$final",
  event => 'SELECT fixture.post(:i);', notes => 'm:i';
event 'zero final invoice, made and posted at once', setup => $down,
  event => "$final\nSELECT fixture.post(:i);", notes => 'm:i o:o';
event 'final invoice over the rest', setup => "SELECT fixture.invoice(:o, 30) AS d \\gset\nSELECT fixture.pay(:d);\nSELECT fixture.invoice(:o, 70) AS i \\gset",
  event => 'SELECT fixture.pay(:i) AS p \gset', notes => 'm:i p:p';

# ---- drafts and credit notes that go away ----

my $draft = "$paid\nSELECT fixture.invoice(:o, 10, 'draft') AS i \\gset";
my $pre = "$invoice\nSELECT fixture.credit(:i, 10, %s, 'draft') AS c \\gset\nSELECT fixture.pay(:i);";
my $linked = sprintf $pre, 'true';
my $unlinked = sprintf $pre, 'false';

event 'a draft invoice is deleted', setup => "SELECT fixture.invoice(:o, 10, 'draft') AS d \\gset\n$paid",
  event => 'DELETE FROM account_move WHERE id = :d;', notes => 'l:l';
event 'a draft invoice is deleted by its lines, as Odoo does', setup => "SELECT fixture.invoice(:o, 10, 'draft') AS d \\gset\n$paid",
  event => "DELETE FROM account_move_line WHERE move_id = :d;\nDELETE FROM account_move WHERE id = :d;", notes => 'l:l';
event 'a draft invoice is cancelled', setup => "SELECT fixture.invoice(:o, 10, 'draft') AS d \\gset\n$paid",
  event => "UPDATE account_move SET state = 'cancel' WHERE id = :d;", notes => 'm:d';
event 'a draft credit note is deleted', setup => $linked,
  event => 'DELETE FROM account_move WHERE id = :c;', notes => 'l:l m:i';
event 'a draft credit note without sale line is deleted', setup => $unlinked,
  event => 'DELETE FROM account_move WHERE id = :c;', notes => 'm:i';
event 'a draft credit note without sale line is cancelled', setup => $unlinked,
  event => "UPDATE account_move SET state = 'cancel' WHERE id = :c;", notes => 'm:c';
event 'the rest is settled by a credit note', setup => "$invoice\nSELECT fixture.pay(:i, 60);\nSELECT fixture.credit(:i, 40, false) AS c \\gset",
  event => 'SELECT fixture.apply_credit(:i, :c);', notes => 'm:c m:i';

# ---- the order's side ----

for my $case (
	[ 'invoice_status becomes invoiced', 'invoice_status', "'upselling'", "'invoiced'" ],
	[ 'the order is confirmed', 'state', "'sent'", "'sale'" ],
	[ 'the link is set later', 'bcpaid_remote_order_id', 'NULL', 'fixture.next_remote()' ],
	[ 'the link is set in place of 0', 'bcpaid_remote_order_id', "'0'", 'fixture.next_remote()' ],
	[ 'the store is set later', 'bcpaid_store_id', 'NULL', '1' ],
	[ 'the status is no longer Refunded', 'bcpaid_payment_status', "'Refunded'", "'Pending'" ],
	[ 'the status is emptied', 'bcpaid_payment_status', "'Captured'", 'NULL' ])
{
	my ($name, $column, $before, $after) = @$case;

	event $name, event => "UPDATE sale_order SET $column = $after WHERE id = :o;", notes => 'o:o',
	  setup => "$invoice\nUPDATE sale_order SET invoice_status = 'invoiced' WHERE id = :o;
UPDATE sale_order SET $column = $before WHERE id = :o;\nSELECT fixture.pay(:i);";
}

# ---- how it may be sent ----

event 'by a prepared statement', setup => $invoice,
  event => "PREPARE settle (int) AS UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = \$1;\nEXECUTE settle (:i);",
  notes => 'm:i';
event 'by MERGE', setup => $invoice, event => "MERGE INTO account_move m USING (SELECT :i AS id) s ON s.id = m.id
WHEN MATCHED THEN UPDATE SET payment_state = 'paid', amount_residual = 0;", notes => 'm:i';
event 'by an upsert', setup => $invoice, event => "INSERT INTO account_move (id, state, move_type, currency_id)
VALUES (:i, 'posted', 'out_invoice', 1) ON CONFLICT (id) DO UPDATE SET payment_state = 'paid', amount_residual = 0;", notes => 'm:i';
event 'by COPY', setup => "$part\n$other", shapes => [19],
  event => "\\set copy 'COPY account_move__account_payment FROM PROGRAM ''echo ' :i ' ' :p ''' DELIMITER '' '''\nRESET ROLE;\n:copy;", notes => 'm:i';
event 'in a deferred trigger of somebody else', setup => "$invoice
CREATE FUNCTION fixture.settle_late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE account_move SET payment_state = ''paid'', amount_residual = 0 WHERE id = NEW.id; RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER UPDATE OF ref ON account_move DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fixture.settle_late();",
  event => "UPDATE account_move SET ref = 'late' WHERE id = :i;", notes => 'm:i';
event 'read-only from then on', setup => $invoice,
  event => "SELECT fixture.pay(:i) AS p \\gset\nSET TRANSACTION READ ONLY;", notes => 'm:i p:p';
event 'serializable', setup => $invoice,
  event => "COMMIT;\nBEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT fixture.pay(:i) AS p \\gset", notes => 'm:i p:p';

# ---- what is none of ours ----

my $bill = 'SELECT fixture.move(\'in_invoice\', \'{}\', \'{100}\') AS b \gset';

for my $case (
	[ 'a vendor bill, made, posted, paid', '', "$bill\nSELECT fixture.settle(:b, 100);\nDELETE FROM account_move WHERE id = :b;" ],
	[ 'a vendor refund', '', "SELECT fixture.move('in_refund', '{}', '{100}') AS b \\gset\nSELECT fixture.settle(:b, 100);" ],
	[ 'a journal entry', '', "SELECT fixture.entry(100, 1, true) AS e \\gset\nUPDATE account_move SET state = 'draft', payment_state = 'paid' WHERE id = :e;\nDELETE FROM account_move WHERE id = :e;" ],
	[ 'a payment to a vendor', '', "SELECT fixture.entry(9, 1, true) AS e \\gset\nINSERT INTO account_payment (move_id, payment_type, partner_type STATE) VALUES (:e, 'outbound', 'supplier' PAID);" ],
	[ 'a payment from a vendor', '', "SELECT fixture.entry(9, 1, true) AS e \\gset\nINSERT INTO account_payment (move_id, payment_type, partner_type STATE) VALUES (:e, 'inbound', 'supplier' PAID);" ],
	[ 'a payment to a customer', '', "SELECT fixture.entry(9, 1, true) AS e \\gset\nINSERT INTO account_payment (move_id, payment_type, partner_type STATE) VALUES (:e, 'outbound', 'customer' PAID);" ],
	[ 'other columns of an invoice', $invoice, "UPDATE account_move SET partner_id = 7, write_date = now(), state = state, payment_state = payment_state WHERE id = :i;" ],
	[ 'other columns of an order', '', "UPDATE sale_order SET write_date = now(), partner_id = 7, invoice_status = invoice_status WHERE id = :o;" ],
	[ 'other columns of a payment', "$invoice\nSELECT fixture.pay(:i, 40) AS p \\gset", "UPDATE account_payment SET is_matched = true, write_date = now() WHERE id = :p;" ],
	[ 'an invoice that is not deleted, but its receivable line is', $invoice, 'DELETE FROM account_move_line WHERE id = fixture.receivable(:i);' ],
	[ 'a new order', '', "INSERT INTO sale_order (name, state, invoice_status) VALUES ('x', 'sale', 'invoiced') RETURNING id AS x \\gset\nDELETE FROM sale_order WHERE id = :x;" ])
{
	my ($name, $setup, $event) = @$case;

	for my $shape (19, 14)
	{
		(my $sql = $event) =~ s/( STATE| PAID)/$shape == 14 ? '' : $1 eq ' STATE' ? ', state' : ", 'paid'"/ge;
		event $name, setup => $setup, event => $sql, notes => '', captured => 0, shapes => [$shape];
	}
}

# From the row of the link alone nobody can tell: the one note that leads nowhere.
event 'the payment of a vendor bill', setup => $bill, event => 'SELECT fixture.pay(:b);', notes => 'm:b', captured => 0, shapes => [19];
event 'the payment of a vendor bill', setup => $bill, event => 'SELECT fixture.pay(:b);', notes => '', captured => 0, shapes => [14];

event 'TRUNCATE of what was noted', setup => $invoice, notes => 'm:i p:p', captured => 0,
  event => "SELECT fixture.pay(:i) AS p \\gset\nSET LOCAL client_min_messages = error;\nTRUNCATE sale_order, account_move, account_payment CASCADE;";

$shop->stop;
done_testing();
