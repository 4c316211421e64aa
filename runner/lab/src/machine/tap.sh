# What the lab is before a chapter's first step in it. Nothing here is the reader's own network:
# /run, /sys and /proc/sys/net are the namespaces' own.
set -e
# /sys would show the machine's interfaces.
busybox mount -t tmpfs tmpfs /sys
# A new network begins with the machine's settings for IPv4: a router's, say. IPv6 would announce
# itself on each cable.
cd /proc/sys/net
echo 0 | tee ipv4/ip_forward ipv4/conf/{all,default}/rp_filter ipv4/conf/{all,default}/log_martians >/dev/null
[ ! -e ipv6 ] || echo 1 | tee ipv6/conf/{all,default}/disable_ipv6 >/dev/null
# The guest's cable. Any user may hold its other end, so QEMU needs no rights.
ip tuntap add dev tap0 mode tap user 1000
ip link set dev tap0 address 52:54:00:00:03:01
ip link set dev lo up
# A guest that gdb holds for a while does not answer. It must not be given up for that.
echo 60 > ipv4/neigh/tap0/ucast_solicit
