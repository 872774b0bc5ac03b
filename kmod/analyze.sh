#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# analyze.sh FLAGS... FILE: clang's static analyzer as kbuild's CHECK: make C=2
# CHECK=.../analyze.sh. kbuild passes gcc's flags; those that clang does not know, and
# what concerns code generation or warnings, mean nothing to it.
flags=()
for flag; do
	case $flag in
	-f* | -W* | -mpreferred-stack-boundary=* | -mindirect-branch* | -mfunction-return=* | -mharden-sls=* | \
		-mrecord-mcount | -mno-fp-ret-in-387 | --arch=* | -nostdinc) ;;
	*) flags+=("$flag") ;;
	esac
done
exec clang --analyze --analyzer-output text -Xanalyzer -analyzer-checker=core,deadcode,nullability,unix \
	-std=gnu11 -fshort-wchar -fno-builtin -w "${flags[@]}"
