# Stop points (src/stop.h): have a process of a database stop, find it, let it go.
#
#     my $stops = Bcpaid::Stops->new($shop);
#     $stops->stop_at('odoo', 'intent.committed');
#     my $pid = $stops->wait_for_stop('odoo');
#     $stops->let_go('odoo', $pid);
#
# The test must be built with them: a line "# build: stops".

package Bcpaid::Stops;

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

# Before anything else: without stop points, as `make installcheck` has it, there is nothing to see.
sub need_build
{
	return if is_built();
	die 'script/test made no build with stop points' if $ENV{BCPAID_WORK};
	plan(skip_all => 'needs a build with -DBCPAID_STOP_POINTS: script/test makes one');
}

# Has the library that is installed any?
sub is_built
{
	chomp(my $directory = `pg_config --pkglibdir`);
	return slurp_file("$directory/bcpaid.so") =~ /bcpaid_stop|intent\.committed/;
}

sub new
{
	my ($class, $shop) = @_;
	return bless { shop => $shop, directory => {} }, $class;
}

# Of the database, where its processes look.
sub directory
{
	my ($self, $database) = @_;
	return $self->{directory}{$database} ||= $self->{shop}{node}->data_dir . '/base/'
	  . $self->{shop}->sql("SELECT oid FROM pg_database WHERE datname = '$database'", dbname => 'postgres');
}

# The next process of this database that comes to the point stops there.
sub stop_at
{
	my ($self, $database, $point) = @_;
	my $file = $self->directory($database) . '/bcpaid_stop';

	append_to_file("$file.new", $point);
	rename "$file.new", $file or die "could not rename $file.new: $!";
	return;
}

# The processes that have stopped.
sub all_stopped
{
	my ($self, $database) = @_;
	return map { /(\d+)$/ } glob $self->directory($database) . '/bcpaid_stopped.*';
}

sub wait_for_stop
{
	my ($self, $database, $point) = @_;
	$self->{shop}->wait_until("$database stops" . ($point ? " at $point" : ''), sub { $self->all_stopped($database) });
	return ($self->all_stopped($database))[0];
}

# The process that has stopped goes on; without its id whatever has, and nothing stops there any more.
sub let_go
{
	my ($self, $database, $pid) = @_;
	my $directory = $self->directory($database);

	unlink $pid ? "$directory/bcpaid_stopped.$pid" : ("$directory/bcpaid_stop", glob "$directory/bcpaid_stopped.*");
	return;
}

1;
