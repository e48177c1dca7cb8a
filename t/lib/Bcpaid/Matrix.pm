# The crash matrix: everything that can die, at every place where it can.
#
# A cell is a place at which something happens: a stop point (src/stop.h), or a
# request that hangs at the store.  Each cell has a database of its own, so that
# all of them can be at their places when a fault comes, which is a round.  Until
# the test has looked at the ledger the next worker waits before its first step.
#
#     my $matrix = Bcpaid::Matrix->new('name', 'lines for postgresql.conf', cells_of(crash_table(), \%places));
#     $matrix->round(@$_) for $matrix->faults;
#     $matrix->end;

package Bcpaid::Matrix;

use strict;
use warnings FATAL => 'all';

use Bcpaid::Cells;
use Bcpaid::Shop;
use Bcpaid::Stops;
use Exporter qw(import);
use IPC::Run ();
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(server_is_back);
our $SETTLE_S = 0.5;

# Databases for the cells are copies of one that has met its store.  All must hang before the first request is given up.
sub new
{
	my ($class, $name, $conf, @cells) = @_;
	my $shop = Bcpaid::Shop->new($name, conf => <<"CONF");
max_connections = 80
max_worker_processes = 50
bcpaid.max_workers = 40
bcpaid.idle_timeout = 0
bcpaid.settle_time = '${SETTLE_S}s'
restart_after_crash = on
CONF
	my $self = bless { shop => $shop, stops => Bcpaid::Stops->new($shop), cells => \@cells, number => 2000 }, $class;    # of the last remote order
	my $began = time;
	my $order = $shop->paid_order(10, 1);

	$shop->wait_for_state($order, 'applied');
	my $timeout_ms = int(1000 * max(4, 10 * (time - $began)));
	$self->{silence} = $timeout_ms / 1000 + $SETTLE_S;
	diag "request_timeout = $timeout_ms ms";
	$shop->wait_until('the first capture is read back', sub { $shop->sql('SELECT read_back FROM bcpaid.store') eq 't' });
	$shop->wait_until('the worker has left', sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'", dbname => 'postgres') eq '0' });
	$shop->{node}->append_conf('postgresql.conf', "bcpaid.request_timeout = '${timeout_ms}ms'\n$conf");
	$shop->{node}->restart;
	$shop->sql(join('', map { "CREATE DATABASE $_->{database} TEMPLATE odoo OWNER odoo;\n" } @cells), dbname => 'postgres');
	# Up to the next checkpoint a crash sets a copied database's sequences back, for what nextval() gave was logged for its template only.
	$shop->sql('CHECKPOINT', dbname => 'postgres');
	$self->in_each([@cells], 'odoo', 'SELECT bcpaid.confirm_environment()');
	$self->in_each([ grep { $_->{by_status} } @cells ], 'odoo', "SELECT bcpaid.set_store(store_id => 1, strategy => 'status')");
	return $self;
}

# A fault, and what it does to processes; without that none dies.
sub faults
{
	my ($self) = @_;
	my $shop = $self->{shop};

	return (
		[ 'kill -9', sub { my $log = $shop->log_size; kill 'KILL', @_; server_is_back($shop, $log) } ],
		[ 'immediate shutdown', sub { $shop->{node}->stop('immediate'); $shop->{node}->start } ],
		[ 'SIGTERM', sub { kill 'TERM', @_ } ],
		[ 'pg_terminate_backend', sub { $shop->odoo('SELECT ' . join ', ', map { "pg_terminate_backend($_)" } @_) } ],
		[ 'lost connection', undef ]);
}

# Of a process that was killed the server learns after a moment.
sub server_is_back
{
	my ($shop, $log) = @_;
	my @ready = ('pg_isready', '-q', '-h', $shop->{node}->host, '-p', $shop->{node}->port);

	$shop->wait_until('the server begins anew', sub { $shop->log_since($log) =~ /reinitializing/ });
	return $shop->wait_until('it is back', sub { IPC::Run::run([@ready], '<', '/dev/null') });
}

sub end
{
	my ($self) = @_;
	$self->{shop}->store_is_content;
	$self->{shop}->stop;
	return;
}

# ---- a round ----

sub round
{
	my ($self, $fault, $strike) = @_;
	my ($shop, $stops, @cells) = ($self->{shop}, $self->{stops}, @{ $self->{cells} });
	my ($log, @struck) = $shop->control('GET', 'requests?limit=1')->{last};

	$self->place_orders;
	$self->bring_to_places;
	for my $cell (grep { $_->{late} } @cells)
	{
		$shop->control('POST', 'release', { fault => $cell->{late} });
		$shop->control('POST', 'wait', { captures => { store => 'demo', order => $cell->{number} } });
	}
	if ($strike)
	{
		my @open = $self->strike($fault, $strike, \@struck, [@cells]);
		$stops->let_go($_->{database}) for grep { !$_->{then} } @open;
		my @then = grep { $_->{then} } @open;
		$self->again($fault, $strike, \@struck, @then) if @then;
	}
	else
	{
		$shop->control('POST', 'disconnect', { all => JSON::PP::true });
		$shop->control('POST', 'wait', { held => { at_most => 0 } });
		$stops->let_go($_->{database}) for @cells;
	}
	$shop->control('DELETE', 'faults');
	$shop->control('POST', 'release', {});
	$_->{session}->finish for grep { ref $_->{session} } @cells;
	$self->pay(grep { $_->{unpaid} } @cells);
	$self->come_to_their_end($fault);
	$self->{began_anew} = $fault =~ /kill|immediate/ ? $struck[-1] : 0;    # the server
	$self->is_silent($fault, $log, @struck) if $self->{began_anew};
	return;
}

# The psql sessions of a round are few: each goes through the databases.
sub in_each
{
	my ($self, $cells, $user, $sql) = @_;
	my $script = join '', map { my $text = ref $sql ? $sql->($_) : $sql; "\\c $_->{database} $user\n\\echo of $_->{database}\n$text;\n" } @$cells;
	my %of;

	return \%of unless @$cells;
	my $output = $self->{shop}{node}->safe_psql('postgres', $script, timeout => 120);
	my @parts = split /^of (\w+)\n?/m, $output, -1;
	shift @parts;
	%of = @parts;
	chomp for values %of;
	return \%of;
}

sub place_orders
{
	my ($self) = @_;
	my @cells = @{ $self->{cells} };

	$_->{number} = ++$self->{number} for @cells;
	$self->{shop}->control('POST', 'stores/demo/orders', { from => $cells[0]{number}, to => $self->{number},
		order => { status_id => 7, payment_method => 'Bank Deposit', payment_status => '', total_inc_tax => '69.8400' } });
	my $ids = $self->in_each([@cells], 'odoo', sub { "SELECT o, fixture.invoice(o) FROM fixture.order(69.84, '$_[0]{number}') o" });
	@$_{qw(order invoice)} = split /\|/, $ids->{ $_->{database} } for @cells;
	$self->in_each([ grep { $_->{read_back} } @cells ], '', 'UPDATE bcpaid.store SET read_back = false');
	return;
}

sub payment { return "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT fixture.pay($_[0]{invoice}); COMMIT" }

sub pay
{
	my ($self, @cells) = @_;
	$self->in_each(\@cells, 'odoo', \&payment);
	return;
}

sub bring_to_places
{
	my ($self) = @_;
	my ($shop, $stops, @cells) = ($self->{shop}, $self->{stops}, @{ $self->{cells} });
	my @hanging = grep { $_->{hangs} } @cells;
	my @new = grep { !$_->{settled} } @hanging;

	for my $cell (@cells)
	{
		my $first = $cell->{write} && $shop->fault(match => { order => $cell->{number}, call => write_of($cell) }, %{ $cell->{write} });
		$cell->{late} = $first && $cell->{write}{do} eq 'late' && $first;
		$cell->{settled} ? $stops->stop_at($cell->{database}, 'settle.committed') : $self->lay_in_wait($cell);
		next unless $cell->{session};
		$cell->{session} = IPC::Run::start([ 'psql', '-Xqd', $shop->{node}->connstr($cell->{database}), '-U', 'odoo', '-c', payment($cell) ],
			'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	}
	$self->pay(grep { ($_->{at} || $_->{settled}) && !$_->{session} } @cells);
	$self->lead(grep { $_->{settled} } @cells);
	for my $cell (grep { $_->{at} } @cells)
	{
		eval { $cell->{pid} = $stops->wait_for_stop($cell->{database}, $cell->{at}); 1 } or die $@, $self->all_of($cell);
	}
	$shop->control('POST', 'disconnect', {});
	# All send at once, for the first must not have given up when the last one comes.
	$stops->stop_at($_->{database}, 'claim.committed') for @new;
	$self->pay(@new);
	$stops->wait_for_stop($_->{database}, 'claim.committed') for @new;
	$stops->let_go($_->{database}) for @hanging;
	$shop->control('POST', 'wait', { timeout_ms => 60000, held => scalar grep { $_->{hangs} || $_->{late} } @cells });
	my @read_back = grep { $_->{read_back} } @cells;
	$shop->wait_until('what is read back is applied', sub { !grep { $_ ne 'applied' } values %{ $self->observe(@read_back) } });
	my %worker = split /[\n|]/, $shop->sql("SELECT datname, pid FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'", dbname => 'postgres');
	$_->{pid} = $worker{ $_->{database} } for @hanging;
	return;
}

# What hangs has a new connection: on one that had served before, libcurl repeats a read that is lost, and says nothing.
sub lay_in_wait
{
	my ($self, $cell) = @_;

	return $self->{stops}->stop_at($cell->{database}, $cell->{at}) if $cell->{at};
	$self->{shop}->fault(match => { order => $cell->{number}, call => $cell->{hangs} }, do => 'hang', then => 'answer', taken => $cell->{taken}, after => $cell->{nth} || 0);
	return $self->{shop}->fault(match => { order => $cell->{number}, method => 'GET' }, do => 'pass', headers => { Connection => 'close' }, close => JSON::PP::true, times => 'forever');
}

# From one conversation that was settled to the next; who is to hang goes on only when the others are at their places.
# After the write a time in which reads do not count: it is let pass, so that each read from then on does.
sub lead
{
	my ($self, @cells) = @_;
	my $stops = $self->{stops};

	for (my $step = 1; my @now = grep { $_->{settled} >= $step } @cells; $step++)
	{
		my %pid = map { ($_->{database} => $stops->wait_for_stop($_->{database}, "settle.committed, $step")) } @now;
		my $counts_from = time + $self->{silence};
		$self->{shop}->wait_until('a read counts', sub { time > $counts_from }) if $step == 1;
		for my $cell (@now)
		{
			my $is_last = $step == $cell->{settled};
			$is_last ? $self->lay_in_wait($cell) : $stops->stop_at($cell->{database}, 'settle.committed');
			$stops->let_go($cell->{database}, $pid{ $cell->{database} }) unless $is_last && $cell->{hangs};
		}
	}
	return;
}

# ---- the fault, and what it left ----

# Strike all; each must then be as README's row says.  Returns those whose next worker waits.
sub strike
{
	my ($self, $fault, $strike, $struck, $cells) = @_;
	my ($shop, $stops) = ($self->{shop}, $self->{stops});

	$stops->stop_at($_->{database}, 'recover.begin') for @$cells;
	push @$struck, time;
	$strike->(map { $_->{pid} } @$cells);
	$stops->let_go($_->{database}, $_->{pid}) for @$cells;
	$shop->wait_until('all are gone', sub { !grep { kill 0, $_->{pid} } @$cells });
	my $seen = $self->observe(@$cells);
	for my $cell (@$cells)
	{
		my ($saw, $absent) = split / /, $seen->{ $cell->{database} };
		my $taken = $shop->captures($cell->{number});
		my $name = "$fault, " . name_of($cell);

		$cell->{unpaid} = $saw eq 'nothing';
		ok(says($cell->{said}{committed}, $saw), "$name: committed is $cell->{said}{committed}") or diag "it is: $saw";
		is($absent || 0, $cell->{absent} || 0, "$name: reads that found nothing");
		is($taken, $cell->{said}{store} =~ /^captured$/ ? 1 : 0, "$name: at the store") unless $cell->{said}{store} =~ /^captured(?! *$)/;
	}
	return @$cells;
}

# By database: the capture's state, or whether there is a payment at all.
sub observe
{
	my ($self, @cells) = @_;
	return $self->in_each(\@cells, '', sub { my ($cell) = @_; return <<"SQL" });
SELECT coalesce((SELECT state || CASE WHEN absent_reads > 0 THEN ' ' || absent_reads ELSE '' END FROM bcpaid.capture WHERE remote_order_id = $cell->{number}),
    CASE WHEN EXISTS (SELECT FROM bcpaid.candidate) THEN 'candidates'
         WHEN (SELECT payment_state FROM account_move WHERE id = $cell->{invoice}) = 'not_paid' THEN 'nothing' ELSE 'lost' END)
SQL
}

# The next worker meets the same, while it takes up what the first one left.
sub again
{
	my ($self, $fault, $strike, $struck, @then) = @_;
	my $stops = $self->{stops};

	for my $cell (@then)
	{
		my $pid = $stops->wait_for_stop($cell->{database}, 'recover.begin');
		cmp_ok(time - $struck->[-1], '>=', 10, "$fault: whoever terminates a worker has ten seconds without one") if $fault =~ /TERM|terminate/;
		$stops->stop_at($cell->{database}, $cell->{then});
		$stops->let_go($cell->{database}, $pid);
		$cell->{pid} = $stops->wait_for_stop($cell->{database}, $cell->{then});
	}
	$self->strike("$fault again", $strike, $struck, [@then]);
	$stops->let_go($_->{database}) for @then;
	return;
}

# ---- the end ----

sub come_to_their_end
{
	my ($self, $fault) = @_;
	my ($shop, $stops, @open) = ($self->{shop}, $self->{stops}, @{ $self->{cells} });
	my %words;

	eval {
		$shop->wait_until('all are applied', sub {
			$stops->let_go($_->{database}) for @open;
			my $seen = $self->in_each([ @open[0 .. 0] ], '', sub { <<"SQL" });    # to ask all at once would keep the machine busy
SELECT coalesce(max(c.state), 'none') || ' ' || coalesce(max(o.bcpaid_payment_status), 'nothing') || '/' || coalesce(string_agg(h.reason, '; '), '')
  FROM bcpaid.capture c JOIN sale_order o ON o.id = c.order_id LEFT JOIN bcpaid.history h ON h.capture_id = c.id WHERE c.remote_order_id = $_[0]{number}
SQL
			$words{$_} = $seen->{$_} for keys %$seen;
			shift @open if $words{ $open[0]{database} } =~ m{^applied Captured/};
			!@open });
		1;
	} or diag $@, $self->all_of(@open);
	for my $cell (@{ $self->{cells} })
	{
		my $name = "$fault, " . name_of($cell);

		like($words{ $cell->{database} }, qr{^applied Captured/}, "$name: Captured in Odoo");
		is($shop->captures($cell->{number}), 1, "$name: captured once");
		was_lost($self, $name, $cell) if $cell->{hangs} && $fault eq 'lost connection';
		next if $fault eq 'lost connection';
		like($words{ $cell->{database} }, qr/\Q$_\E/, "$name: $_") for $cell->{said}{next} =~ /"([^"]+)"/g;
	}
	return;
}

# For whom a test has failed.
sub all_of
{
	my ($self, @cells) = @_;
	return explain($self->in_each(\@cells, '', <<'SQL'));
SELECT * FROM bcpaid.capture; SELECT * FROM bcpaid.history; SELECT * FROM bcpaid.attempt;
SELECT now(), pid, state, query_start, query FROM pg_stat_activity WHERE backend_type LIKE 'bcpaid%'
SQL
}

# A request of the server that died may still be on its way: none is sent for a time.
sub is_silent
{
	my ($self, $fault, $log, @struck) = @_;
	my @early;

	for my $write (grep { $_->{method} ne 'GET' } @{ $self->{shop}->control('GET', "requests?after=$log")->{requests} })
	{
		push @early, "order $write->{order}, after " . ($write->{at} - $_) . ' s' for grep { $write->{at} > $_ && $write->{at} < $_ + $self->{silence} } @struck;
	}
	is_deeply(\@early, [], "$fault: no store is written to for $self->{silence} s");
	return;
}

1;
