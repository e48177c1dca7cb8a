# Goal: what is too large, too long, too many or no number at all is captured exactly, refused or cut short, and stops nothing.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use utf8;
use Bcpaid::Shop;
use Encode ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

my $shop = Bcpaid::Shop->new('limits', conf => "bcpaid.max_attempts = 1000\nbcpaid.retry_cap = '60s'\nbcpaid.retry_base = '60s'");

sub as_sql { return "'" . (Encode::encode_utf8($_[0]) =~ s/'/''/gr) . "'" }

# For a test's name: short, and ASCII.
sub shortened
{
	my ($text) = @_;
	$text =~ s/([^ -~])/sprintf '\\x{%x}', ord $1/ge;
	return length $text > 60 ? substr($text, 0, 40) . '... (' . length($text) . ' characters)' : $text;
}

# ---- remote order ids: what the link says, and the remote order that is captured ----

my @exact = (
	[ '2147483647', '2147483647' ], [ '2147483648', '2147483648' ], [ '4294967296', '4294967296' ],
	[ '999999999999999999', '999999999999999999' ], [ '9223372036854775806', '9223372036854775806' ],
	[ '9223372036854775807', '9223372036854775807' ], [ '0301', '301' ], [ ' 302 ', '302' ], [ '0' x 100 . '303', '303' ]);

for my $case (@exact)
{
	my ($link, $remote) = @$case;
	$shop->remote_order($remote, 10);
	$case->[2] = $shop->odoo('SELECT fixture.paid_order(10, ' . as_sql($link) . ')');
}
for my $case (@exact)
{
	my ($link, $remote, $order) = @$case;
	$shop->wait_for_state($order, 'applied', because => "link $link");
	is($shop->sql("SELECT remote_order_id FROM bcpaid.capture WHERE order_id = $order") . ' ' . $shop->captures($remote),
		"$remote 1", 'link "' . shortened($link) . "\" is captured as $remote");
}

# What is no number from 1 to 2^63 - 1 is no link: said, not raised, and never sent.
my @no_link = ('9223372036854775808', '18446744073709551616', '9' x 30, '9' x 1_000_000, '-304', '+304', '3.04', '304.0', '3e2', '0x130',
	'3 04', '304,', "304\n", "\t304", '٣٠٤', '３０４', '³', '３04', 'S00304', '1;304', "304' OR '1'='1", '0', '000', '', '-0', 'NaN', 'NULL');
my @orders = split /\n/, $shop->odoo(join '', map { 'SELECT fixture.paid_order(10, ' . as_sql($_) . ");\n" } @no_link);
my %failed = map { split /\|/, $_, 2 } split /\n/, $shop->odoo(join '', map {
	"SELECT $_, string_agg(w.condition || ' ' || regexp_replace(left(w.detail, 100), '[[:space:]]', ' ', 'g'), ', ') || ' ' || bcpaid_can_mark($_) FROM bcpaid_why_not($_) w WHERE NOT met AND condition <> 'automatic';\n" } @orders);
for my $i (0 .. $#no_link)
{
	like($failed{ $orders[$i] }, qr/^link .* false$/, 'link "' . shortened($no_link[$i]) . '" is no link');
}
$shop->wait_until_quiet;
is($shop->sql("SELECT count(*) FROM bcpaid.capture WHERE order_id IN (@{[join ',', @orders]})"), 0, 'none of them was enqueued');

# ---- order ids ----

$shop->odoo('SELECT setval($$sale_order_id_seq$$, 2147483646)');
my $last = $shop->paid_order(10, 305);
is($last, 2147483647, 'an order with the last id there is');
$shop->wait_for_state($last, 'applied');
is($shop->captures(305), 1, 'is captured');
is($shop->odoo("SELECT string_agg(bcpaid_can_mark(i)::text, ' ') FROM unnest(ARRAY[0, -1, -2147483648, 2147483646]) i"), 'false false false false',
	'ids of no order cannot be marked');
is($shop->odoo('SELECT count(*) FROM bcpaid_can_mark(ARRAY[0, NULL, -2147483648, 2147483647, 2147483647])'), 1, 'and are left out of a list');
for my $id (qw(0 -1 -2147483648 2147483646))
{
	my ($code, undef, $error) = $shop->try_odoo("\\set VERBOSITY verbose\nSELECT bcpaid_mark($id)");
	like("$code $error", qr/^3 .*ERROR:  55000:/s, "bcpaid_mark($id): an error of ours");
}
for my $call ('bcpaid.retry(-1)', 'bcpaid.approve(9223372036854775807)', 'bcpaid.cancel(0)', 'bcpaid.pause(-2147483648)')
{
	my ($code, undef, $error) = $shop->try_odoo("\\set VERBOSITY verbose\nSELECT $call");
	like("$code $error", qr/^3 .*ERROR:  42704:/s, "$call: there is none");
}
my $begin = time;
is($shop->sql('SELECT bcpaid.sweep()'), 0, 'a sweep over ids that are two thousand million apart');
cmp_ok(time - $begin, '<', 30, 'ends');

# Payments that nobody noted, at both ends of the ids: the worker's own sweep, slice by slice, finds them.
$shop->remote_order($_, 10) for 306, 307;
my @unnoted = split /\n/, $shop->sql(<<'SQL') =~ s/^\d+\n(\d+)\n\d+\n/$1\n/r;
SET session_replication_role = replica;
SELECT setval('sale_order_id_seq', 2147483645);
SELECT fixture.paid_order(10, '306');
SELECT setval('sale_order_id_seq', 1000000);
SELECT fixture.paid_order(10, '307');
SQL
is("@unnoted", '2147483646 1000001', 'two orders of which no trigger noted anything');
$shop->sql('SELECT bcpaid.queue_ask_sweep(); SELECT bcpaid.wake()');
$shop->wait_for_state($_, 'applied', because => 'sweep') for @unnoted;

# ---- what a store says: bounded, one line of valid UTF-8, and never an error here ----

my $letter = 'ü€😀';
my %says = (
	'512 kB of text' => [ 'x' x 500_000, qr/HTTP 422: x{100,}/ ],
	'512 kB in one member' => [ '{"title":"' . Encode::encode_utf8($letter x 50_000) . '"}', qr/HTTP 422: (?:$letter){10,}/ ],
	'30,000 members' => [ '{"errors":{' . join(',', map { "\"f$_\":\"no\"" } 1 .. 30_000) . '}}', qr/HTTP 422: f1: no/ ],
	'1 MB' => [ 'x' x 1_000_000, qr/the answer is too long/ ],
	'invalid UTF-8' => [ "{\"title\":\"caf\xe9\"}", qr/HTTP 422/ ],
	'invalid UTF-8 as text' => [ "caf\xe9 \xc0\x80 \xed\xa0\x80 \xf5\x80\x80\x80 end", qr/HTTP 422: caf\?.*end/ ],
	'Latin-1' => [ Encode::encode('iso-8859-1', 'Überschuß'), qr/HTTP 422: \?berschu\?/ ],
	'UTF-16' => [ Encode::encode('UTF-16', '{"title":"Überschuß"}'), qr/HTTP 422/ ],
	'UTF-8 with a byte order mark' => [ Encode::encode_utf8("\x{feff}{\"title\":\"no\"}"), qr/HTTP 422/ ],
	'a NUL, escaped' => [ '{"title":"a\u0000b"}', qr/HTTP 422/ ],
	'a NUL' => [ "a\0b", qr/HTTP 422: a b/ ],
	'half a surrogate pair' => [ '{"title":"a\ud800b"}', qr/HTTP 422/ ],
	'lines, colours, right to left' => [ Encode::encode_utf8("{\"title\":\"a\\nERROR:  b\\u001b[31mc\x{202e}d\x{2028}e\"}"), qr/HTTP 422: a ERROR: b \[31mc d e/ ]);
my $number = 400;
my %of;
for my $name (sort keys %says)
{
	$of{$name} = ++$number;
	$shop->fault(do => 'answer', match => { method => 'POST', order => $number }, status => 422, body_base64 => encode_base64($says{$name}[0], ''));
}
my %order = map { ($_ => $shop->paid_order(10, $of{$_})) } sort keys %says;
for my $name (sort keys %says)
{
	my $state = $shop->wait_for_state($order{$name}, 'refused|unknown|held|waiting', because => $name);
	my $reason = Encode::decode_utf8($shop->reason_of($order{$name}));

	is($state, 'refused', "$name: refused");
	like($reason, $says{$name}[1], "$name: reason");
	cmp_ok(length Encode::encode_utf8($reason), '<=', 400, "$name: reason is short");
	unlike($reason, qr/[\x00-\x1f\x7f-\x9f\x{fffd}\x{202e}\x{2028}]/, "$name: reason is one clean line");
	is($shop->captures($of{$name}), 0, "$name: nothing was captured");
}

# The same where an order that is read says it: a method, a status.
my ($by_method, $by_status) = map { $shop->paid_order(10, $_, remote => { $_ == 450 ? (payment_method => $letter x 1000) : (payment_status => 'ü' x 1000) }) } 450, 451;
$shop->wait_for_state($by_method, 'held');
$shop->wait_for_state($by_status, 'refused');
for my $order ($by_method, $by_status)
{
	cmp_ok(length $shop->reason_of($order), '<=', 400, 'a long name of the store\'s is cut');
	is(Encode::encode_utf8(Encode::decode('UTF-8', $shop->reason_of($order), Encode::FB_CROAK)), $shop->reason_of($order), 'between two characters');
}

# An error of Odoo's own, longer than what is kept of it.
$shop->odoo(<<"SQL");
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION '%', 'x' || repeat('ü', 400); END \$\$;
CREATE TRIGGER refuse BEFORE UPDATE ON sale_order FOR EACH ROW WHEN (NEW.bcpaid_payment_status = 'Captured') EXECUTE FUNCTION public.refuse();
SQL
my $refusing = $shop->paid_order(10, 460);
$shop->wait_until('Odoo refused', sub { $shop->reason_of($refusing) =~ /Odoo refused/ });
ok(defined eval { Encode::decode('UTF-8', $shop->reason_of($refusing), Encode::FB_CROAK) }, 'an error of Odoo\'s is cut between two characters');
$shop->odoo('DROP TRIGGER refuse ON sale_order');

$shop->store_is_content;
$shop->stop;
done_testing();
