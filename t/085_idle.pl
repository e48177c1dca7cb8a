# Goal: a worker without work leaves after bcpaid.idle_timeout, and to judge is work: while people pay, none has to be started, which would keep a COMMIT.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;
use Time::HiRes qw(time);

my $idle_s = 4 * ($ENV{BCPAID_SLOWER} || 1);
# No capture is under way: that alone would keep it.
my $shop = Bcpaid::Shop->new('idle', conf => "bcpaid.enabled = off\nbcpaid.idle_timeout = '${idle_s}s'\nbcpaid.sweep_interval = '1d'");

sub worker { return $shop->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'bcpaid worker'") }
sub paid { return $shop->wait_for_state($shop->paid_order(10, shift), 'queued') }

paid(1);
my $first = worker();
like($first, qr/^\d+$/, 'a worker runs');
my $begun = my $last = time;
my $number = 1;
$last = time, paid(++$number) while time < $begun + 1.5 * $idle_s;
cmp_ok($number, '>', 2, "payments: $number");
is(worker(), $first, 'all of them judged by one worker, for longer than it may be idle');
$shop->wait_until('it leaves', sub { worker() eq '' });
cmp_ok(time - $last, '>', $idle_s, 'not before its time');

$shop->stop;
done_testing();
