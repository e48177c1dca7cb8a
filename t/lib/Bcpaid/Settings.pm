# Every setting that a role or a database may carry and that could matter to
# bcpaid, each with the value that would do most harm.

package Bcpaid::Settings;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);

our @EXPORT = qw(hostile_settings alter_settings);

# Pairs of name and value, of which this server knows the name.
sub hostile_settings
{
	my ($node) = @_;
	my %known = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT name FROM pg_settings');

	return grep { $known{ $_->[0] } } map { [ split ' ', $_, 2 ] } split /\n/, <<'TEXT';
synchronous_commit off
default_transaction_isolation serializable
default_transaction_read_only on
default_transaction_deferrable on
session_replication_role replica
role harmless
statement_timeout 1
lock_timeout 1
idle_in_transaction_session_timeout 1
idle_session_timeout 1
transaction_timeout 1
search_path evil, public
session_preload_libraries auto_explain
local_preload_libraries nowhere
row_security off
exit_on_error on
transform_null_equals on
standard_conforming_strings off
array_nulls off
backslash_quote off
quote_all_identifiers on
bytea_output escape
DateStyle SQL, DMY
IntervalStyle sql_standard
TimeZone Pacific/Apia
extra_float_digits -15
client_encoding LATIN1
client_min_messages error
lc_messages C
lc_numeric C
lc_monetary C
lc_time C
xmloption document
jit_above_cost 0
enable_seqscan off
enable_indexscan off
enable_bitmapscan off
enable_hashjoin off
enable_nestloop off
enable_mergejoin off
enable_sort off
enable_hashagg off
enable_material off
enable_memoize off
from_collapse_limit 1
join_collapse_limit 1
geqo_threshold 2
force_parallel_mode on
debug_parallel_query on
parallel_setup_cost 0
min_parallel_table_scan_size 0
plan_cache_mode force_custom_plan
cursor_tuple_fraction 0
work_mem 64
hash_mem_multiplier 1
temp_buffers 100
temp_file_limit 0
check_function_bodies off
default_table_access_method other
default_toast_compression pglz
default_statistics_target 1
commit_delay 10000
commit_siblings 0
log_statement all
log_min_duration_statement 0
log_min_messages debug5
log_error_verbosity verbose
log_parser_stats on
log_planner_stats on
log_executor_stats on
debug_print_plan on
debug_print_parse on
track_activities off
track_functions all
vacuum_cost_delay 100
deadlock_timeout 1
application_name bcpaid
TEXT
}

# Statements that set them for "ROLE x" and its like; a path is a list, not a text.
sub alter_settings
{
	my ($whom, @settings) = @_;
	return join '', map { "ALTER $whom SET $_->[0] = " . ($_->[0] eq 'search_path' ? $_->[1] : "'$_->[1]'") . ";\n" } @settings;
}

1;
