# Goal: what README.md says of functions, settings, states, errors, views and files is so, and its quick start ends in the row shown.
#
# The tables are compared whole, both ways: what is there and not described
# fails as well as what is described and not there.

use strict;
use warnings FATAL => 'all';

use lib 't/lib';
use Bcpaid::Shop;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my $design = slurp_file('DESIGN.md');

# ---- README's parts ----

sub section
{
	my ($title) = @_;
	$readme =~ /^##+ \Q$title\E\n(.*?)(?=^## |\z)/ms or die "README.md has no section \"$title\"";
	return $1;
}

# The rows of the table whose first heading is this, as lists of cells.
sub table
{
	my ($text, $heading) = @_;
	$text =~ /^\| \Q$heading\E \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)/m or die "README.md has no table \"$heading\"";
	return map { [ map { s/^\s+|\s+$//gr } /\|((?:[^|`]|`[^`]*`)*)(?=\|)/g ] } split /\n/, $1;
}

sub plain { return $_[0] =~ s/`//gr; }

# Code blocks in order, as [language, text].
sub blocks
{
	my ($text) = @_;
	my @found;
	push @found, [ $1, $2 ] while $text =~ /^```(\w+)\n(.*?)^```$/msg;
	return @found;
}

sub same_set
{
	my ($got, $expected, $name) = @_;
	return is_deeply([ sort @$got ], [ sort @$expected ], $name);
}

sub text_of { return join "\n", map { slurp_file($_) } map { glob } @_; }

# ---- without a server ----

my $lines = () = $readme =~ /\n/g;
ok($lines >= 200 && $lines <= 300, "README.md has 200 to 300 lines: $lines");

for my $document ([ 'README.md', $readme ], [ 'DESIGN.md', $design ])
{
	my ($name, $text) = @$document;
	my @headings = map { lc s/[^\w\s-]//gr =~ s/ /-/gr } $text =~ /^##+ (.*)$/mg;

	for my $link ($text =~ /\]\(([^)]+)\)/g)
	{
		next if $link =~ /^https:/;
		ok($link =~ /^#(.*)/ ? scalar(grep { $_ eq $1 } @headings) : -e $link, "$name: the link $link leads somewhere");
	}
	for my $path (do { my %seen; grep { !$seen{$_}++ } $text =~ m{`((?:src|t|script|sql|specs)/[\w.*/-]+)`}g })
	{
		ok(scalar(grep { -e } glob $path), "$name: $path exists");
	}
}
# Files that send their reader to a part of DESIGN.md, by its heading.
for my $heading (map { /"([^"]+)"/g } map { slurp_file($_) =~ /^.*DESIGN\.md, (".*")/mg } glob('src/*.[ch] src/sql/*.sql'))
{
	like($design, qr/^##+ \Q$heading\E$/m, "DESIGN.md has a section \"$heading\"");
}
for my $command ($readme =~ m{^    (script/\w+)}mg)
{
	ok(-x $command, "$command is a command");
}

# `FILE`, `FILE` to `FILE`, or a pattern.
my $map = section('Reading the code');
my %mapped;
while ($map =~ /`(src\/[^`]+)`(?: to `(src\/[^`]+)`)?/g)
{
	my ($first, $last) = ($1, $2);
	$mapped{$_} = 1 for defined $last ? grep { $_ ge $first && $_ le $last } glob('src/sql/*.sql') : glob($first);
}
same_set([ keys %mapped ], [ grep { !m{/00-} } glob('src/*.c src/sql/*.sql') ], 'the code map names every file');

my $meta = JSON::PP->new->decode(slurp_file('META.json'));
my ($version) = slurp_file('bcpaid.control') =~ /^default_version = '([^']+)'$/m;
is($meta->{version}, "$version.0", 'META.json and bcpaid.control agree on the version');
is($meta->{provides}{bcpaid}{file}, "sql/bcpaid--$version.sql", 'and on the install script');
like(slurp_file('CHANGELOG.md'), qr/^## \Q$version\E /m, 'CHANGELOG.md has the version');
like(slurp_file('LICENSE'), qr/PostgreSQL License/, 'LICENSE is the one that META.json names');

my $code = text_of('src/*.c src/sql/*.sql');
my @crashes = table(section('When the process dies'), 'it dies');
cmp_ok(scalar @crashes, '>', 10, 'the crash table has its rows');
for my $words (map { /"([^"]+)"/g } (map { @$_ } @crashes), section('Troubleshooting') =~ /^- \*\*(.*?)\*\*/mg)
{
	my $spelling = join '.{1,4}', map { quotemeta } split / \.\.\. /, $words;
	like($code, qr/$spelling/, "the code says \"$words\"");
}

# ---- the quick start, as it is written ----

my $shop = Bcpaid::Shop->new('readme', attach => 0);
my @steps = blocks(section('Quick start'));
my ($hash) = map { $_->[1] =~ /hash => '(\w+)'/ ? $1 : () } @steps;
my ($token) = map { $_->[1] =~ /^1 (\S+)$/m ? $1 : () } @steps;
my ($remote) = map { $_->[1] =~ /bcpaid_remote_order_id = '(\d+)'/ ? $1 : () } @steps;
my ($name) = map { $_->[1] =~ /WHERE name = '(\w+)'/ ? $1 : () } @steps;
my ($amount) = map { $_->[0] eq 'text' && $_->[1] =~ /\b(\d+\.\d\d)\b/ ? $1 : () } @steps;

$shop->{hash} = $hash;
$shop->control('PUT', "stores/$hash", { token => $token });
$shop->remote_order($remote, $amount);
my ($order, $invoice) = split /\|/, $shop->odoo("SELECT o, fixture.invoice(o) FROM fixture.order($amount) o");
is($shop->odoo("SELECT name FROM sale_order WHERE id = $order"), $name, "the order is $name");

my $printed = '';
for my $step (@steps)
{
	my ($language, $text) = @$step;
	if ($language eq 'sql')
	{
		my ($code, $out, $messages) = $shop->try_odoo("\\pset format aligned\n\\pset tuples_only off\n$text");
		my ($first) = $text =~ /^(.*)$/m;

		is($code, 0, "quick start: $first") or diag($messages);
		$printed = $out;
		like($out, qr/^ t +\| the store answered .*plan.*currency/m, 'the test of the store says whose it is') if $text =~ /test_store/;
		same_set([ (split /^-+\+-+$/m, $out)[-1] =~ /^ (\w[^|]*?) +\|/mg ], ['instance file'], 'only the instance file is left')
		  if $text =~ /doctor/;
	}
	elsif ($language eq 'text')
	{
		is($printed =~ s/ +$//mgr, $text, 'the quick start ends in the row shown');
	}
	elsif ($language eq 'conf')
	{
		my ($setting, $value) = $text =~ /^(\w+) = '(\w+)'$/m;
		is($shop->sql("SHOW $setting"), $value, "the server has $setting");
	}
	if ($text =~ /UPDATE sale_order/)
	{
		$shop->pay($invoice);
		$shop->wait_for_state($order, 'applied');
	}
}
is($shop->captures($remote, $hash), 1, 'the store has one capture');
is($shop->status_of($order), 'Captured', 'and Odoo shows it');
is($shop->sql('SELECT sum((t.token IS NOT NULL)::int) FROM bcpaid.token t'), 1, 'the token is kept');

# A line that COPY cannot split is quoted by PostgreSQL, whatever we do: README warns of it.
my $log_start = -s $shop->{node}->logfile;
my (undef, undef, $quoted) = $shop->try_odoo("COPY bcpaid.token_inbox FROM STDIN;\n1 quoted-token\n\\.\n");
like($quoted, qr/COPY token_inbox, line 1: "1 quoted-token"/, 'COPY quotes a malformed line to the client');
like(substr(slurp_file($shop->{node}->logfile), $log_start), qr/quoted-token/, 'and in the log');
is($shop->sql('SELECT token FROM bcpaid.token'), $token, 'and the token is the one before');

# ---- tables against the catalogs ----

# Calls that somebody besides their owner may make, with arguments as README writes
# them, and by whom.  An owner's call is one that checks it.
my %granted = map { my @row = split /\t/; $row[0] => $row[1] } split /\n/, $shop->sql(<<'SQL');
\pset format unaligned
\pset fieldsep '\t'
SELECT CASE n.nspname WHEN 'bcpaid' THEN 'bcpaid.' ELSE '' END || p.proname || '(' || (
           SELECT coalesce(string_agg(regexp_replace(replace(regexp_replace(a, '^IN ', ''), ' DEFAULT ', ' = '),
                                                     '::\w+(\[\])?$', ''), ', ' ORDER BY i), '')
             FROM regexp_split_to_table(pg_get_function_arguments(p.oid), ', ') WITH ORDINALITY s (a, i)
            WHERE a !~ '^(OUT|INOUT) ') || ')',
       concat_ws(', ',
           CASE WHEN p.proacl IS NULL THEN 'everyone' END,
           CASE WHEN has_function_privilege('pg_database_owner', p.oid, 'EXECUTE') AND p.proacl IS NOT NULL
                THEN CASE WHEN p.prosrc LIKE '%check_owner%' THEN 'owner' ELSE 'operator' END END,
           CASE WHEN has_function_privilege('pg_monitor', p.oid, 'EXECUTE') AND p.proacl IS NOT NULL THEN 'monitor' END)
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'bcpaid'
 WHERE p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner)
SQL
my ($set_store) = grep { /^bcpaid\.set_store\(/ } keys %granted;
my @arguments = $set_store =~ /(\w+) [\w\[\]]+ = /g;
$granted{'bcpaid.set_store(...)'} = delete $granted{$set_store};

my @calls = table(section('Functions'), 'call');
my %described = map { my $row = $_; map { $_ => $row->[1] } $row->[0] =~ /`([^`]+)`/g } @calls;
is_deeply(\%described, \%granted, 'the table of functions is what is granted, to whom');

my %argument = map { plain($_->[0]) => plain($_->[1]) } table(section('Functions'), 'argument of `set_store`');
same_set([ keys %argument ], \@arguments, 'the arguments of set_store');
for my $column (split /\n/, $shop->sql(<<'SQL'))
SELECT a.attname || '|' || regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^''(.*)''.*$', '\1')
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
 WHERE d.adrelid = 'bcpaid.store'::regclass AND a.attname <> 'id'
SQL
{
	my ($name, $default) = split /\|/, $column;
	is($argument{$name}, $default, "the default of $name") if exists $argument{$name} && $name ne 'offline_methods';
}
is($shop->sql("SELECT offline_methods FROM bcpaid.store"), $argument{offline_methods}, 'the default of offline_methods');

my ($views) = section('Functions') =~ /^(Views, .*?)\n\n/ms;
same_set([ $views =~ /`([^`]+)`/g ],
	[ split /\n/, $shop->sql("SELECT oid::regclass FROM pg_class WHERE relkind = 'v' AND relnamespace = 'bcpaid'::regnamespace") ],
	'the views');

# Written as in postgresql.conf; compared in the unit of the setting.
my %unit = (ms => 1, s => 1000, min => 60_000, h => 3_600_000, d => 86_400_000);

sub in_unit
{
	my ($text, $unit) = @_;
	return $text unless $unit && $text =~ /^(\d+)(ms|s|min|h|d)$/;
	return $1 * $unit{$2} / $unit{$unit};
}

my %setting = map { plain($_->[0]) => $_ } table(section('Settings'), 'setting');
my @settings = map { [ split /\|/, $_, -1 ] } split /\n/, $shop->sql(<<'SQL');
SELECT name, boot_val, unit, min_val, max_val, context FROM pg_settings WHERE name LIKE 'bcpaid.%'
SQL
same_set([ keys %setting ], [ map { $_->[0] } @settings ], 'the table of settings');
for my $row (@settings)
{
	my ($name, $default, $unit, $low, $high, $context) = @$row;
	my (undef, $says_default, $bounds, $effect) = map { plain($_) } @{ $setting{$name} || [ '', '', '', '' ] };

	is($says_default eq 'empty' ? '' : in_unit($says_default, $unit), $default, "$name: default");
	is(join(' to ', map { in_unit($_, $unit) } split / to /, $bounds), join(' to ', grep { length } $low, $high), "$name: bounds");
	is($effect, { sighup => 'reload', postmaster => 'restart' }->{$context}, "$name: takes effect by a $effect");
}

my @states = $shop->sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'capture_state_check'") =~ /'(\w+)'/g;
my $about_states = section('States of a capture, and what to do');
same_set([ map { plain($_->[0]) } table($about_states, 'state') ], \@states, 'the table of states');
my %state = map { $_ => 1 } @states;
same_set([ grep { !$state{$_} } map { $_->[1] =~ /`(\w+)`/g, $_->[2] =~ /`([a-z_]+)`/g } @crashes ],
	[], 'the crash table knows no other states');

my ($explain) = slurp_file('src/sql/32-explain.sql') =~ /VALUES(.*?)e \(n, condition/s;
same_set([ map { plain($_->[0]) } table(section('The button in Odoo'), 'condition') ],
	[ $explain =~ /\(\d, '(\w+)'/g ], 'the table of conditions');

# ---- errors ----

my $capture = $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $order");
my ($open) = $shop->open_order(30, 219);
$shop->sql('CREATE ROLE stranger LOGIN');

# Each SQLSTATE that the table names: a call that ends in it.
my @errors = (
	[ 'bcpaid_mark', '55000', "SELECT bcpaid_mark($open)" ],
	[ 'bcpaid_mark', '42501', "SELECT bcpaid_mark($open)", user => 'stranger' ],
	[ 'bcpaid.attach', '42704', "SELECT bcpaid.attach('nobody')" ],
	[ 'bcpaid.attach', '42703', "SELECT bcpaid.attach('teqstars')" ],
	[ 'bcpaid.set_store', '22023', "SELECT bcpaid.set_store(1, strategy => 'x')" ],
	[ 'bcpaid.set_store', '22023', 'SELECT bcpaid.set_store(1, tolerance => -1)' ],
	[ 'bcpaid.set_store', '22023', 'SELECT bcpaid.set_store(1, quota_reserve => 1)' ],
	[ 'bcpaid.set_token', '22023', "SELECT bcpaid.set_token(1, 'two words')" ],
	[ 'bcpaid.set_token', '42704', "SELECT bcpaid.set_token(99, 'token')" ],
	[ 'bcpaid.set_token_from_file', '42501', "SELECT bcpaid.set_token_from_file(1, 'PG_VERSION')" ],
	[ 'bcpaid.set_token_from_file', '42704', "SELECT bcpaid.set_token_from_file(99, 'PG_VERSION')", user => 'postgres' ],
	[ 'bcpaid.set_token_from_file', '22023', "SELECT bcpaid.set_token_from_file(1, 'postgresql.conf')", user => 'postgres' ],
	[ 'bcpaid.test_store', '42704', 'CALL bcpaid.test_store(99)' ],
	[ 'bcpaid.pause', '42704', 'SELECT bcpaid.pause(99)' ],
	[ 'bcpaid.resume', '42704', 'SELECT bcpaid.resume(99)' ],
	[ 'bcpaid.retry(capture', '55000', "SELECT bcpaid.retry(capture => $capture)" ],
	[ 'bcpaid.retry(capture', '42704', 'SELECT bcpaid.retry(capture => 99)' ],
	[ 'bcpaid.retry_store(store_id', '42704', 'SELECT bcpaid.retry_store(99)' ],
	[ 'bcpaid.approve', '55000', "SELECT bcpaid.approve($capture)" ],
	[ 'bcpaid.approve', '42704', 'SELECT bcpaid.approve(99)' ],
	[ 'bcpaid.cancel', '55000', "SELECT bcpaid.cancel($capture)" ],
	[ 'bcpaid.cancel', '42704', 'SELECT bcpaid.cancel(99)' ],
	[ 'bcpaid.settle_by_hand', '55000', "SELECT bcpaid.settle_by_hand($capture, 'a reason')" ],
	[ 'bcpaid.settle_by_hand', '42704', "SELECT bcpaid.settle_by_hand(99, 'a reason')" ],
	[ 'bcpaid.settle_by_hand', '22023', "SELECT bcpaid.settle_by_hand($capture, '')" ],
	[ 'bcpaid.set_link', '22023', "SELECT bcpaid.set_link($open, 1, 'no number')" ],
	[ 'bcpaid.set_link', '42704', "SELECT bcpaid.set_link($open, 99, '1')" ],
	[ 'bcpaid.set_link', '42704', "SELECT bcpaid.set_link(0, 1, '1')" ],
	[ 'bcpaid.backfill', '22004', 'SELECT * FROM bcpaid.backfill(NULL)' ],
	[ 'bcpaid.wait', '42704', 'CALL bcpaid.wait(99)' ],
	[ 'bcpaid.import_ledger', '22023', "SELECT bcpaid.import_ledger('{}')", user => 'postgres' ],
	[ 'bcpaid.import_ledger', '42501', "SELECT bcpaid.import_ledger('{}')" ],
	[ 'bcpaid.capture_state', '42704', 'SELECT bcpaid.capture_state(99)' ],
	[ 'bcpaid.want_test', '42704', 'SELECT bcpaid.want_test(99)' ],
);
my %raised;

sub raises
{
	my ($call, $sqlstate, $sql, %options) = @_;
	my (undef, undef, $messages) = $shop->try_odoo("\\set VERBOSITY sqlstate\n$sql", %options);
	my ($row) = grep { index(plain($_->[0]), $call) == 0 } @calls;

	like($messages, qr/ERROR:  $sqlstate$/m, "$call: $sqlstate");
	like($row->[3], qr/\b$sqlstate\b/, "$call: $sqlstate is described");
	$raised{ $row->[0] }{$sqlstate} = 1;
	return;
}

raises(@$_) for @errors;

# What cannot be raised while all is well: the store paused, another session on
# Odoo's table, sending switched off, a neutralised database, nothing attached.
$shop->odoo('SELECT bcpaid.pause(1)');
$shop->pay($shop->odoo("SELECT min(m.id) FROM account_move m WHERE m.amount_residual = 30"));
$shop->wait_for_state($open, 'queued');
my $waiting = $shop->sql("SELECT id FROM bcpaid.capture WHERE order_id = $open");
raises('bcpaid.wait', '57014', "CALL bcpaid.wait($waiting, '0 s')");
raises('bcpaid.wait', '55000', "BEGIN; SELECT bcpaid.cancel($waiting); CALL bcpaid.wait($waiting); COMMIT");
$shop->odoo('SELECT bcpaid.resume(1)');
$shop->wait_for_state($open, 'applied');

$shop->configure('bcpaid.enabled = off');
raises('bcpaid.test_store', '55000', 'CALL bcpaid.test_store(1)');
raises('bcpaid.want_test', '55000', 'SELECT bcpaid.want_test(1)');

$shop->odoo("INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'true')");
raises('bcpaid.confirm_environment', '55000', 'SELECT bcpaid.confirm_environment()');
$shop->odoo("DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'");

# ---- the ledger, carried by hand, as it is written ----

my ($recipe) = map { $_->[1] } grep { $_->[1] =~ /export_ledger/ } blocks(section('Upgrade, uninstall, backup, copy'));
my ($export, $import) = split /\n/, $recipe;
my $directory = PostgreSQL::Test::Utils::tempdir;
$shop->make_database('elsewhere');
$shop->odoo('SET client_min_messages = error; CREATE EXTENSION bcpaid', dbname => 'elsewhere');
for my $step ([ odoo => $export ], [ elsewhere => $import ])
{
	local $ENV{PGHOST} = $shop->{node}->host;
	local $ENV{PGPORT} = $shop->{node}->port;
	local $ENV{PGUSER} = 'odoo';
	local $ENV{PGDATABASE} = $step->[0];
	is(system("cd $directory && ($step->[1]) >/dev/null"), 0, "in a shell: $step->[1]");
}
my $ledger = "SELECT string_agg(store_hash || ' ' || remote_order_id || ' ' || state || ' ' || marker, ',' ORDER BY remote_order_id) FROM bcpaid.captures";
is($shop->sql($ledger, dbname => 'elsewhere'), $shop->sql($ledger), 'the ledger is there, too');
$shop->odoo('SET client_min_messages = error; SELECT bcpaid.attach()', dbname => 'elsewhere');
is($shop->sql('SELECT bcpaid.environment_is_confirmed()', dbname => 'elsewhere'), 'f', 'after an import attach confirms nothing');
$shop->odoo('SELECT bcpaid.confirm_environment()', dbname => 'elsewhere');
is($shop->sql('SELECT bcpaid.environment_is_confirmed()', dbname => 'elsewhere'), 't', 'a person does');

# ---- uninstalling without detach ----

$shop->odoo('SET client_min_messages = error; DROP EXTENSION bcpaid', dbname => 'elsewhere');
my $left = 'SELECT count(*) FROM pg_trigger WHERE tgname LIKE ' . "'bcpaid%' UNION ALL SELECT count(*) FROM pg_class WHERE relname LIKE 'bcpaid%'";
is($shop->sql($left, dbname => 'elsewhere'), "0\n0", 'without detach no trigger and no index is left');
is($shop->sql("SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'sale_order'::regclass AND attname LIKE 'bcpaid%'",
	dbname => 'elsewhere'), 'bcpaid_payment_status bcpaid_remote_order_id bcpaid_store_id', 'but the three columns are');

# ---- uninstalling, as it is written ----

raises('bcpaid.set_store', '55000', "SELECT bcpaid.detach(); SELECT bcpaid.set_store(1, name => 'x')");
raises('bcpaid.set_link', '55000', "SELECT bcpaid.detach(); SELECT bcpaid.set_link($open, 1, '1')");
my ($status) = $shop->try_odoo('SELECT bcpaid.detach(); DROP EXTENSION bcpaid;');
is($status, 0, 'uninstalled');
is($shop->sql("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'bcpaid%'"), 0, 'no trigger is left');
is($shop->status_of($order), 'Captured', 'the columns that hold data are');

# Needs a store that does not answer, a lock of ten seconds, or a connector's tables: 030_extension.pl and sql/profiles.sql.
my %elsewhere = map { $_ => 1 } 'bcpaid.attach 42P08', 'bcpaid.attach 22023', 'bcpaid.attach 55P03', 'bcpaid.detach 55P03',
  'bcpaid.test_store 57014';
for my $row (@calls)
{
	my ($call) = plain($row->[0]) =~ /^([\w.]+)/;
	same_set([ grep { !$raised{ $row->[0] }{$_} && !$elsewhere{"$call $_"} } $row->[3] =~ /\b(\d\d[0-9P]\d\d)\b/g ],
		[], "$call: every error described was raised");
}

$shop->store_is_content;
$shop->stop;
done_testing();
