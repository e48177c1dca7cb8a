# A server with Odoo's tables and bcpaid, and a sandbox store beside it.
#
#     my $shop  = Bcpaid::Shop->new('name');
#     my $order = $shop->paid_order(69.84, 218);
#     $shop->wait_for_state($order, 'applied');
#     is($shop->captures(218), 1);
#
# The store's process ends with the test, whatever happens: it watches its
# standard input.  Every wait is for a condition, named in its failure.

package Bcpaid::Shop;

use strict;
use warnings FATAL => 'all';

use File::Basename qw(dirname);
use HTTP::Tiny;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $here = dirname(dirname(dirname(__FILE__)));
my $json = JSON::PP->new->utf8->allow_nonref->canonical;
# script/check's tools slow everything down: every wait is longer by as much, and so are the times that bcpaid gives a store.
my $slower = $ENV{BCPAID_SLOWER} || 1;

# Options: conf (lines for postgresql.conf), shape (odoo19 or odoo14),
# attach => 0, store => 0 (settings in place of the store "demo").
sub new
{
	my ($class, $name, %options) = @_;
	my $self = bless { name => $name, dbname => 'odoo', timeout => 60, %options }, $class;
	$self->{timeout} *= $slower;

	$self->start_store;
	$self->start_server;
	$self->make_database($self->{dbname}) unless $options{no_database};
	return $self;
}

sub start_store
{
	my ($self) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir;
	my $ready = "$directory/ready";

	open($self->{store}, '|-', 'python3', "$here/store.py", '--tls-dir', $directory,
		'--ready-file', $ready, '--exit-with-stdin')
	  or die "could not start the sandbox store: $!";
	$self->wait_until('the sandbox store is ready', sub { -s $ready });
	for (split /\n/, PostgreSQL::Test::Utils::slurp_file($ready))
	{
		my ($key, $value) = split /=/, $_, 2;
		$self->{"store_$key"} = $value;
	}
	$self->control('PUT', 'stores/demo', { token => 'demo-token', plan => 'unlimited' });
	return;
}

