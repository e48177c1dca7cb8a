# shellcheck shell=bash disable=SC2154  # the variables are those of script/odoo19, which this is a part of
# Chromium for the cases that a person at the screen would make (t/odoo19/cases_browser*.py), and their pictures.

# Debian's own: chromium-driver speaks WebDriver, selenium is the library for it.
browser_packages=(chromium chromium-driver python3-selenium fonts-dejavu-core)
screenshots=$place/screenshots

# All cases, those of the browser, or one of them.
wants_browser() {
	is_wanted browser "$@" && return
	local word
	for word; do
		! grep -q "^def $word(" "$repo"/t/odoo19/cases_browser*.py || return 0
	done
	return 1
}

# Into the folder that is there: its lists are as old as the folder, so they are read anew where they do not serve.
make_browser() {
	mount_system
	say "installing Chromium"
	{
		in_root apt-get install -y --no-install-recommends "${browser_packages[@]}" || {
			in_root apt-get update && in_root apt-get install -y --no-install-recommends "${browser_packages[@]}"
		}
		in_root apt-get clean
	} >"$home/apt-browser.log" 2>&1 || { tail -20 "$home/apt-browser.log" >&2; return 1; }
	mark_current browser
}

# Runs the cases, and keeps what they looked at, failures above all, to be looked at by a person.
with_screenshots() {
	rm -rf "${root:?}$screenshots"
	install -d -m 0777 "$root$screenshots"
	local status=0
	"$@" || status=$?
	if [ -n "$(ls "$root$screenshots")" ]; then
		rm -rf "$home/screenshots"
		cp -r "$root$screenshots" "$home/screenshots"
		echo "# screenshots: $home/screenshots"
	fi
	return "$status"
}
