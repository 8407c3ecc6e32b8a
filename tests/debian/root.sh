# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Roots of Debian's releases to test in, for scripts to source. They are made by debootstrap from the archive
# that this machine's apt uses.

# Prints the address of Debian's archive.
find_archive() {
	apt-get indextargets --format "\$(ORIGIN)|\$(COMPONENT)|\$(RELEASE)|\$(SITE)" |
		sed -n '/-security|\|-updates|\|-backports|/d; s/^Debian|main|[^|]*|//p' | head -n 1
}

# configure_network ROOT: how this machine's apt reaches the archive, and how names are found.
configure_network() {
	local root=$1 file
	apt-config dump | grep -E '^Acquire::(http|https|Retries)' >"$root/etc/apt/apt.conf.d/90host" || true
	for file in resolv.conf hosts; do
		if [[ -e /etc/$file ]]; then
			cp -L --remove-destination "/etc/$file" "$root/etc/$file"
		fi
	done
}

# make_root SUITE ROOT PACKAGES (with commas): made again when it is there with other packages.
make_root() {
	local suite=$1 root=$2 packages=$3 archive
	if [[ -d $root && $(cat "$root.packages" 2>/dev/null) == "$packages" ]]; then
		return
	fi
	archive=$(find_archive)
	if [[ -z $archive ]]; then
		say "this machine's apt knows no archive of Debian to make a root from"
		return 1
	fi
	say "making a root of $suite"
	rm -rf "$root" "$root.new"
	if ! debootstrap --variant=minbase --include="$packages" "$suite" "$root.new" "$archive" \
		>"$root.log" 2>&1; then
		tail -n 20 "$root.log" >&2
		say "debootstrap failed; the end of $root.log is above"
		return 1
	fi
	mv "$root.new" "$root"
	printf '%s\n' "$packages" >"$root.packages"
}
