# Runs a command as root of a folder that has all files of this machine: there the system makes no
# user namespaces. $1 is the rights that root has left: all, or those of a container.
jail() {
	local rights=$1 bound=-all right
	shift
	case $rights in
	all) bound=+all ;;
	container)
		for right in chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service \
			net_raw sys_chroot mknod audit_write setfcap; do
			bound=$bound,+$right
		done
		;;
	esac
	exec unshare --mount bash -ec '
		mount --rbind / /mnt
		bound=$1 folder=$PWD
		shift
		exec chroot /mnt setpriv --bounding-set="$bound" env -C "$folder" "$@"
	' bash "$bound" "$@"
}

# Whether that can be had.
jails() { [ "$(id -u)" = 0 ] && unshare --mount true; }
