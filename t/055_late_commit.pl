# Goal: a write whose outcome is not known is made again only when its request cannot be on its way any more: that counts from
# when it can have left, not from its intent, which may have waited for a standby or for a worker that stood still.
# build: stops

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Bcpaid::Stops;
use Test::More;
use Time::HiRes qw(time);

Bcpaid::Stops::need_build();

my $settle_time = 0.6;
my $commit_takes = 3.5;    # longer than two reads that agree are apart, shorter than a commit may take
my $shop = Bcpaid::Shop->new('late', dbname => 'taken_late', conf => <<'CONF');
bcpaid.settle_time = '600ms'
bcpaid.idle_timeout = '10min'
bcpaid.max_workers = 4
CONF
my $stops = Bcpaid::Stops->new($shop);
my $node = $shop->{node};
my $request_timeout = $node->safe_psql('postgres', q{SELECT extract(epoch FROM current_setting('bcpaid.request_timeout')::interval)});

# A database each, so that each intent has a commit of its own.
my %case = map { ($_ => { name => $_ }) } qw(taken_late never_taken its_worker_died);
$shop->make_database($_) for qw(never_taken its_worker_died);
in($_, sub { $shop->place($case{$_}) }) for sort keys %case;

sub in { my ($database, $do) = @_; local $shop->{dbname} = $database; return $do->() }
sub on { my ($case) = @_; return $shop->fault(match => { order => $case->{number}, method => 'POST' }, @_[ 1 .. $#_ ]) }
sub posts { my ($case) = @_; return map { $_->{at} } @{ $shop->control('GET', "requests?order=$case->{number}&method=POST")->{requests} } }
sub became { my ($case, $state) = @_; return in($case->{name}, sub { $shop->sql("SELECT extract(epoch FROM min(at)) FROM bcpaid.history WHERE state = '$state'") }) }

# ---- a worker ends before it can say that the answer was lost ----

my $died = $case{its_worker_died};
my $arrives = on($died, do => 'late');
$stops->stop_at($died->{name}, 'settle.done');
in($died->{name}, sub { $shop->pay_all($died) });
my $pid = $stops->wait_for_stop($died->{name});
is(in($died->{name}, sub { $shop->state_of($died->{order}) }), 'sending', 'its outcome is not written down');
$shop->sql("SELECT pg_terminate_backend($pid)", dbname => 'postgres');
$shop->wait_until('its worker has ended', sub { !kill 0, $pid });
$stops->let_go($died->{name});
$stops->stop_at($died->{name}, 'recover.begin');    # the next worker comes when we look at it
$shop->sql("UPDATE bcpaid.capture SET sent_at = sent_at - interval '1 h'", dbname => $died->{name});

# ---- meanwhile: the commit of an intent takes long ----

my @slow = @case{qw(taken_late never_taken)};
on($slow[0], do => 'late', seconds => $request_timeout - 0.2);
on($slow[1], do => 'drop');
my @looks = map { $shop->fault(match => { order => $_->{number}, method => 'GET' }, do => 'hang', then => 'answer') } @slow;
for my $case (@slow) { in($case->{name}, sub { $shop->pay_all($case) }) }
$shop->control('POST', 'wait', { held => 1 + @looks });
$shop->configure("synchronous_standby_names = 'nobody'");
my $somebody = whose_commit_waits();
$shop->control('POST', 'release', { fault => $_ }) for @looks;
$shop->wait_until('their intents have waited for a standby', sub {
	$node->safe_psql('postgres', <<"SQL") eq '2' });
SELECT count(*) FROM pg_stat_activity
 WHERE backend_type = 'bcpaid worker' AND wait_event = 'SyncRep' AND xact_start < clock_timestamp() - interval '$commit_takes s'
SQL
$shop->configure("synchronous_standby_names = ''");
$somebody->query_until(qr/over/, '');
$somebody->quit;
for my $case (@slow)
{
	in($case->{name}, sub { $shop->come_to_their_end($case) });
	cmp_ok((posts($case))[0] - became($case, 'sending'), '>', $commit_takes, "$case->{name}: the request left long after the intent was made");
}
is(scalar posts($slow[0]), 1, 'what arrived later was found, and not written again');
my ($first, $second) = posts($slow[1]);
cmp_ok($second - $first, '>', $request_timeout + 2 * $settle_time, 'what never arrived was written again when two reads could agree');

# ---- the next worker takes up what the other one left ----

$stops->let_go($died->{name}, $stops->wait_for_stop($died->{name}));
in($died->{name}, sub { $shop->wait_for_state($died->{order}, 'unknown') });
my $found_at = became($died, 'unknown');
$shop->wait_until('a request that left just before may arrive', sub { time > $found_at + 0.75 * $request_timeout });
is(scalar posts($died), 1, 'not written again by then');
$shop->control('POST', 'release', { fault => $arrives });
in($died->{name}, sub { $shop->come_to_their_end($died) });
is(scalar posts($died), 1, 'nor after it was found');

$shop->store_is_content;
$shop->stop;
done_testing();

# From then on all others' do, too.
sub whose_commit_waits
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_until(qr/sent/, "\\echo sent\nSELECT pg_logical_emit_message(true, '', '');\n\\echo over\n");
	$shop->wait_until('commits wait for a standby', sub {
		$node->safe_psql('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") eq 't' });
	return $session;
}
