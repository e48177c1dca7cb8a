# Goal: a token, from a file, by COPY or in a connector's row, appears nowhere
# but where it is kept: no log at any level, no view, table, statistic, backup
# or reason, whatever goes wrong and whatever a store echoes.

use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use lib 't/lib';
use Bcpaid::Shop;
use PostgreSQL::Test::Utils;
use Test::More;

my $shop = Bcpaid::Shop->new('token', conf => <<'CONF');
shared_preload_libraries = 'bcpaid,pg_stat_statements,auto_explain'
pg_stat_statements.track = all
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_verbose = on
auto_explain.log_triggers = on
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_min_duration_statement = 0
log_parameter_max_length_on_error = -1
log_lock_waits = on
log_connections = on
track_activity_query_size = 16kB
bcpaid.max_attempts = 1
CONF
my $node = $shop->{node};
my %token = (file => 'tf8w2secretfromfile', copy => 'tc5k9secretbycopy', row => 'tr6v4secretinarow', literal => 'tl3m7secretliteral');
my $directory = PostgreSQL::Test::Utils::tempdir;

# ---- they go in ----

PostgreSQL::Test::Utils::append_to_file("$directory/token", "$token{file}\n");
my %store = (copy => $shop->another_store('copy', undef, token => $token{copy}), file => $shop->another_store('file', undef, token => $token{file}),
	literal => $shop->another_store('literal', undef, token => $token{literal}));
$shop->odoo("COPY bcpaid.token_inbox FROM STDIN (DELIMITER ' ');\n$store{copy}[0] $token{copy}\n\\.\n");
$shop->sql("SELECT bcpaid.set_token_from_file($store{file}[0], '$directory/token')");
like(($shop->try_odoo("SELECT bcpaid.set_token($store{literal}[0], '$token{literal}')"))[2], qr/WARNING:  a token given in a statement may stand/, 'a literal warns');
$shop->odoo("CALL bcpaid.test_store($store{$_}[0])") for sort keys %store;
my %done = map { $_ => { name => $_, store => $store{$_} } } qw(file literal);
$shop->place(values %done);
$shop->pay_all(values %done);
$shop->wait_for_state($_->{order}, 'applied') for values %done;

# ---- a connector keeps it in a row of its own ----

my @there = (dbname => 'connector');
$shop->sql('CREATE DATABASE connector OWNER odoo', dbname => 'postgres');
$shop->odoo_file("t/shape/$_.sql", 'connector') for qw(odoo19 fixtures fixtures-payments connectors);
$shop->control('PUT', 'stores/row', { token => $token{row}, plan => 'unlimited' });
$shop->odoo(<<"SQL", @there);
SET client_min_messages = error;
SELECT fixture.teqstars();
DELETE FROM mk_instance;
COPY mk_instance (id, name, marketplace, bc_hash, bc_secret) FROM STDIN;
1	Row	bigcommerce	row	$token{row}
\\.
CREATE EXTENSION bcpaid;
SELECT bcpaid.attach('teqstars'), bcpaid.set_store(1, mark_order_as_paid => true);
SQL
like($shop->odoo('CALL bcpaid.test_store(1)', @there), qr/^t\|/, 'a token in a connector\'s row is used');
$shop->fault(match => { store => 'row', order => 12, method => 'GET' }, do => 'answer', status => 400, body => echo([ { status => 400, message => "no such token $token{row}" } ]));
foreach my $case ([ 11, 'applied', '' ], [ 12, 'refused|held', '' ], [ 13, 'waiting|queued', " || ' x'" ])
{
	my ($remote, $state, $change) = @$case;
	local $shop->{hash} = 'row';
	$shop->remote_order($remote, 10);
	my $order = $shop->odoo(<<"SQL", @there);
UPDATE mk_instance SET bc_secret = bc_secret$change;
SELECT fixture.order(10, NULL) AS o \\gset
UPDATE sale_order SET mk_instance_id = 1, mk_id = '$remote' WHERE id = :o;
SELECT fixture.pay(fixture.invoice(:o)) AS p \\gset
SELECT :o;
SQL
	$shop->wait_for_state($order, $state, @there);
}
$shop->wait_until('a malformed token is met', sub { $shop->sql('SELECT stopped_reason FROM bcpaid.stores', @there) =~ /no valid hash or access token/ });

# ---- errors on the way in: of the row, a lock, a transaction that may not write, a file ----

