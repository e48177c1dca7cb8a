# Goal: a worker that is started while its predecessor is still ending does not
# inherit its end: no payment waits a minute for the next one.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

# Each wake-up brings a worker that leaves at once.
my $shop = Bcpaid::Shop->new('successor', conf => "bcpaid.idle_timeout = '0ms'\nlog_min_messages = debug1", timeout => 50);
my $logged = $shop->log_size;
my $notes = join '', map { "INSERT INTO bcpaid.candidate VALUES ('o', 0);\nSELECT bcpaid.wake();\nSELECT pg_sleep(random() * 0.04);\n" } 1 .. 100;

# "registering" twice without "exited" in between: such a start is what this is about.
sub overlaps
{
	my $log = join '', $shop->log_since($logged) =~ /^.*DEBUG:  (registering|background worker "bcpaid worker" \(PID \d+\) exited)/mg;
	return scalar(() = $log =~ /registering(?=registering)/g);
}

# Less than the minute that a database waits to which nobody could connect.
$shop->wait_until('five workers were started before the last had ended', sub {
	$shop->sql($notes);
	$shop->wait_until('all that was noted is judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });
	overlaps() >= 5 });
pass('nothing waited for the next worker: ' . overlaps() . ' were started before the last had ended');
$shop->stop;
done_testing();
