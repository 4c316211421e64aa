#!/bin/sh
# tc: the kernel has no queueing disciplines, so a packet goes to its device at once. That is what
# pfifo does, too, as long as the device takes all of them; all else cannot be had.
case "$*" in
"qdisc add dev tun0 root pfifo" | "qdisc replace dev tun0 root pfifo") exit 0 ;;
esac
echo "tc: $*: the kernel has no queueing disciplines" >&2
exit 2