my $holder = $node->background_psql('odoo');
$holder->query('BEGIN; LOCK TABLE bcpaid.token');
foreach my $case (
	[ 'a lock', "SET lock_timeout = 50;\nCOPY bcpaid.token_inbox FROM STDIN;\n$store{copy}[0]\t$token{copy}\n\\.\n", qr/lock timeout/ ],
	[ 'a cancel', "SET statement_timeout = 200;\nCOPY bcpaid.token_inbox FROM STDIN;\n$store{copy}[0]\t$token{copy}\n\\.\n", qr/statement timeout/ ],
	[ 'an unknown store', "COPY bcpaid.token_inbox FROM STDIN;\n99\t$token{copy}\n\\.\n", qr/there is no store/ ],
	[ 'the columns the wrong way round', "COPY bcpaid.token_inbox FROM STDIN;\n$token{copy}\t1\n\\.\n", qr/there is no store/ ],
	[ 'a blank in it', "COPY bcpaid.token_inbox FROM STDIN;\n1\t$token{copy} x\n\\.\n", qr/invalid access token/ ],
	[ 'much too long', "COPY bcpaid.token_inbox FROM STDIN;\n1\t" . $token{copy} x 600 . "\n\\.\n", qr/invalid access token/ ],
	[ 'two for a store', "COPY bcpaid.token_inbox FROM STDIN;\n$store{copy}[0]\t$token{copy}\n99\t$token{copy}\n\\.\n", qr/lock timeout|there is no store/ ])
{
	my ($what, $sql, $error) = @$case;
	$holder->query('ROLLBACK') if $what eq 'an unknown store';
	my ($code, $out, $messages) = $shop->try_odoo($sql);
	like($messages, $error, "$what: refused");
	unlike($messages . $out, qr/secret/, "$what: and not shown");
}
$holder->quit;
$shop->sql("ALTER SYSTEM SET auto_explain.log_min_duration = -1;\nSELECT pg_reload_conf()");    # seen; it writes most of the log

# ---- a store that echoes it, wherever it can ----

sub echo { my ($text) = @_; return JSON::PP->new->canonical->encode($text) }
my $t = $token{copy};
my %order = (id => 0, status_id => 7, payment_method => 'Bank Deposit', payment_status => '', total_inc_tax => '69.8400', default_currency_code => 'USD');
my @echoes = (
	[ 'a reason of v2', 400, echo([ { status => 400, message => "no such token $t" } ]) ],
	[ 'a reason of v3', 422, echo({ title => "bad $t", detail => $t, errors => { token => "is $t", $t => 'is wrong', list => [ $t, "x$t$t" ] } }) ],
	[ 'escaped', 400, '[{"message":"token \u0074c5k9secretbycopy"}]' ],
	[ 'plain text', 403, "your token is $t" ],
	[ 'HTML', 400, "<html>$t</html>" ],
	[ 'at the end of a long text', 400, echo([ { message => 'x' x 225 . $t } ]) ],
	[ 'a payment status', 200, echo({ %order, payment_status => $t }) ],
	[ 'a payment method', 200, echo({ %order, payment_method => $t }) ],
	[ 'a currency', 200, echo({ %order, default_currency_code => $t }) ],
	[ 'an amount', 200, echo({ %order, total_inc_tax => $t }) ],
	[ 'a status', 200, echo({ %order, status_id => $t }) ]);
foreach my $echo (@echoes)
{
	my ($name, $status, $body) = @$echo;
	$shop->place(my $case = { name => $name, store => $store{copy} });
	$body =~ s/"id":0/"id":$case->{number}/;
	$shop->fault(match => { order => $case->{number}, method => 'GET' }, times => 'forever', do => 'answer', status => $status, body => $body);
	$shop->pay_all($case);
	$shop->wait_until("$name is answered", sub { $shop->sql("SELECT count(*) FROM bcpaid.attempts WHERE order_id = $case->{order}") > 0 });
	my $said = $shop->sql("SELECT concat((SELECT string_agg(detail, ' ') FROM bcpaid.attempts WHERE order_id = $case->{order}),
		(SELECT string_agg(reason, ' ') FROM bcpaid.captures WHERE order_id = $case->{order}), (SELECT stopped_reason FROM bcpaid.stores WHERE id = $store{copy}[0]))");
	unlike($said, qr/secret/i, "echoed as $name: not kept");
	$shop->control('DELETE', 'faults');
	$shop->odoo("SELECT bcpaid.resume($store{copy}[0])");
}
# As the id and the gateway of what it recorded, as the answer to a write, and as the store's name.
$shop->place(my $recorded = { name => 'recorded', store => $store{copy} });
$shop->control('POST', "stores/copy/orders/$recorded->{number}/transactions", { event => 'capture', status => 'ok', method => $t, gateway => $t, id => "id-$t" });
$shop->place(my $written = { name => 'written', store => $store{copy} });
$shop->fault(match => { order => $written->{number}, method => 'POST' }, do => 'answer', status => 201, body => echo({ data => [ { id => $t, gateway_transaction_id => $t } ] }));
$shop->fault(match => { store => 'copy', path => '/v2/store' }, do => 'answer', status => 200, body => echo({ name => "shop of $t", plan_name => $t, currency => $t }));
$shop->odoo("CALL bcpaid.test_store($store{copy}[0])");
$shop->pay_all($recorded, $written);
$shop->wait_for_state($_->{order}, 'applied|held|refused') for $recorded, $written;

