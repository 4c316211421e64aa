#!/bin/sh
# Three callers that never answer, a fourth, and an honest one, for a server with a backlog of 2.

export PATH
mount -t devtmpfs devtmpfs /dev
mount -t sysfs sysfs /sys
# The server has a network namespace of its own, at the other end of a wire.
unshare -n sleep 1000 &
namespace=$!
at_server() {
    nsenter -t $namespace -n "$@"
}
sleep 1
ip link add near type veth
ip link set veth0 name far
ip link set far netns $namespace
ip addr add 10.0.3.2/24 dev near
ip addr add 10.0.3.22/24 dev near
ip link set near up
at_server ip addr add 10.0.3.1/24 dev far
at_server ip link set far up
# What it sends to 10.0.3.22 is lost.
at_server arp -s 10.0.3.22 52:54:00:12:34:99
at_server server 9090 2 >/dev/null &
sleep 1

for port in 4001 4002 4003 4004; do
    nc -s 10.0.3.22 -p $port 10.0.3.1 9090 &
    sleep 0.3
done
timeout 5 client 10.0.3.1 9090 hello
at_server netstat -tan 2>/dev/null | sort
at_server cat /proc/net/netstat |
    awk '/^TcpExt/ { for (i in name) if (name[i] ~ /^TCPReqQFull|^Syncookies/) print name[i], $i; split($0, name) }' |
    sort
dmesg | grep "SYN flooding"
