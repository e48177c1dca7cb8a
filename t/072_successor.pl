# Goal: a worker that is started while its predecessor is still ending does not
# inherit its end: no payment waits a minute for the next one.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

# Each wake-up brings a worker that leaves at once.
my $shop = Bcpaid::Shop->new('successor', conf => "bcpaid.idle_timeout = '0ms'\nlog_min_messages = debug1", timeout => 20);
my $rounds = 300;
my $logged = $shop->log_size;

$shop->sql(join '', map { "INSERT INTO bcpaid.candidate VALUES ('o', 0);\nSELECT bcpaid.wake();\nSELECT pg_sleep(random() * 0.04);\n" } 1 .. $rounds);
$shop->wait_until('all that was noted is judged', sub { $shop->sql('SELECT count(*) FROM bcpaid.candidate') eq '0' });

# "registered" twice without "exited" in between: such a start is what this is about.
my $log = join '', $shop->log_since($logged) =~ /^.*DEBUG:  (registering|background worker "bcpaid worker" \(PID \d+\) exited)/mg;
my $overlaps = () = $log =~ /registering(?=registering)/g;
cmp_ok($overlaps, '>', 0, "$overlaps workers were started before the last had ended");
$shop->stop;
done_testing();
