#!/bin/bash
# Makes tools.lock anew: the Debian packages whose files are the lab's own programs. It takes apt,
# but no root, and changes nothing but that file:
#
#     kernel-configs/tools.sh
#
# apt resolves the names below as if nothing were installed, without what is only recommended, and
# checks the archive's signature. Of its answer, what nothing in the lab needs is left out (below,
# too). Read the difference before you commit it, and see that `cargo test --test tools` agrees. A
# mirror nearer than the default is taken from MIRROR.
set -euo pipefail
export LC_ALL=C

# The date at which Debian's archive of all days has exactly these versions: today, unless it is
# given.
snapshot=${SNAPSHOT:-$(date -u +%Y%m%dT000000Z)}
host=deb
mirror=${MIRROR:-http://$host.debian.org/debian}
suite=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

wanted=(
    bash            # the shell of the `host` and `lab` steps
    bc              # constants of the kernel's clock
    bison           # the kernel's configuration
    bubblewrap      # starts all of these, with nothing but their own root in sight
    bzip2           # unpacks busybox's source
    conntrack       # shows which addresses were translated
    coreutils       # cat, ls, nproc and so on: the builds and the steps
    cpio            # packs a root by hand, in chapter 3
    dash            # sh, for the builds
    diffutils       # cmp, for the kernel's build
    e2fsprogs       # makes the disk of chapter 3
    file            # says what was built, in chapter 1
    findutils       # find and xargs, for the kernel's build
    flex            # the kernel's configuration
    gawk            # awk, for the builds
    gcc             # compiles the kernel, busybox and the guest's programs
    gdb             # looks into the kernel
    grep            # the builds and the steps
    gzip            # packs and unpacks
    iproute2        # lays the lab's cables
    iptables        # translates addresses
    libc-bin        # the locale C.UTF-8
    libelf-dev      # the kernel's objtool
    lz4             # packs the kernel's image
    make            # runs the builds
    mount           # mounts what the steps make
    ncurses-base    # descriptions of terminals
    netbase         # names of ports and protocols
    perl-base       # scripts of the kernel's build
    procps          # ps, sysctl and so on, for the steps
    qemu-system-x86 # is the machine
    sed             # the builds and the steps
    tar             # packs and unpacks
    tcpdump         # reads the wire
    util-linux      # setpriv, unshare, prlimit and so on: what starts the others
    xz-utils        # unpacks the kernel's source
    zstd            # unpacks a source of the reader's own
)

left_out=(
    # What only gcc's other features want: sanitizers, OpenMP, transactions, decimal floats, gdb's
    # `compile`, and documents.
    gcc-12-base libasan8 libatomic1 libcc1-0 libgomp1 libitm1 liblsan0 libquadmath0 libtsan2
    libubsan1
    # A profiler, which comes with binutils (tools.skip).
    libgprofng0
    # What only modules of QEMU want that are not unpacked (tools.skip): screens, sound, cards.
    iso-codes libasound2 libasound2-data libbrlapi0.8 libcacard0 libdrm2 libdrm-common libepoxy0
    libgbm1 libgstreamer1.0-0 libgstreamer-plugins-base1.0-0 libnspr4 libnss3 liborc-0.4-0 libopus0
    libpcsclite1 libsndio7.0 libspice-server1 libunwind8 libusb-1.0-0 libusbredirparser1
    libwayland-server0
    # gdb can colour source by a library that wants Boost and ICU. tools.rs has gdb do without.
    libboost-regex1.74.0 libicu72 libsource-highlight4v5 libsource-highlight-common
    # A whole perl, for usrmerge (below). The kernel's build takes perl-base only.
    libfile-find-rule-perl libgdbm6 libgdbm-compat4 libnumber-compare-perl libperl5.36
    libtext-glob-perl perl perl-modules-5.36
    # A database for `arpd`, and one for a module of Python (tools.skip).
    libdb5.3 libsqlite3-0
    # What installs and configures packages, and manages users.
    adduser base-files debconf debianutils dpkg init-system-helpers libpam-modules
    libpam-modules-bin libsemanage2 libsemanage-common libsepol2 passwd sensible-utils ucf usrmerge
    # Configuration, tools and headers beside libraries.
    libaudit-common libc-dev-bin libcap2-bin libdebuginfod-common libexecs0 libnsl-dev
    libsasl2-modules-db libtirpc-common libtirpc-dev logsave media-types readline-common
    rpcsvc-proto util-linux-extra
)

here=$(cd "$(dirname "$0")" && pwd)
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
apt-get "${options[@]}" -qq --simulate install "${wanted[@]}" |
    sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort >"$root/resolved"
printf '%s\n' "${left_out[@]}" | sort >"$root/left-out"
unknown=$(sed 's/=.*//' "$root/resolved" | sort | comm -13 - "$root/left-out")
[ -z "$unknown" ] || echo "left out, but not asked for any more:" $unknown >&2
awk -F= 'NR == FNR { out[$1]; next } !($1 in out)' "$root/left-out" "$root/resolved" >"$root/chosen"
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
    echo "# The Debian packages ($suite, main, amd64) whose files are the lab's own programs: name,"
    echo "# version, size, SHA-256, place in the archive. Made by tools.sh, which says what each is"
    echo "# for; not by hand. At this date Debian's archive of all days has exactly these:"
    echo "snapshot $snapshot"
    cat "$root/lines"
} >"$here/tools.lock"
awk 'NF == 5 { bytes += $3; n++ } END { printf "%d packages, %.1f MB\n", n, bytes / 1e6 }' \
    "$here/tools.lock"
