# Goal: what people do to an order, in Odoo or at the store, between the moments at which it is looked at: each has one
# defined end, and Odoo waits for none of it.
#
# All cases are under way at the same time: each hangs at the request that it
# names until everything has been changed.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $shop = Bcpaid::Shop->new('ends', conf => "bcpaid.request_timeout = '60s'\nbcpaid.idle_timeout = '60s'");
my $node = $shop->{node};
my $either = $shop->another_store('either', "strategy => 'transaction_then_status'");
my $strict = $shop->another_store('strict', undef, second_capture => 'refuse');
my $lost = $shop->another_store('lost');
my ($order, $look, $write) = qw(order_get transactions_get transaction_post);
my $elsewhere = 5000;	# from one remote order to the other

sub columns { my ($case, $columns) = @_; return $shop->sql("SELECT $columns FROM bcpaid.captures WHERE remote_order_id = $case->{number}") }
sub update_order { my ($case, $set) = @_; return $shop->odoo("UPDATE sale_order SET $set WHERE id = $case->{order}") }
sub at_store { my ($case, $method, $path, $data) = @_; return $shop->control($method, "stores/$case->{store}[1]/orders/$case->{number}$path", $data) }

# ---- what people do ----

sub delete_order
{
	my ($case) = @_;
	return $shop->odoo(<<"SQL");
BEGIN;
DELETE FROM sale_order_line_invoice_rel WHERE order_line_id IN (SELECT id FROM sale_order_line WHERE order_id = $case->{order});
DELETE FROM sale_order_line WHERE order_id = $case->{order};
DELETE FROM sale_order WHERE id = $case->{order};
COMMIT;
SQL
}

sub relink
{
	my ($case) = @_;
	my $other = $case->{other} = { name => "$case->{name}: the other", store => $case->{store}, number => $case->{number} + $elsewhere };

	at_store($other, 'PUT', '', { status_id => 7, payment_method => 'Bank Deposit', payment_status => '', total_inc_tax => '69.8400' });
	return update_order($case, "bcpaid_remote_order_id = '$other->{number}'");
}

sub unpay { return $shop->odoo("UPDATE account_move SET payment_state = 'not_paid', amount_residual = amount_total WHERE id = $_[0]{invoice}") }
sub cancel_order { return update_order($_[0], "state = 'cancel'") }
sub remove { return at_store($_[0], 'DELETE', '') }
sub refund { return at_store($_[0], 'PATCH', '', { payment_status => 'refunded' }) }
sub capture_by_hand { return at_store($_[0], 'POST', '/transactions', { event => 'capture', status => 'ok' }) }

my %deleted = (reason => qr/^the order was deleted in Odoo/);
my %cancelled = (%deleted, state => 'cancelled', captures => 0);
my %linked = (reason => qr/^the order is linked to another remote order now/);
my %refused = (state => 'refused', captures => 0);
my %waits = (state => 'waiting', captures => 0);

# `taken`: the store does what the write says, and its answer is lost.  The
# answer to `lost` is lost too, and its change comes when that is known.
my @cases = (
	{ name => 'deleted in Odoo, looked at', at => $look, change => \&delete_order, %cancelled },
	{ name => 'cancelled in Odoo, looked at', at => $look, change => \&cancel_order, %waits, reason => qr/^not eligible any more: link/ },
	{ name => 'deleted at the store, not yet looked at', at => $order, change => \&remove, %refused, reason => qr/does not exist at the store/ },
	{ name => 'refunded at the store, not yet looked at', at => $order, change => \&refund, state => 'not_ours', captures => 0 },

	{ name => 'deleted in Odoo, being sent', at => $write, change => \&delete_order, status => '', %deleted },
	{ name => 'taken back, being sent', at => $write, change => \&unpay, taken_back => 't' },
	{ name => 'linked to another remote order, being sent', at => $write, change => \&relink, %linked },
	{ name => 'refunded at the store, after the look', at => $write, change => \&refund },
	{ name => 'captured by hand at the store, after the look', at => $write, store => $strict, change => \&capture_by_hand, %refused, reason => qr/HTTP 422/ },
	{ name => 'deleted at the store, after the look', at => $write, change => \&remove, %refused, reason => qr/HTTP 404/ },
	{ name => 'deleted at the store, after the look, where there are two ways', at => $write, store => $either, change => \&remove,
		%refused, reason => qr/does not exist at the store/ },

	{ name => 'deleted in Odoo, sent, not known if taken', at => $write, store => $lost, taken => 1, change => \&delete_order, status => '', %deleted },
	{ name => 'taken back, sent, not known if taken', at => $write, store => $lost, taken => 1, change => \&unpay, taken_back => 't' },
	{ name => 'linked to another remote order, sent, not known if taken', at => $write, store => $lost, taken => 1, change => \&relink, %linked },
	{ name => 'deleted in Odoo, sent and lost', at => $write, store => $lost, change => \&delete_order, %cancelled },
	{ name => 'taken back, sent and lost', at => $write, store => $lost, change => \&unpay, %waits, reason => qr/^not eligible any more: settled/ },
	{ name => 'linked to another remote order, sent and lost', at => $write, store => $lost, change => \&relink, state => 'cancelled', captures => 0,
		reason => qr/link to the store was changed/, status => 'Captured' });

