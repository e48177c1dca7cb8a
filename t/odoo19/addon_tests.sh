# shellcheck shell=bash disable=SC2154  # the variables are those of script/odoo19, which this is a part of
# The tests that the addon brings along, and its translations.

# In a database of its own, where nothing but the addon is installed: its tests make the extension themselves, in
# transactions that end with them. A test that is skipped, or not there, is a failure.
addon_tests() {
	say "running the addon's own tests"
	sql postgres "CREATE DATABASE addon TEMPLATE shop_base STRATEGY file_copy"
	local log=$home/addon-tests.log status=0
	odoo addon --addons-path "$source/addons" -i sale_bcpaid --test-tags /sale_bcpaid --stop-after-init \
		--http-port "$odoo_port" --max-cron-threads 0 >"$log" 2>&1 || status=$?
	local stats
	stats=$(grep -oE '[0-9]+ failed, [0-9]+ error\(s\) of [0-9]+ tests' "$log" | tail -1)
	echo "# the addon's tests: ${stats:-none ran}"
	if ((status)) || ! [[ $stats =~ ^0\ failed,\ 0\ error.*\ of\ [1-9] ]] || grep -E ' skipped .* : | (WARNING|ERROR) .*bcpaid' "$log"; then
		grep -E ' (WARNING|ERROR|CRITICAL) |^[A-Za-z ]|^  ' "$log" | tail -60 >&2
		echo "the addon's tests failed, see $log" >&2
		return 1
	fi
	translations_are_current
}

# The template in the checkout holds the words that the addon has. Its head says when it was made.
translations_are_current() {
	local conf=$place/i18n.conf made=$place/made.pot kept=$source/addons/sale_bcpaid/i18n/sale_bcpaid.pot
	printf '%s\n' '[options]' "addons_path = $source/addons" 'db_host = 127.0.0.1' "db_port = $pg_port" 'db_user = odoo' \
		"data_dir = $place/odoo-data" >"$root$conf"
	as odoo odoo i18n export -c "$conf" -d addon -o "$made" sale_bcpaid >"$home/i18n.log" 2>&1
	diff <(sed -E '/^"(POT-Creation|PO-Revision)-Date/d' "$root$kept") <(sed -E '/^"(POT-Creation|PO-Revision)-Date/d' "$root$made") >&2 || {
		echo "addons/sale_bcpaid/i18n/sale_bcpaid.pot is not what the addon says: take $root$made" >&2
		return 1
	}
}