sub start_server
{
	my ($self) = @_;
	my $node = PostgreSQL::Test::Cluster->new($self->{name});
	my $conf = $self->{conf} || '';

	$conf =~ s/^(bcpaid\.request_timeout = ')(\d+(?=ms)|\d(?=s))/$1 . $2 * $slower/gem;    # 60 s are enough
	$node->init(allows_streaming => 1, extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'bcpaid'
bcpaid.allowed_hosts = 'localhost:$self->{store_port}'
bcpaid.ca_file = '$self->{store_ca}'
bcpaid.settle_time = '200ms'
bcpaid.request_timeout = '@{[2 * $slower]}s'
bcpaid.connect_timeout = '@{[5 * $slower]}s'
bcpaid.retry_base = '50ms'
bcpaid.retry_cap = '500ms'
max_prepared_transactions = 10
$conf
CONF
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE odoo LOGIN CREATEDB');
	$self->{node} = $node;
	return;
}

# `how`: more words for CREATE DATABASE.
sub make_database
{
	my ($self, $name, $how) = @_;
	my $shape = $self->{shape} || 'odoo19';

	$self->{node}->safe_psql('postgres', "CREATE DATABASE $name OWNER odoo " . ($how || ''));
	$self->odoo_file("$here/shape/$shape.sql", $name);
	$self->odoo_file("$here/shape/$_.sql", $name) for qw(fixtures fixtures-payments);
	return if defined $self->{attach} && !$self->{attach};

	$self->odoo(<<'SQL', dbname => $name);
SET client_min_messages = error;
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach();
SELECT bcpaid.set_store(name => 'demo', hash => 'demo', mark_order_as_paid => true);
COPY bcpaid.token_inbox FROM STDIN;
1	demo-token
\.
SQL
	return;
}

sub odoo_file
{
	my ($self, $file, $dbname) = @_;
	return $self->odoo(PostgreSQL::Test::Utils::slurp_file($file), dbname => $dbname);
}

# SQL as Odoo's role; dies on an error.
sub odoo
{
	my ($self, $sql, %options) = @_;
	return $self->{node}->safe_psql($options{dbname} || $self->{dbname}, $sql,
		extra_params => [ '-U', 'odoo' ], timeout => 120 * $slower);
}

# The same, but the error is the result: (exit code, output, messages).
sub try_odoo
{
	my ($self, $sql, %options) = @_;
	return $self->{node}->psql($options{dbname} || $self->{dbname}, $sql,
		extra_params => [ '-U', $options{user} || 'odoo' ], timeout => 120 * $slower,
		on_error_stop => 1);
}

sub sql
{
	my ($self, $sql, %options) = @_;
	return $self->{node}->safe_psql($options{dbname} || $self->{dbname}, $sql);
}

# The sandbox store's control API; dies on a refusal or after a wait in vain, returns the decoded answer.
sub control
{
	my ($self, $method, $path, $data) = @_;

	$data = { %$data, timeout_ms => ($data->{timeout_ms} // 30_000) * $slower } if $path eq 'wait';
	my $answer = HTTP::Tiny->new(timeout => 90 * $slower)->request($method,
		"$self->{store_control}/$path",
		defined $data ? { content => $json->encode($data) } : {});

	die "sandbox: $method $path: $answer->{status} $answer->{content}" unless $answer->{success};
	my $decoded = $json->decode($answer->{content});

	die 'sandbox: waited in vain for ' . $json->encode($data) . ": $answer->{content}" if $path eq 'wait' && !$decoded->{met};
	return $decoded;
}

# A remote order, waiting for its offline payment.
sub remote_order
{
	my ($self, $remote, $total, %members) = @_;
	return $self->control('PUT', "stores/" . ($self->{hash} || 'demo') . "/orders/$remote",
		{ status_id => 7, payment_method => 'Bank Deposit', payment_status => '',
			total_inc_tax => sprintf('%.4f', $total), %members });
}

# An order in Odoo, invoiced and open, linked to a remote order of the same
# total; returns the order's and the invoice's id.
sub open_order
{
	my ($self, $total, $remote, %options) = @_;

	$self->remote_order($remote, $total, %{ $options{remote} || {} });
	my $ids = $self->odoo("SELECT o, fixture.invoice(o) FROM fixture.order($total, '$remote') o", %options);
	return split /\|/, $ids;
}

# The same, with its payment registered as Odoo does; returns the order's id.
sub paid_order
{
	my ($self, $total, $remote, %options) = @_;
	my ($order, $invoice) = $self->open_order($total, $remote, %options);

	$self->pay($invoice, %options);
	return $order;
}

sub pay
{
	my ($self, $invoice, %options) = @_;
	return $self->odoo(<<"SQL", %options);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT fixture.pay($invoice);
COMMIT;
SQL
}

# One more store, with its own hash, token and settings, at the sandbox and in
# bcpaid; returns its id and hash.
sub another_store
{
	my ($self, $name, $settings, %sandbox) = @_;
	$self->control('PUT', "stores/$name", { token => "$name-token", plan => 'unlimited', %sandbox });
	my $id = $self->odoo("SET client_min_messages = error;\nSELECT bcpaid.set_store(name => '$name', hash => '$name', mark_order_as_paid => true"
		  . ($settings ? ", $settings" : '') . ')');
	$self->odoo("COPY bcpaid.token_inbox FROM STDIN;\n$id\t$name-token\n\\.\n");
	return [ $id, $name ];
}

# ---- many orders side by side: one after the other would take too long ----

# A case is a hash: name, total (69.84), currency (USD), lines (1), store (its
# id and hash: [ 1, 'demo' ]) and remote (the members of the order at the store,
# null: there is none).  Each gets a remote order of its own, `number`, and an
# order in Odoo, invoiced and open: `order` and `invoice`.
sub place
{
	my ($self, @cases) = @_;
	my $sql = '';

	for my $case (@cases)
	{
		$case->{store} ||= [ 1, 'demo' ];
		$case->{number} = $self->{last_number} = ($self->{last_number} || 1000) + 1;
		$case->{total} //= '69.84';
		$self->control('PUT', "stores/$case->{store}[1]/orders/$case->{number}",
			{ status_id => 7, payment_method => 'Bank Deposit', payment_status => '',
				total_inc_tax => sprintf('%.4f', $case->{total}), %{ $case->{remote} || {} } })
		  unless $case->{nowhere};
		$sql .= "SELECT o, fixture.invoice(o) FROM fixture.order($case->{total}, '$case->{number}',"
		  . " $case->{store}[0], '" . ($case->{currency} || 'USD') . "', 'sale', " . ($case->{lines} || 1) . ") o;\n";
	}
	my @ids = split /\n/, $self->odoo($sql);
	($_->{order}, $_->{invoice}) = split /\|/, shift @ids for @cases;
	return;
}

# Each in a transaction of its own, as accountants do.
sub pay_all
{
	my ($self, @cases) = @_;
	$self->odoo(join '', map { "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT fixture.pay($_->{invoice}); COMMIT;\n" } @cases);
	return;
}

# What each case expects: state (applied), reason (a pattern), captures at the
# store (1), status in Odoo (Captured for applied, else none).
sub come_to_their_end
{
	my ($self, @cases) = @_;
	my $seen;

	eval {
		$self->wait_until('all cases have come to their end', sub {
			$seen = $self->captures_of(@cases);
			!grep { !is_at_its_end($_, $seen->{ $_->{order} }) } @cases });
		1;
	} or diag $@;
	$self->count_captures($seen);
	$self->has_ended($_, $seen->{ $_->{order} }) for @cases;
	return;
}

# By order: what stands in the ledger and in Odoo.
sub captures_of
{
	my ($self, @cases) = @_;
	my $rows = $json->decode($self->sql(<<"SQL"));
SELECT coalesce(jsonb_agg(to_jsonb(c) || jsonb_build_object('reason', coalesce(c.reason, ''),
           'status', coalesce((SELECT o.bcpaid_payment_status FROM sale_order o WHERE o.id = c.order_id), ''))), '[]')
  FROM bcpaid.captures c WHERE c.order_id IN (@{[join ',', map { $_->{order} } @cases]})
SQL
	return { map { $_->{order_id} => $_ } @$rows };
}

sub count_captures
{
	my ($self, $seen) = @_;
	my %count = map { ("$_->{store}/$_->{order}" => $_->{count}) } @{ $self->control('GET', 'captures')->{orders} };

	$_->{count} = $count{"$_->{store_hash}/$_->{remote_order_id}"} || 0 for values %$seen;
	return;
}

# What waits may do so for several reasons in turn; it is the last that counts.
sub is_at_its_end
{
	my ($case, $seen) = @_;
	my $state = $case->{state} || 'applied';
	return $seen && $seen->{state} eq $state && ($state ne 'waiting' || $seen->{reason} =~ ($case->{reason} || qr//));
}

sub has_ended
{
	my ($self, $case, $seen) = @_;
	my $state = $case->{state} || 'applied';
	my %expected = (captures => $state eq 'applied' ? 1 : 0, status => $state eq 'applied' ? 'Captured' : '', %$case);

	$seen ||= { state => 'none', count => 'no', status => '?', reason => '' };
	is("$seen->{state}, $seen->{count} captures, status '$seen->{status}'",
		"$state, $expected{captures} captures, status '$expected{status}'", $case->{name}) or diag $seen->{reason};
	like($seen->{reason}, $case->{reason}, "$case->{name}: reason") if $case->{reason};
	return;
}

sub state_of
{
	my ($self, $order, %options) = @_;
	return $self->sql("SELECT state FROM bcpaid.capture WHERE order_id = $order", %options);
}

sub reason_of
{
	my ($self, $order, %options) = @_;
	return $self->sql("SELECT coalesce(reason, '') FROM bcpaid.capture WHERE order_id = $order", %options);
}

sub status_of
{
	my ($self, $order, %options) = @_;
	return $self->sql("SELECT coalesce(bcpaid_payment_status, '') FROM sale_order WHERE id = $order", %options);
}

sub wait_for_state
{
	my ($self, $order, $state, %options) = @_;
	my $seen = '';

	$self->wait_until("order $order is $state (" . ($options{because} || '') . ')',
		sub { ($seen = $self->state_of($order, %options)) =~ /^(?:$state)$/ }, sub { "it is '$seen': " . $self->reason_of($order, %options) });
	return $seen;
}

# Everything that was enqueued has come to its end.
sub wait_until_quiet
{
	my ($self, %options) = @_;
	$self->wait_until('nothing is due any more', sub {
		$self->sql(<<'SQL', %options) eq '0' });
SELECT (SELECT count(*) FROM bcpaid.candidate)
     + (SELECT count(*) FROM bcpaid.capture
         WHERE state IN ('queued', 'claimed', 'sending', 'captured', 'unknown')
            OR (state = 'waiting' AND due < 'infinity'))
SQL
	return;
}

# Lines for postgresql.conf, which whoever comes from now on knows, and the worker before what they do.
sub configure
{
	my ($self, @lines) = @_;
	my $loaded = $self->sql('SELECT pg_conf_load_time()');

	$self->{node}->append_conf('postgresql.conf', join "\n", @lines);
	$self->{node}->reload;
	$self->wait_until('the server was reloaded', sub { $self->sql("SELECT pg_conf_load_time() > '$loaded'") eq 't' });
	return;
}

sub wait_until
{
	my ($self, $what, $condition, $describe) = @_;
	my $deadline = time + $self->{timeout};

	until ($condition->())
	{
		die "timed out waiting until $what" . ($describe ? ': ' . $describe->() : '')
		  if time > $deadline;
		sleep 0.02;
	}
	return;
}

# How often the remote order was captured at the store, as the store knows it.
sub captures
{
	my ($self, $remote, $store) = @_;
	my $report = $self->control('GET', 'captures?store=' . ($store || 'demo') . "&order=$remote");
	return $report->{total};
}

sub fault
{
	my ($self, %fault) = @_;
	return $self->control('POST', 'faults', \%fault)->{id};
}

# To be the last assertion of every test that met the store.
sub store_is_content
{
	my ($self) = @_;
	my $report = $self->control('GET', 'report');

	is_deeply($report->{doubles}, [], 'no order was captured twice');
	is_deeply($report->{violations}, [], 'every request was as the schema wants it');
	return;
}

sub log_since
{
	my ($self, $offset) = @_;
	return PostgreSQL::Test::Utils::slurp_file($self->{node}->logfile, $offset || 0);
}

sub log_size
{
	my ($self) = @_;
	return -s $self->{node}->logfile;
}

sub stop
{
	my ($self) = @_;
	$self->{node}->stop('fast') if $self->{node};
	close $self->{store} if $self->{store};
	return;
}

1;