# Of a store not met yet nothing is known: one goes ahead.
my @first = map { { name => "the first of $_->[1]", store => $_ } } [ 1, 'demo' ], $either, $strict, $lost;
$shop->place(@first, @cases);
$shop->pay_all(@first);
$shop->come_to_their_end(@first);
$shop->sql("ALTER ROLE odoo SET lock_timeout = '500ms'");	# whatever Odoo does from here on waits for nobody

for my $case (@cases)
{
	$case->{fault} = $shop->fault(do => 'hang', then => $case->{store} == $lost ? 'close' : 'answer', taken => $case->{taken} ? JSON::PP::true : JSON::PP::false,
		match => { call => $case->{at}, store => $case->{store}[1], order => $case->{number} });
}
$shop->pay_all(@cases);
$shop->wait_until('all hang', sub { @{ $shop->control('GET', 'report')->{held} } == @cases });
is(columns($_, 'state'), $_->{at} eq $write ? 'sending' : 'claimed', "$_->{name}: it is under way") for @cases;

# ---- the changes, those of the lost store once it has lost them ----

my @unknown = grep { $_->{store} == $lost } @cases;
my @others = grep { $_->{store} != $lost } @cases;
sub release { return $shop->control('POST', 'release', { fault => $_[0]{fault} }) }
sub judged { return $shop->wait_until('what changed in Odoo is judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' }) }

$shop->odoo("SELECT bcpaid.pause($lost->[0])");
release($_) for @unknown;
$shop->wait_for_state($_->{order}, 'unknown') for @unknown;
$_->{change}->($_) for @cases;
judged();
$shop->configure("bcpaid.request_timeout = '2s'");
release($_) for @others;
$shop->odoo("SELECT bcpaid.resume($lost->[0])");

$shop->come_to_their_end(grep { $_->{change} != \&relink } @cases);
for my $case (grep { $_->{change} == \&relink } @cases)
{
	my $state = $case->{state} || 'applied';
	for ([ $case, $state, $case->{reason} ], [ $case->{other}, 'applied', qr/^$/ ])
	{
		my ($one, $end, $reason) = @$_;
		my $seen = sub { columns($one, "state || ' ' || coalesce(reason, '')") };
		$shop->wait_until("$one->{name} is $end", sub { $seen->() =~ /^$end / }, $seen);
		like(columns($one, "coalesce(reason, '')"), $reason, "$one->{name}: reason");
		is($shop->captures($one->{number}, $one->{store}[1]), $end eq 'applied' ? 1 : 0, "$one->{name}: captured as often as it should be");
	}
	is($shop->status_of($case->{order}), 'Captured', "$case->{name}: Odoo shows that of the new one");
	is(columns($case, 'warning IS NOT NULL'), $state eq 'applied' ? 't' : 'f', "$case->{name}: and a person is told of the old one");
}
is(columns($_, 'taken_back_at IS NOT NULL'), $_->{taken_back} || 'f', "$_->{name}: taken back") for @cases;
is($shop->sql("SELECT no_transactions FROM bcpaid.stores WHERE id = $either->[0]"), 'f', 'an order that is gone says nothing about the ways of its store');

# ---- Odoo edits an order while it is captured, for a minute, and nobody waits ----

use constant A_MINUTE_OF_TRIES => 120;    # one every half second
my $edited = { name => 'edited for a long time' };
my @beside = map { { name => "captured meanwhile, $_" } } 1 .. 20;
my $untouched = { name => 'edited beside it' };
my $odoo = $node->background_psql('odoo', extra_params => [ '-U', 'odoo' ]);
sub edit { my ($text, $case) = @_; return $odoo->query_safe('UPDATE sale_order SET name = \'' . $text . '\' WHERE id = ' . ($case || $edited)->{order}) }

