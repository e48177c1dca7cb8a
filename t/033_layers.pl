# Goal: the modules of src/ include one another in one direction only, each
# outside thing is known in one place, and no file or function is too long.

use strict;
use warnings FATAL => 'all';

use Test::More;

# From the top down: a module, and what it may include.  A module that is
# missing here, or an include missing from its line, fails; so does one that
# points upwards.
my @layers = (
	[ 'bcpaid',      qw(guc shared utility worker) ],
	[ 'utility',     qw(wake) ],
	[ 'launcher',    qw(guc turn worker) ],
	[ 'worker',      qw(attachment capture guc http note queue turn wake work) ],
	[ 'capture',     qw(claim guc job order queue results stop wake work) ],
	[ 'results',     qw(job pace queue settle stop work) ],
	[ 'claim',       qw(guc job pace queue reserve stop work) ],
	[ 'job',         qw(bigcommerce pace queue reserve settle stop) ],
	[ 'settle',      qw(guc pace queue reserve) ],
	[ 'order',       qw(odoo pace queue stop work) ],
	[ 'pace',        qw(bigcommerce guc queue) ],
	[ 'queue',       qw(bigcommerce guc sqlcall work) ],
	[ 'sqlcall',     qw(elevate work) ],
	# The SQL side: what runs in Odoo's transactions.  Of the store it knows the marker, and no more.
	[ 'mark',        qw(attachment bigcommerce elevate eligibility explain odoo wake) ],
	[ 'explain',     qw(attachment eligibility odoo) ],
	[ 'eligibility', qw(attachment odoo) ],
	[ 'facts',       qw(odoo) ],
	[ 'guard',       qw(elevate) ],
	[ 'note',        qw(notes) ],
	[ 'notes',       qw(stop subxact wake) ],
	[ 'odoo',        qw(attachment elevate subxact) ],
	[ 'attachment',  qw(elevate) ],
	[ 'elevate' ],
	[ 'subxact' ],
	# The store's side: needs no database.
	[ 'bigcommerce', qw(http) ],
	[ 'http',        qw(guc) ],
	# What all stand on.
	[ 'work',        qw(wake) ],
	[ 'turn',        qw(guc shared) ],
	[ 'wake',        qw(shared stop) ],
	[ 'reserve',     qw(shared) ],
	[ 'shared',      qw(guc) ],
	[ 'clock' ],
	[ 'guc' ],
	[ 'stop' ],
	[ 'compat' ]);

# Modules of more than one file.
my @parts = ([ qr/^bc_/, 'bigcommerce' ], [ qr/^(?:http_|resolve$)/, 'http' ], [ qr/^queue_/, 'queue' ], [ qr/^odoo_/, 'odoo' ]);

