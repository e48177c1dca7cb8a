# shellcheck shell=bash disable=SC2154  # the variables are those of script/odoo19, which this is a part of
# What a payment costs with bcpaid attached, see cost/payment_cost.py.

payment_cost() {
	say "preparing unpaid invoices"
	sql postgres "CREATE DATABASE cost TEMPLATE shop_base STRATEGY file_copy"
	cost_step prepare
	local name
	for name in without with again; do sql postgres "CREATE DATABASE cost_$name TEMPLATE cost STRATEGY file_copy"; done
	say "measuring payments with and without bcpaid"
	cost_step measure
	for name in cost cost_without cost_with cost_again; do sql postgres "DROP DATABASE $name"; done
}

cost_step() {
	as odoo python3 -B "$source/t/odoo19/cost/payment_cost.py" "$1" --socket "$place" --port "$pg_port" --addons "$source/addons" \
		--sandbox "$(ready control)" 2>"$home/payment-cost.log" || { tail -20 "$home/payment-cost.log" >&2; return 1; }
}
