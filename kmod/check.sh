#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# check.sh KDIR: all checkers of kernel code that can be had, one line each:
# "NAME: clean", "NAME: problems" with what they are, or "NAME: not had: why".
# Fails when one found something, not when one is missing.
set -u
cd "$(dirname "$0")" || exit 1
kdir=${1:?usage: check.sh KDIR}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0

# result NAME FILE: a checker's output; empty means clean.
result() {
	if [ -s "$2" ]; then
		echo "$1: problems"
		sed 's/^/    /' "$2"
		status=1
	else
		echo "$1: clean"
	fi
}

# script NAME...: where a script of the kernel's is; out of the source package when
# the headers do not bring it.
script() {
	for name; do
		for dir in "$kdir/scripts" /usr/src/linux-source-*/scripts /usr/lib/linux-kbuild-*/scripts "$work"/linux-source-*/scripts; do
			[ -f "$dir/$name" ] && echo "$dir/$name" && return 0
		done
	done
	return 1
}

for tar in ${LINUX_SOURCE:-/usr/src/linux-source-*.tar.xz}; do
	[ -f "$tar" ] && tar xf "$tar" -C "$work" --wildcards \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' 2>/dev/null
done

# compat.h is about versions and old macros: only its layout is checked.
if checkpatch=$(script checkpatch.pl); then
	perl "$checkpatch" --strict --no-tree --terse --no-summary -q -f ./*.c internal.h include/*.h >"$work/out" 2>/dev/null
	perl "$checkpatch" --strict --no-tree --terse --no-summary -q --types \
		LONG_LINE,TRAILING_WHITESPACE,CODE_INDENT,LEADING_SPACE,SPACING,SPDX_LICENSE_TAG,BLOCK_COMMENT_STYLE \
		-f compat.h >>"$work/out" 2>/dev/null
	rm -f .checkpatch-camelcase.*
	result checkpatch "$work/out"
else
	echo "checkpatch: not had: install the package linux-source, or set LINUX_SOURCE to its archive"
fi

mkdir "$work/build"
cp -r Kbuild ./*.c ./*.h include "$work/build"
checker=
command -v sparse >/dev/null && checker="C=2 CHECK=sparse"
# shellcheck disable=SC2086
if make -s -C "$kdir" M="$work/build" W=1 $checker modules >"$work/log" 2>&1; then
	grep -E '(warning|error):' "$work/log" | grep "$work/build" | sort -u >"$work/out"
else
	cp "$work/log" "$work/out"
fi
result "W=1${checker:+ and sparse}" "$work/out"
[ -n "$checker" ] || echo "sparse: not had: install the package sparse"

if kerneldoc=$(script kernel-doc); then
	"$kerneldoc" -none -Werror ./*.c ./*.h include/*.h >"$work/out" 2>&1
	result kernel-doc "$work/out"
else
	echo "kernel-doc: not had: the headers do not bring it"
fi

# Trees of its own, so that nothing of this machine's is touched.
if command -v dkms >/dev/null; then
	mkdir -p "$work/dkms/tree" "$work/dkms/src/clpka-1" "$work/dkms/modules"
	cp -r Kbuild Makefile dkms.conf ./*.c ./*.h include "$work/dkms/src/clpka-1"
	dkms build -m clpka -v 1 -k "$(basename "$kdir" | sed 's/^linux-headers-//')" --kernelsourcedir "$kdir" --dkmstree "$work/dkms/tree" \
		--sourcetree "$work/dkms/src" --installtree "$work/dkms/modules" >"$work/log" 2>&1 && : >"$work/log"
	result dkms "$work/log"
else
	echo "dkms: not had: install the package dkms"
fi

if command -v rpmspec >/dev/null; then
	rpmspec -P clpka.spec 2>"$work/out" >/dev/null || echo "it does not parse" >>"$work/out"
	result "spec file" "$work/out"
else
	echo "spec file: not had: install the package rpm"
fi

if command -v smatch >/dev/null; then
	make -s -C "$kdir" M="$work/build" C=2 CHECK="smatch -p=kernel" modules 2>&1 | grep "$work/build" >"$work/out"
	result smatch "$work/out"
else
	echo "smatch: not had: no package of it"
fi
exit $status
