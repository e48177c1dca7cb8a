# The lookups of localhost that a server makes, for a test to break: see t/lib/names.c.
#
#     my $names = Bcpaid::Names->new;
#     my $shop = $names->mislead(sub { Bcpaid::Shop->new('name') });
#     $names->do('fail');
#
# Of that server only: nobody else is misled.

package Bcpaid::Names;

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;

sub new
{
	my ($class) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/names';
	system_or_bail('gcc', '-shared', '-fPIC', '-o', "$file.so", 't/lib/names.c', '-ldl');
	return bless { file => $file }, $class;
}

# What $start starts.
sub mislead
{
	my ($self, $start) = @_;
	local $ENV{LD_PRELOAD} = "$self->{file}.so";
	local $ENV{BCPAID_TEST_NAMES} = $self->{file};
	return $start->();
}

# From now on: answer, fail, or silent.
sub do
{
	my ($self, $what) = @_;
	append_to_file("$self->{file}.new", "$what\n");
	rename "$self->{file}.new", $self->{file} or die "could not rename $self->{file}.new: $!";
	return;
}

# How often that name was asked for, spelt so.
sub asked
{
	my ($self, $name) = @_;
	return -e "$self->{file}.asked" ? scalar(() = slurp_file("$self->{file}.asked") =~ /^\Q$name\E$/gm) : 0;
}

1;