# Whatever is outside, or shared, is known in one place: what is looked for in
# the code (not in comments), and the modules that may have it.
my @known_by = (
	[ 'libcurl',                 qr/#include\s*<curl|\bcurl_|\bCURL[A-Z]/,                 qw(http) ],
	[ 'libcurl\'s own log, with the token in it', qr/CURLOPT_(?:VERBOSE|DEBUGFUNCTION)/, () ],
	[ 'jansson',                 qr/#include\s*<jansson|\bjson_(?:object|array|t|loads)/,  qw(bigcommerce) ],
	[ 'the URLs of the API',     qr{"[^"]*/(?:v2|v3)/},                                    qw(bigcommerce) ],
	[ 'the queue\'s functions',  qr/bcpaid\.queue_/,                                       qw(queue) ],
	[ 'the ledger\'s tables',    qr/\b(?:FROM|INTO|UPDATE)\s+bcpaid\.(?:capture|history|attempt|store|token|progress|environment)\b/, qw(queue guard) ],
	[ 'Odoo\'s tables',          qr/\b(?:FROM|INTO|UPDATE)\s+(?:public\.)?(?:sale_|account_|ir_)/, () ],
	[ 'becoming somebody else',  qr/\bSetUserIdAndSecContext\b/,                           qw(elevate) ],
	[ 'subtransactions',         qr/\bBeginInternalSubTransaction\b/,                     qw(subxact) ],
	[ 'the clock that is set',   qr/\bGetCurrentTimestamp\b/,                            qw(clock job settle sqlcall) ],
	[ 'transactions',            qr/\b(?:Start|Commit)TransactionCommand\b/,               qw(work launcher) ]);

my $longest_file = 350;
my $longest_function = 60;

my (%rank, %may);
$rank{ $layers[$_][0] } = $_ for 0 .. $#layers;
$may{ $_->[0] } = { map { $_ => 1 } @$_ } for @layers;

my @files = sort glob 'src/*.c src/*.h';
cmp_ok(scalar @files, '>', 50, 'there are files to look at');

my (@wrong, @upwards, %used, @unlisted);
foreach my $path (@files)
{
	my $module = module_of($path);

	push @unlisted, $path unless defined $rank{$module};
	foreach my $header (includes($path))
	{
		my $other = module_of($header);
		$used{"$module $other"} = 1;
		push @wrong, "$path includes $header" unless $may{$module}{$other};
		push @upwards, "$path includes $header" if ($rank{$other} // -1) < ($rank{$module} // -1);
	}
}
is_deeply(\@unlisted, [], 'every module has its place');
is_deeply(\@wrong,    [], 'every include is one that its module may make');
is_deeply(\@upwards,  [], 'none points upwards');
is_deeply([ map { my $from = $_->[0]; map { $used{"$from $_"} ? () : "$from $_" } @$_[ 1 .. $#$_ ] } grep { -e "src/$_->[0].c" } @layers ],
	[], 'nothing is allowed that nobody needs');
is_deeply([ map { "$_->[0]: " . join ' ', reaches($_->[0], 'http') }
	  grep { reaches($_->[0], 'http') } map { [$_] } qw(eligibility explain facts note notes odoo attachment elevate subxact wake shared) ],
	[], 'nothing on the SQL side reaches the HTTP side');
is_deeply([ headers_in_a_circle() ], [], 'no header includes itself');

foreach my $rule (@known_by)
{
	my ($what, $pattern, @by) = @$rule;
	my %by = map { $_ => 1 } @by;
	my @found = grep { code_of($_) =~ $pattern } @files;

	is_deeply([ grep { !$by{ module_of($_) } } @found ], [], "only @{[ join(' and ', @by) || 'SQL' ]} knows $what");
	cmp_ok(scalar @found, '>', 0, "which is there to be known") if @by;
}

is_deeply([ map { my $n = lines_of($_); $n > $longest_file ? "$_: $n lines" : () } @files, sort glob 'src/sql/*.sql' ],
	[], "no file has more than $longest_file lines");
is_deeply([ map { long_functions($_) } @files ], [], "no function has more than $longest_function lines");

done_testing();

sub module_of
{
	my ($name) = $_[0] =~ m{([^/.]+)(?:\.[ch])?$};
	foreach my $part (@parts)
	{
		return $part->[1] if $name =~ $part->[0];
	}
	return $name;
}

# Headers of ours, but for its own module's.
sub includes
{
	my ($path) = @_;
	my $module = module_of($path);

	return grep { -e "src/$_" && module_of($_) ne $module && !/^(?:compat|clock|bc_pure)\.h$/ }
	  map { /^#include "([a-z_]+\.h)"/ ? $1 : () } split /\n/, slurp($path);
}

# The way from one module to another by includes, empty if there is none.
sub reaches
{
	my ($from, $to, %seen) = @_;

	return ($to) if $from eq $to;
	return if $seen{$from}++;
	foreach my $next (map { (split / /)[1] } grep { /^\Q$from\E / } sort keys %used)
	{
		my @way = reaches($next, $to, %seen);
		return ($from, @way) if @way;
	}
	return;
}

sub headers_in_a_circle
{
	my %includes = map { my $h = $_ =~ s{^src/}{}r; $h => [ map { /^#include "([a-z_]+\.h)"/ && -e "src/$1" ? $1 : () } split /\n/, slurp($_) ] } grep { /\.h$/ } @files;
	my ($visit, %state, @circles);

	$visit = sub {
		my ($header) = @_;
		return if ($state{$header} // '') eq 'done';
		return push @circles, $header if ($state{$header} // '') eq 'open';
		$state{$header} = 'open';
		$visit->($_) for @{ $includes{$header} || [] };
		$state{$header} = 'done';
		return;
	};
	$visit->($_) for sort keys %includes;
	return @circles;
}

# As pgindent leaves them: a name in the first column, a brace in the first column.
sub long_functions
{
	my ($path) = @_;
	my ($number, $name, $start, @long) = (0);

	foreach my $line (split /\n/, slurp($path))
	{
		$number++;
		($name, $start) = ($1, $number) if $line =~ /^([a-z_]\w*)\(/;
		if ($line eq '}' && $name)
		{
			my $length = $number - $start + 1;
			push @long, "$path: $name: $length lines" if $length > $longest_function;
			undef $name;
		}
	}
	return @long;
}

sub lines_of
{
	return scalar(() = slurp($_[0]) =~ /\n/g);
}

sub code_of
{
	return slurp($_[0]) =~ s{/\*.*?\*/}{}gsr;
}

sub slurp
{
	my ($path) = @_;
	open my $file, '<', $path or die "could not read $path: $!";
	local $/;
	return <$file>;
}
