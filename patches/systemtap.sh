#!/bin/bash
# Makes systemtap.lock anew, as kernel-configs/tools.sh makes tools.lock: the further packages of
# Debian that chapter 17 asks for by this name. It takes apt, but no root, and changes nothing but
# that file:
#
#     patches/systemtap.sh
#
# apt resolves the name as if nothing were installed, and checks the archive's signature. Of its
# answer, what tools.lock has is left away, and so is what nothing here needs (below). Read the
# difference before you commit it. A mirror nearer than the default is taken from MIRROR.
set -euo pipefail
export LC_ALL=C

# As in tools.sh. The packages must go together with those of tools.lock, so take its day.
here=$(cd "$(dirname "$0")" && pwd)
base=$here/../kernel-configs/tools.lock
snapshot=${SNAPSHOT:-$(awk '$1 == "snapshot" { print $2 }' "$base")}
host=deb
mirror=${MIRROR:-http://$host.debian.org/debian}
suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

wanted=(
    systemtap # makes a module of a script, loads it and prints what it says
)

left_out=(
    # The same as in tools.sh: compilers' features, what configures and manages users.
    adduser debconf dpkg gcc-12-base libaudit-common libdb5.3 libpam-modules libpam-modules-bin
    libpam0g libpcre2-8-0 libsemanage-common libsemanage2 libsepol2 libtirpc-common media-types
    passwd readline-common
    # A whole Python, for helpers that are not unpacked.
    libexpat1 libpython3-stdlib libpython3.11-minimal libpython3.11-stdlib libssl3 lsb-release
    python3 python3-minimal python3.11 python3.11-minimal
    # Names of services, which nobody looks up.
    libavahi-common-data
)
# How the paths begin that are not unpacked: helpers in Python, another backend, an editor's.
skip=(
    etc/emacs
    usr/bin/stap-prep
    usr/bin/stap-profile-annotate
    usr/bin/stap-report
    usr/bin/stapbpf
    usr/lib/emacsen-common
    usr/lib/systemtap/stap-authorize-cert
    usr/share/emacs
)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/lists/partial "$root"/cache/archives/partial
signed=; [ ! -e $keyring ] || signed="[signed-by=$keyring] "
echo "deb $signed$mirror $suite main" >"$root/sources.list"
options=(
    -oDir::State::status=/dev/null -oDir::State::Lists="$root/lists" -oDir::Cache="$root/cache"
    -oDir::Etc::sourcelist="$root/sources.list" -oDir::Etc::sourceparts=/dev/null
    -oAPT::Architecture=amd64 -oAPT::Architectures=amd64 -oAPT::Install-Recommends=false
    -oAcquire::Languages=none
)
# root cannot give up its rights to a user who may not look into this folder.
[ "$(id -u)" != 0 ] || options+=(-oAPT::Sandbox::User=root)

apt-get "${options[@]}" -qq update --error-on=any
{
    printf '%s\n' "${left_out[@]}"
    awk 'NF == 5 && $1 != "#" { print $1 }' "$base"
} >"$root/left-out"
apt-get "${options[@]}" -qq --simulate install "${wanted[@]}" |
    sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort |
    awk -F= 'NR == FNR { out[$1]; next } !($1 in out)' "$root/left-out" - >"$root/chosen"
xargs apt-cache "${options[@]}" show <"$root/chosen" | awk '
    $1 == "Package:" { name = $2 }
    $1 == "Version:" { version = $2 }
    $1 == "Filename:" { path = $2 }
    $1 == "Size:" { size = $2 }
    $1 == "SHA256:" { hash = $2 }
    !NF && name { print name, version, size, hash, path; name = "" }
    END { if (name) print name, version, size, hash, path }' | sort >"$root/lines"
if ! cut -d ' ' -f 1,2 "$root/lines" | tr ' ' = | sort | cmp -s - "$root/chosen"; then
    echo "apt-cache shows other packages than apt-get has chosen" >&2
    exit 1
fi
{
    echo "# Further Debian packages ($suite, main, amd64), for chapter 17: name, version, size,"
    echo "# SHA-256, place in the archive; and how the paths begin that are not unpacked. Made by"
    echo "# systemtap.sh; not by hand. At this date Debian's archive of all days has these:"
    echo "snapshot $snapshot"
    printf 'skip %s\n' "${skip[@]}"
    cat "$root/lines"
} >"$here/systemtap.lock"
awk 'NF == 5 && $1 != "#" { bytes += $3; n++ } END { printf "%d packages, %.1f MB\n", n, bytes / 1e6 }' \
    "$here/systemtap.lock"
