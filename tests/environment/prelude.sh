# What the lines of a row can use. HERE is a folder of the row's own, LAB the lab's cache, PAGE the
# book.
set -e
cd "$PAGE"

# A cache of this name, with the lab in it but for what is built from the guest's files, or with
# "made" all of it.
cache() {
	local kinds='kernel kernel-source busybox busybox-source tools' kind
	[ "$2" != made ] || kinds="$kinds programs turns initramfs"
	mkdir -p "$HERE/$1/ship-of-theseus"
	for kind in $kinds; do ln -s "$LAB/$kind" "$HERE/$1/ship-of-theseus"; done
	export XDG_CACHE_HOME=$HERE/$1
}

# A cache of this name whose kernel can be changed. It has what the steps look at.
own_kernel() {
	local from to kernel
	cache "$1"
	rm "$XDG_CACHE_HOME/ship-of-theseus/kernel"
	for kernel in "$LAB"/kernel/*/; do
		[ -e "$kernel/complete" ] || continue
		from=$kernel to=$XDG_CACHE_HOME/ship-of-theseus/kernel/$(basename "$kernel")
		mkdir -p "$to"
		(cd "$from" && cp -a --parents complete linux/{.config,vmlinux,scripts/gdb,arch/x86/boot/bzImage,net/ipv4/af_inet.c} "$to")
	done
}

# The book in a folder of this name, with files of its own.
page() {
	mkdir -p "$HERE/$1"
	cp -rL "$PAGE/." "$HERE/$1"
	cd "$HERE/$1"
}

# A function of the shell that a program in the shell would call in place of the real one.
spoil() {
	local name
	for name; do
		eval "$name() { echo spoilt; return 9; }"
		export -f "${name?}"
	done
}

# A folder with these programs, which only fail.
broken() {
	local name
	mkdir -p "$HERE/broken"
	for name; do printf '#!/bin/sh\necho broken >&2\nexit 9\n' >"$HERE/broken/$name"; done
	chmod +x "$HERE/broken"/*
	printf %s "$HERE/broken"
}

# So many letters.
long() { printf "%0$1d" 0; }

# A file system at this place in HERE.
mounted() {
	mkdir -p "$HERE/$1"
	mount -t tmpfs -o "$2" tmpfs "$HERE/$1"
}

# Runs a command in a terminal of so many columns.
in_terminal() {
	local columns=$1
	shift
	exec script -qec "stty cols $columns; $(printf '%q ' "$@")" /dev/null </dev/null
}
