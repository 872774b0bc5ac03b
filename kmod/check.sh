#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# check.sh KDIR...: all checkers of kernel code that can be had, those that compile with
# the headers of each KDIR; one line each: "NAME: clean", "NAME: problems" with what
# they are, or "NAME: not had: why". Fails when one found something, not when one is
# missing.
set -u
cd "$(dirname "$0")" || exit 1
: "${1:?usage: check.sh KDIR...}"
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

# script NAME: where a script of the kernel's is; out of the source package when the
# headers do not bring it.
script() {
	for dir in "$kdir/scripts" "$kdir"/../../lib/linux-kbuild-*/scripts /usr/src/linux-source-*/scripts "$work"/linux-source-*/scripts; do
		[ -f "$dir/$1" ] && echo "$dir/$1" && return 0
	done
	return 1
}

# checkpatch: compat.h is about versions and old macros: only its layout is checked.
check_patch() {
	for tar in ${LINUX_SOURCE:-/usr/src/linux-source-*.tar.xz}; do
		[ -f "$tar" ] && tar xf "$tar" -C "$work" --wildcards \
			'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch' 2>/dev/null
	done
	if ! checkpatch=$(script checkpatch.pl); then
		echo "checkpatch: not had: install the package linux-source, or set LINUX_SOURCE to its archive"
		return
	fi
	perl "$checkpatch" --strict --no-tree --terse --no-summary -q -f ./*.c internal.h include/*.h >"$work/out" 2>/dev/null
	perl "$checkpatch" --strict --no-tree --terse --no-summary -q --types \
		LONG_LINE,TRAILING_WHITESPACE,CODE_INDENT,LEADING_SPACE,SPACING,SPDX_LICENSE_TAG,BLOCK_COMMENT_STYLE \
		-f compat.h >>"$work/out" 2>/dev/null
	rm -f .checkpatch-camelcase.*
	result checkpatch "$work/out"
}

check_kernel_doc() {
	if kerneldoc=$(script kernel-doc); then
		"$kerneldoc" -none -Werror ./*.c ./*.h include/*.h >"$work/out" 2>&1
		result kernel-doc "$work/out"
	else
		echo "kernel-doc: not had: the headers do not bring it"
	fi
}

# compile NAME PROGRAM PACKAGE [SETTING...]: a build's warnings about our own files.
compile() {
	name=$1 program=$2 package=$3
	shift 3
	if ! command -v "$program" >/dev/null; then
		echo "$name: not had: install the package $package"
		return
	fi
	rm -rf "$work/build" && mkdir "$work/build" && cp -r Kbuild ./*.c ./*.h include "$work/build"
	if make -s -C "$kdir" M="$work/build" "$@" modules >"$work/log" 2>&1; then
		grep -E '(warning|error):' "$work/log" | grep "^$work/build" | sort -u >"$work/out"
	else
		cp "$work/log" "$work/out"
	fi
	result "$name" "$work/out"
}

# In trees of its own, so that nothing of this machine's is touched.
check_dkms() {
	if ! command -v dkms >/dev/null; then
		echo "dkms: not had: install the package dkms"
		return
	fi
	mkdir -p "$work/dkms/tree" "$work/dkms/src/clpka-1" "$work/dkms/modules"
	cp -r Kbuild Makefile dkms.conf ./*.c ./*.h include "$work/dkms/src/clpka-1"
	dkms build -m clpka -v 1 -k "$(basename "$kdir" | sed 's/^linux-headers-//')" --kernelsourcedir "$kdir" --dkmstree "$work/dkms/tree" \
		--sourcetree "$work/dkms/src" --installtree "$work/dkms/modules" >"$work/log" 2>&1 && : >"$work/log"
	result dkms "$work/log"
}

check_spec() {
	if command -v rpmspec >/dev/null; then
		rpmspec -P clpka.spec 2>"$work/out" >/dev/null || echo "it does not parse" >>"$work/out"
		result "spec file" "$work/out"
	else
		echo "spec file: not had: install the package rpm"
	fi
}

kdir=$1
check_patch
check_kernel_doc
check_dkms
check_spec
for kdir; do
	kernel=$(basename "$kdir" | sed 's/^linux-headers-//')
	compile "$kernel: W=1" make make W=1
	compile "$kernel: sparse" sparse sparse C=2 CHECK=sparse
	compile "$kernel: clang analyzer" clang clang C=2 CHECK="$PWD/analyze.sh"
	# No distribution that we know has a package of it.
	command -v smatch >/dev/null && compile "$kernel: smatch" smatch smatch C=2 CHECK="smatch -p=kernel"
done
exit $status
