#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cross.sh [ARCH]...: builds the module with W=1 for i386 and arm64, or those named, on
# a Debian x86-64 machine, with the headers of its own release for that architecture.
# They are kept in the cache. One line each: "ARCH: clean", "ARCH: problems" with what
# they are, or "ARCH: not had: why". Fails when a build has problems.
set -u
cd "$(dirname "$0")" || exit 1
status=0

# headers ARCH FLAVOUR DIR: gets and unpacks them, and prints the folder for make -C.
headers() {
	mkdir -p "$3/lists/partial" "$3/cache/archives/partial" "$3/root" || return
	: >"$3/status"
	set -- "$1" "$2" "$3" -q -o APT::Architecture="$1" -o APT::Architectures="$1" -o Dir::State::lists="$3/lists" \
		-o Dir::State::status="$3/status" -o Dir::Cache="$3/cache" -o APT::Sandbox::User= -o Acquire::Languages=none
	arch=$1 flavour=$2 dir=$3
	shift 3
	apt-get "$@" update >"$dir/log" 2>&1 # not every suite has every architecture
	name=$(apt-cache "$@" depends "linux-headers-$flavour" | sed -n 's/.*Depends: \(linux-headers-[0-9].*\)/\1/p')
	[ -n "$name" ] || return
	kdir=$dir/root/usr/src/$name
	if [ ! -d "$kdir" ]; then
		common=$(apt-cache "$@" depends "$name" | sed -n 's/.*Depends: \(linux-headers-.*-common\)/\1/p')
		kbuild=$(apt-cache "$@" depends "$name" | sed -n 's/.*Depends: \(linux-kbuild-[0-9.]*\).*/\1/p')
		# The tools run here, so they are this machine's.
		(cd "$dir" && apt-get "$@" download "$name" "$common" && apt-get -q download "$kbuild") >>"$dir/log" 2>&1 || return
		for package in "$dir"/*.deb; do
			dpkg -x "$package" "$dir/root" || return
		done
		rm "$dir"/*.deb
		sed -i "s| /usr/src/| $dir/root/usr/src/|g" "$kdir/Makefile"
	fi
	echo "$kdir"
}

[ $# -gt 0 ] || set -- i386 arm64
for arch; do
	case $arch in
	i386) flavour=686-pae cross='' name=i386 compiler=gcc ;;
	arm64) flavour=arm64 cross=aarch64-linux-gnu- name=arm64 compiler=aarch64-linux-gnu-gcc ;;
	*) echo "$arch: not had: no such architecture here" && status=1 && continue ;;
	esac
	if ! command -v "$compiler" >/dev/null; then
		echo "$arch: not had: install the package gcc-aarch64-linux-gnu"
		continue
	fi
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/shisa/cross/$arch
	if ! kdir=$(headers "$arch" "$flavour" "$dir"); then
		echo "$arch: not had: no headers: $(tail -n 1 "$dir/log")"
		continue
	fi
	work=$(mktemp -d) || exit 1
	cp -r Kbuild ./*.c ./*.h include "$work"
	make -s -C "$kdir" M="$work" ARCH="$name" CROSS_COMPILE="$cross" W=1 modules >"$work/log" 2>&1
	if [ -f "$work/clpka.ko" ] && ! grep -q -E '(warning|error):' "$work/log"; then
		echo "$arch: clean ($(basename "$kdir"))"
	else
		echo "$arch: problems"
		sed 's/^/    /' "$work/log"
		status=1
	fi
	rm -r "$work"
done
exit $status
