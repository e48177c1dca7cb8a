# Goal: a worker claims when a store has room, not with each answer that wakes it; a store that it has not met yet does not wait for that.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;
use Time::HiRes qw(time);

# A worker tells what it called when it leaves, and each second.
my $shop = Bcpaid::Shop->new('claims', conf => "track_functions = 'pl'\nautovacuum = off\nbcpaid.idle_timeout = 0\n");
my $has_left = sub { $shop->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") eq '0' };

sub calls { return $shop->sql("SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = '$_[0]'") }

# ---- a burst: so many answers, and room after some of them ----

my $busy = $shop->another_store('busy', 'quota_reserve => 0', latency_ms => 30, quota => { limit => 30, window_ms => 1000 });
my @burst = map { { name => "burst $_", store => $busy } } 1 .. 150;
$shop->place(@burst);
$shop->odoo("SELECT bcpaid.pause($busy->[0])");
$shop->pay_all(@burst);
$shop->wait_until('all are judged', sub { $shop->sql("SELECT count(*) FROM bcpaid.capture WHERE state = 'queued'") eq '150' });
$shop->wait_until('the worker has left', $has_left);
my ($claims, $settled) = map { -calls($_) } qw(queue_claim queue_settle);
$shop->odoo("SELECT bcpaid.resume($busy->[0])");
$shop->come_to_their_end(@burst);
$shop->wait_until('the worker has left', $has_left);
$claims += calls('queue_claim');
$settled += calls('queue_settle');
cmp_ok($settled, '>', 15, 'a backlog is settled in many steps');
cmp_ok($claims, '<=', 2 * $settled + 30, "after each of these it is claimed about once: $claims times in $settled");

# ---- the first claim of a worker fails, for somebody locks what tells Odoo's copies apart ----

my $other = $shop->another_store('other');
my $late = { name => 'late', store => $other };
my $person = $shop->{node}->background_psql('odoo', on_error_stop => 0);
my $log = $shop->log_size;
$shop->place($late);
$person->query_safe('BEGIN; LOCK TABLE ir_config_parameter');
$shop->pay_all($late);
$shop->wait_until('a claim has failed', sub { $shop->log_since($log) =~ /lock timeout/ });
$shop->wait_until('the worker has left', $has_left);
$person->query_safe('ROLLBACK');
$shop->come_to_their_end($late);    # long before the next sweep, which is in a quarter of an hour

# ---- while a store has no room for minutes, a person holds what another one has to do ----

my $full = $shop->another_store('full', 'quota_reserve => 0', quota => { limit => 12, window_ms => 600_000 });
my @waits = map { { name => "full $_", store => $full } } 1 .. 10;
my $held = { name => 'held', store => $other };
# One worker sees all of it: another one would look at everything when it begins.
$shop->{node}->append_conf('postgresql.conf', "bcpaid.idle_timeout = '1min'");
$shop->{node}->reload;
$shop->place(@waits, $held);
$shop->odoo("SELECT bcpaid.pause($other->[0])");
$shop->pay_all(@waits, $held);
$shop->wait_until('the quota is used up', sub { $shop->sql("SELECT retry_at > now() + interval '5 min' FROM bcpaid.store WHERE id = $full->[0]") eq 't' });
$shop->wait_for_state($held->{order}, 'queued');
$person->query_safe("BEGIN; SELECT id FROM bcpaid.capture WHERE order_id = $held->{order} FOR UPDATE");
my $before = calls('queue_claim');
$shop->odoo("SELECT bcpaid.resume($other->[0])");
$shop->wait_until('the worker has looked twice', sub { calls('queue_claim') >= $before + 2 });
is($shop->state_of($held->{order}), 'queued', 'what a person holds is left');
my $begun = time;
$person->query_safe('ROLLBACK');
$shop->wait_for_state($held->{order}, 'applied');
cmp_ok(time - $begun, '<', 20, 'let go, it does not wait for another store to have room');
cmp_ok($shop->sql("SELECT count(*) FROM bcpaid.capture WHERE store_id = $full->[0] AND state = 'queued'"), '>', 0, 'which has none');
$person->quit;

$shop->store_is_content;
$shop->stop;
done_testing();
