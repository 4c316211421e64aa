# Runs a command as a user of another machine: enter.sh ROOT USER WORD…
#
# ROOT is the root of a distribution, USER a user in it. What a container would make is made here:
# namespaces, /proc, /dev and /sys. In the end the root is a mount of its own, to which `pivot_root`
# goes: who is in a chroot may make no namespace. /dev has what udev makes for everybody, with its
# rights. RUST is the folder with Rust's toolchain; the network is this machine's.
if [ "$1" != inside ]; then
    exec unshare --mount --pid --fork --kill-child --propagation private sh "$0" inside "$@"
fi
set -e
root=$2 user=$3
shift 3
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -p dev/pts dev/shm dev/net oldroot opt/rust
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 net/tun:10:200; do
    mknod -m 666 "dev/${device%%:*}" c $(echo "${device#*:}" | tr : ' ')
done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for fd in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${fd%:*}" "dev/${fd#*:}"
done
mount --bind "$RUST" opt/rust
mount -o remount,bind,ro opt/rust
for shared in etc/resolv.conf etc/hosts etc/ssl/certs/ca-certificates.crt; do
    touch "$shared"
    mount --bind "/$shared" "$shared"
done
pivot_root . oldroot
umount -l /oldroot
home=$(getent passwd "$user" | cut -d: -f6)
cd "$home"
path=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -- env -i HOME="$home" USER="$user" PATH="$path" LANG=C.UTF-8 TERM=dumb "$@"
if [ "$user" != root ]; then
    set -- setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all \
        --bounding-set=-all "$@"
fi
exec "$@"
