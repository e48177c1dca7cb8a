# Goal: stores that are silent do not hold up the others: while the worker has nothing to do but to wait, more than 256 captures are under way.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use Test::More;

my $busy_max = 256;    # BUSY_MAX in src/job.c
my $shop = Bcpaid::Shop->new('under_way', conf => "bcpaid.request_timeout = '2min'\nbcpaid.idle_timeout = '1min'");
my @silent = map { $shop->another_store("silent$_", '', quota => { limit => 100_000, window_ms => 600_000 }) } 1 .. 6;
my @first = map { { name => "tells the quota of $_->[1]", store => $_ } } @silent;
my @held = map { my $n = $_; map { { name => "$n of $_->[1]", store => $_ } } @silent } 1 .. 60;
my @other = { name => 'of a store that answers' };

$shop->place(@first, @held, @other);
$shop->pay_all(@first);
$shop->come_to_their_end(@first);

$shop->fault(do => 'hang', then => 'answer', times => 'forever', match => { store => $_->[1] }) for @silent;
$shop->pay_all(@held);
$shop->control('POST', 'wait', { held => scalar @held });
cmp_ok(scalar @held, '>', $busy_max, 'so many requests wait for their answers');
$shop->pay_all(@other);
$shop->come_to_their_end(@other);
is($shop->sql("SELECT count(*) FROM bcpaid.capture WHERE state = 'claimed'"), scalar @held, 'what comes meanwhile for a store that answers is captured');

$shop->control('DELETE', 'faults');
$shop->control('POST', 'release', {});
$shop->come_to_their_end(@held);
$shop->store_is_content;
$shop->stop;
done_testing();