# Makes it due, as half a second later; it was tried once the reason is there again.
sub is_tried
{
	$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp(), reason = NULL WHERE remote_order_id = $edited->{number}; SELECT bcpaid.wake()");
	return $shop->wait_until('it was tried to apply it', sub { columns($edited, "coalesce(reason, '')") eq 'somebody is working on the order in Odoo' });
}

# Whoever waits for a row of Odoo's orders for longer than a moment says so in the log; a worker has no name there.
my $waited = qr/CONTEXT:  while [\w ]+ tuple \S+ in relation "sale_order"/;

$shop->configure('log_lock_waits = on', "deadlock_timeout = '1ms'");
$shop->place($edited, $untouched, @beside);
$odoo->query_safe("SET lock_timeout = '10ms'");
$odoo->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
edit('at first');
$shop->pay_all($edited);
$shop->wait_for_state($edited->{order}, 'captured');
my $tried_from = $shop->log_size;
for my $try (1 .. A_MINUTE_OF_TRIES)
{
	is_tried();
	edit("try $try", $_) for $edited, $untouched;
	$shop->pay_all(@beside) if $try == A_MINUTE_OF_TRIES / 2;
}
$shop->come_to_their_end(@beside);
edit('again');
is(columns($edited, "state || ' ' || failures || ' ' || sends") . $shop->status_of($edited->{order}), 'captured 0 1', 'what Odoo holds for a minute is captured, waits, and nothing has failed');
is($shop->captures($edited->{number}), 1, 'sent once');
my $log = $shop->log_since($tried_from);
unlike($log, qr/\[\d+\] $waited/, 'the worker never queued for the row that Odoo holds');
$shop->try_odoo("SET application_name = queues; SET lock_timeout = '100ms'; UPDATE sale_order SET name = 'x' WHERE id = $edited->{order}");
like($shop->log_since($tried_from + length $log), qr/ queues LOG:  process \d+ still waiting for .* queues $waited/s, 'as the log says of who does');
$odoo->query_safe('COMMIT');
$shop->come_to_their_end($edited);
is(columns($edited, "coalesce(reason, '') || failures"), '0', 'and nothing of it is left');
edit("the ${_}th time") for 1 .. 20;
is($shop->sql("SELECT string_agg(name, ', ' ORDER BY id) FROM sale_order WHERE id IN ($edited->{order}, $untouched->{order})"),
	'the 20th time, try ' . A_MINUTE_OF_TRIES, 'Odoo never waits for us');

# ---- Many orders become free together, and Odoo refuses one of them ----

my ($refused, @free) = map { { name => "free again, $_" } } 1 .. 10;
$shop->configure("bcpaid.retry_base = '10s'", "bcpaid.retry_cap = '10min'");    # so that we see the first refusal before the next try
$shop->place($refused, @free);
$shop->odoo(<<"SQL");
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'not today'; END \$\$;
CREATE TRIGGER refuse BEFORE UPDATE OF bcpaid_payment_status ON sale_order FOR EACH ROW WHEN (NEW.id = $refused->{order}) EXECUTE FUNCTION refuse();
SQL
$odoo->query_safe('BEGIN');
edit('held', $_) for $refused, @free;
$shop->pay_all($refused, @free);
$shop->wait_for_state($_->{order}, 'captured') for $refused, @free;
$odoo->query_safe('COMMIT');
# What the worker tried already, since the commit, is not to be tried again.
$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp() WHERE state = 'captured' AND failures = 0; SELECT bcpaid.wake()");
$shop->come_to_their_end(@free);
$shop->wait_until('one is refused', sub { columns($refused, 'failures') > 0 });
like(columns($refused, "state || ' ' || failures || ' ' || reason"), qr/^captured 1 Odoo refused the status: .*not today/, 'a refused one is shown, and has failed once, however often its row was held');
is(columns($refused, "due < clock_timestamp() + 8 * 1.25 * interval '" . $shop->sql('SHOW bcpaid.retry_base') . "'"), 't', 'so it is tried again soon');
$shop->odoo('DROP TRIGGER refuse ON sale_order');
$shop->sql("UPDATE bcpaid.capture SET due = clock_timestamp() WHERE state = 'captured'; SELECT bcpaid.wake()");
$shop->come_to_their_end($refused);

$odoo->quit;

my $report = $shop->control('GET', 'report');
my ($refunded) = grep { $_->{change} == \&refund && $_->{at} eq $write } @cases;
is(join(' ', map { "$_->{why}: $_->{order}" } @{ $report->{doubles} }), "was paid already: $refunded->{number}", 'nothing was captured twice, nor refunded before, but in that very moment');
is_deeply($report->{violations}, [], 'every request was as the schema wants it');
$shop->stop;
done_testing();
