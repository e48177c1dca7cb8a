# script/lib.sh: what script/demo and script/test share: Debian packages, a
# private directory, a private PostgreSQL, and an end that leaves nothing.
#
# Everything runs in $work, a directory of its own under /tmp (or BCPAID_TMP),
# with copies of the sources and of Debian's PostgreSQL: the copy finds its
# files by where it lies, so bcpaid is installed there and nowhere else. As
# root all but apt runs as the user postgres: PostgreSQL refuses root.
#
# PG_MAJOR chooses among several installed versions; by default it is the one
# that Debian has.

# shellcheck shell=bash
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=script/$(basename "$0")

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }

# Runs a command with its output in a log, which is shown only if it fails.
quietly() {
	local log=$work/log/$1
	shift
	attended "$@" >>"$log" 2>&1 && return
	printf '%s: this failed: %s\n' "$me" "$*" >&2
	tail -n 40 "$log" | sed 's/^/    /' >&2
	exit 1
}

# In the background and waited for, because bash runs a trap only between
# foreground commands: so that Ctrl-C and a TERM end everything at once.
attended() {
	local status=0
	"$@" <&0 &
	wait $! || status=$?
	return "$status"
}

# --- The private directory --------------------------------------------------

# Short, because the path of a Unix socket has at most 107 characters, and not
# in the checkout, because the user postgres may not be able to go there.
# Nobody else can enter it: whoever reaches the socket is superuser there.
open_work() {
	work=$(mktemp -d "${BCPAID_TMP:-/tmp}/bcpaid.XXXXXX")
	trap close_work EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$work"/{source,log,tmp,pg}
}

close_work() {
	# A second Ctrl-C must not stop the cleaning up.
	trap '' INT TERM HUP
	restore_cluster_policy
	end_processes
	rm -rf "$work"
}

# The processes of this directory, and no others: those that were started from
# here run in it, or run a program that lies in it.
processes() {
	local directory
	for directory in /proc/[0-9]*; do
		case "$(readlink "$directory/exe" "$directory/cwd" 2>/dev/null)" in
		*"$work"*) [ "${directory#/proc/}" = $BASHPID ] || say "${directory#/proc/}" ;;
		esac
	done
}

# Politely, then PostgreSQL's immediate shutdown, which frees shared memory
# (and which its backends take as well), then by force.
end_processes() {
	local signal ids deadline
	cd /
	for signal in TERM QUIT KILL; do
		ids=$(processes)
		[ -n "$ids" ] || return 0
		# shellcheck disable=SC2086  # a list of numbers
		kill -"$signal" $ids 2>/dev/null || true
		deadline=$((SECONDS + 5))
		while [ -n "$(processes)" ] && ((SECONDS < deadline)); do sleep 0.1; done
	done
}

# Runs a command in the sources' copy, as a user whom PostgreSQL accepts, and
# with an environment of its own: no PGHOST or MAKEFLAGS of the caller's.
as_user() {
	local drop=()
	[ "$(id -u)" = 0 ] && drop=(setpriv --reuid=postgres --regid=postgres --init-groups)
	cd "$work/source" || return
	"${drop[@]}" env -i HOME="$work" TMPDIR="$work/tmp" PATH="$pg_bin:/usr/local/bin:/usr/bin:/bin" \
		LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" PYTHONDONTWRITEBYTECODE=1 PG_CONFIG="$pg_bin/pg_config" \
		BCPAID_WORK="$work" BCPAID_DATABASES="${BCPAID_DATABASES:-}" BCPAID_FUZZ_S="${BCPAID_FUZZ_S:-}" \
		BCPAID_CAPTURES="${BCPAID_CAPTURES:-}" "$@"
}

# --- Debian's packages ------------------------------------------------------

# Debian 12 has PostgreSQL 15, Debian 13 has 17.
find_major() {
	local candidate
	major=${PG_MAJOR:-}
	[ -z "$major" ] || return 0
	command -v apt-get >/dev/null || fail "this needs Debian 12 or 13 (or something with its packages)"
	case "$(. /etc/os-release && echo "$ID ${VERSION_ID:-}")" in
	"debian 12") major=15 ;;
	"debian 13") major=17 ;;
	*)
		candidate=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
		major=${candidate:?apt knows no package postgresql: try apt-get update, or set PG_MAJOR}
		;;
	esac
}