# ---- nobody finds one ----

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE monitor LOGIN IN ROLE pg_monitor; CREATE ROLE read_all LOGIN IN ROLE pg_read_all_data, pg_monitor; GRANT pg_read_all_data TO odoo;
SQL
$shop->sql('CREATE EXTENSION pg_stat_statements');
$shop->sql("INSERT INTO bcpaid.token SELECT n, 'secretofmany' || n % 10 FROM generate_series(100, 1000) n");
$shop->odoo('SET client_min_messages = error; ANALYZE');
$shop->sql('ANALYZE');
my $look = <<'SQL';
SET client_min_messages = error;
CREATE FUNCTION pg_temp.found() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r regclass;
    n bigint;
BEGIN
    FOR r IN SELECT c.oid FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S') AND NOT c.relname LIKE 'pg\_toast%' LOOP
        BEGIN
            EXECUTE format('SELECT count(*) FROM %s x WHERE x::text ~ ''t[fcr][0-9]..secr[e]t|secr[e]tofmany''', r) INTO n;
            IF n > 0 THEN
                RETURN NEXT r;
            END IF;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    RETURN NEXT 'looked';
END $$;
SELECT string_agg(f, ' ') FROM pg_temp.found() f;
SQL
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
foreach my $user ('monitor', 'read_all', 'odoo', $superuser)
{
	my @as = (extra_params => [ '-U', $user ], timeout => 180);
	is($node->safe_psql('odoo', $look, @as), $user eq $superuser ? 'bcpaid.token looked' : 'looked', "relations in which $user finds a token");
	is($node->safe_psql('connector', $look, @as), $user eq 'monitor' ? 'looked' : 'mk_instance looked', 'and with a connector: its own, as Odoo has it');
}
is($shop->sql("SELECT count(*) FROM pg_stat_statements WHERE query ~ 'tl3m7secr[e]t'"), '0', 'not even a literal in pg_stat_statements');
foreach my $user ('odoo', $superuser)
{
	my ($stdout, $stderr) = run_command([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-U', $user, '-d', 'odoo' ]);
	like($stdout, qr/COPY bcpaid\.capture/, "a backup by $user");
	unlike($stdout . $stderr, qr/secret/, 'has no token');
	($stdout, $stderr) = run_command([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-U', $user, '-d', 'connector' ]);
	is_deeply([ map { /^1\tRow\t/ ? 'its row' : $_ } grep { /$token{row}/ } split /\n/, "$stdout\n$stderr" ], ['its row'], 'has a connector\'s in its row alone');
}

$shop->store_is_content;
$shop->stop;
my $log = slurp_file($node->logfile);
like($log, qr/COPY bcpaid\.token_inbox/, 'the log has the statements');
like($log, qr/Query Text: INSERT INTO bcpaid\.token/, 'and the plans of what they did');
unlike($log, qr/$token{file}|$token{copy}|$token{row}/, 'no token from a file, by COPY or in a connector\'s row is in the log, at any level');
my @literal = grep { /$token{literal}/ } split /\n/, $log;
cmp_ok(scalar @literal, '>', 0, 'one given by a literal is,');
is_deeply([ grep { !/bcpaid\.set_token\(\d+, '/ } @literal ], [], 'as its statement alone');
my ($files) = run_command([ 'grep', '-rlaE', "$token{file}|$token{copy}|$token{row}", $node->data_dir, '--include=*.stat', '--include=*.conf', '--include=*.log', '--include=pgss*' ]);
is($files, '', 'nor is one in a file beside the tables');
done_testing();
