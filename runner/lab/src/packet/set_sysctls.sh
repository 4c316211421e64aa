#!/bin/sh
# set_sysctls.py: writes FILE=VALUE for each argument, and a script that puts the old values back.
# The guest has no Python; the kernel's script of this name does the same.
restore="/tmp/sysctl_restore_$PACKETDRILL_PID.sh"
echo '#!/bin/sh' >"$restore"
chmod u+x "$restore"
status=0
for word; do
    file=${word%%=*}
    if ! old=$(cat "$file" 2>/dev/null); then
        echo "there is no $file" >&2
        status=1
        continue
    fi
    echo "echo '$old' >$file" >>"$restore"
    if ! echo "${word#*=}" 2>/dev/null >"$file"; then
        echo "$file does not take '${word#*=}'" >&2
        status=1
    fi
done
exit $status
