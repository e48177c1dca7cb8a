# shellcheck shell=bash disable=SC2154  # the variables are those of script/odoo19, which this is a part of
# What is looked at when the cases are over, or when one has failed.

# No server process died, and PostgreSQL stops at once with the worker in it.
check_end() {
	if grep -E 'PANIC|was terminated by signal|TRAP:' "$root$place/postgres.log"; then
		echo "PostgreSQL lost a process, see above" >&2
		return 1
	fi
	local started=$EPOCHSECONDS
	postgres_stop "$cluster"
	((EPOCHSECONDS - started <= 3)) || { echo "PostgreSQL took more than 3 s to stop" >&2; return 1; }
}

# What the cases cannot see: the last words of each server.
show_logs() {
	local log
	for log in "$root$place/postgres.log" "$home/odoo.log" "$home/store.log"; do
		echo "# the end of $(basename "$log"):"
		tail -30 "$log" | sed 's/^/#   /'
	done
}
