#!/bin/bash
echo "$1" >/proc/sys/net/ipv4/tcp_sack
