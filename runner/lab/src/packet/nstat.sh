#!/bin/sh
# nstat: the counters of the network that have changed since the last time. -n: only takes note of
# them; -s: takes none. iproute2's has more options; packet scripts use these.
history="/tmp/nstat.${PACKETDRILL_PID:-0}"
show=1 keep=1
for word; do
    case $word in
    -n) show= ;;
    -s) keep= ;;
    -[sn][sn]) show= keep= ;;
    *) echo "nstat: there is no option $word here" >&2; exit 2 ;;
    esac
done
counters=$(awk -F': ' '
    name == $1 { n = split($2, values, " "); for (i = 1; i <= n; i++) print prefix names[i], values[i]; name = ""; next }
    { name = $1; prefix = name; split($2, names, " ") }
' /proc/net/snmp /proc/net/netstat)
[ -f "$history" ] || : >"$history"
if [ "$show" ]; then
    echo '#kernel'
    echo "$counters" | awk -v history="$history" '
        BEGIN { while ((getline line < history) > 0) { split(line, pair, " "); old[pair[1]] = pair[2] } }
        $2 - old[$1] != 0 { printf "%-32s%-16d %3.1f\n", $1, $2 - old[$1], 0 }'
fi
[ "$keep" ] && echo "$counters" >"$history"
exit 0