is_installed() {
	[[ " $(dpkg-query -W -f '${db:Status-Status} ' "$1" 2>/dev/null)" == *" installed "* ]]
}

# Installs what is missing of what both commands need, and of what is named.
need_packages() {
	local package missing=()
	find_major
	for package in "postgresql-$major" "postgresql-server-dev-$major" libcurl4-openssl-dev libjansson-dev \
		gcc libc6-dev make pkgconf python3 openssl "$@"; do
		is_installed "$package" || missing+=("$package")
	done
	pg_bin=$work/pg/lib/postgresql/$major/bin
	[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

install_packages() {
	as_root=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			fail "Debian packages are missing, and there is no sudo. Run this once as root, or: apt-get install --no-install-recommends $*"
		as_root=(sudo)
	fi
	say "Installing Debian packages: $*"
	# An archive that does not answer may be one that is not needed.
	apt_get update || say "  (apt-get update had problems; going on)"
	is_installed "postgresql-$major" || forbid_main_cluster
	quietly apt apt_get install "$@"
	restore_cluster_policy
}

apt_get() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >>"$work/log/apt" 2>&1
}

# Debian's package makes and starts a server of its own when it is installed.
# Nobody asked for one here, so that is switched off for as long as it takes.
cluster_policy=/etc/postgresql-common/createcluster.conf
forbid_main_cluster() {
	say "  (without the server \"main\" that Debian's package would start)"
	is_installed postgresql-common || quietly apt apt_get install postgresql-common
	cp -p "$cluster_policy" "$work/createcluster.conf"
	echo 'create_main_cluster = false' | "${as_root[@]}" tee -a "$cluster_policy" >/dev/null
}

restore_cluster_policy() {
	[ -e "$work/createcluster.conf" ] || return 0
	"${as_root[@]}" cp "$work/createcluster.conf" "$cluster_policy"
	rm "$work/createcluster.conf"
}

# --- Sources and server -----------------------------------------------------

# What git would take, uncommitted work included, and no build products. Root
# in somebody else's checkout is all right: only names are read.
list_sources() {
	git -c safe.directory="$repo" -C "$repo" ls-files -z --cached --others --exclude-standard 2>/dev/null ||
		(cd "$repo" && find . -type f ! -path './.*/*' ! -name '*.[oa]' ! -name '*.so' ! -name '*.bc' -printf '%P\0')
}

# --ignore-failed-read: a file may be deleted but not yet committed so.
copy_sources() {
	list_sources | tar -C "$repo" --null --ignore-failed-read -T - -cf - 2>/dev/null |
		tar -C "$work/source" -xf - --no-same-owner
}

prepare_work() {
	copy_sources
	mkdir -p "$work"/pg/{lib,share}/postgresql
	cp -a "/usr/lib/postgresql/$major" "$work/pg/lib/postgresql/"
	cp -a "/usr/share/postgresql/$major" "$work/pg/share/postgresql/"
	ln -s /usr/include "$work/pg/include"
	hand_over_work
}

# To the user who runs all but apt.
hand_over_work() {
	[ "$(id -u)" != 0 ] || chown -R postgres: "$work"
	as_user "$pg_bin/pg_config" --version >/dev/null ||
		fail "programs cannot run in $work: set BCPAID_TMP to a short directory where they can"
}

build() { as_user make -s -j"$(nproc)" with_llvm=no; }

# A second build of bcpaid, with options for the compiler: build_variant stops
# -DBCPAID_STOP_POINTS.  Its sources are in $work/stops/source, its PostgreSQL
# in $work/stops/pg.  Made once, by the user who runs the tests.
build_variant() {
	local here=$work/$1
	[ ! -e "$here/built" ] || return 0
	mkdir -p "$here" && cp -a "$work/source" "$work/pg" "$here" &&
		make -s -C "$here/source" clean &&
		make -s -C "$here/source" -j"$(nproc)" with_llvm=no COPT="${*:2}" PG_CONFIG="$(variant_bin "$1")/pg_config" all install &&
		touch "$here/built"
}

# Where the programs of a variant's PostgreSQL are.
variant_bin() { echo "$work/$1${PG_CONFIG#"$work"}" | sed 's,/pg_config$,,'; }
