# Makes a folder, prints its name, and takes it away again when standard input ends. $1 is the
# pattern of the name.

# What a terminal sends when it closes, or for Ctrl-C, is not for this shell.
trap '' HUP INT QUIT TERM
folder=$(mktemp -d -- "$1") || exit
home=HOME=$folder
# grep would take each line for a home of its own.
case $home in *"
"*) home= ;; esac
printf %s "$folder"
exec >/dev/null 2>&1
read -r _
# Its name may be gone before the last of those that have it as their root. If it is gone already,
# this shell is still where it was, which is others' root.
chmod u+rwx -- "$folder"
staged=
cd -- "$folder" && [ -e proc/mounts ] && staged=yes
round=0
while [ $((round += 1)) -le 100 ]; do
	# Who has the folder as its home was started for it, and its process group with it. So was who
	# has it as its root, which only somebody of the same user may know.
	found=$(
		[ -z "$home" ] || grep -lsxzF "$home" /proc/[0-9]*/environ
		rooted='for process in /proc/[0-9]*; do [ ! "$process/root" -ef . ] || echo "$process/environ"; done'
		[ -z "$staged" ] || { sh -c "$rooted" && setpriv --reuid 1000 --regid 1000 --clear-groups sh -c "$rooted"; }
	)
	for process in $found; do
		read -r line <"${process%environ}stat" || continue
		# NUMBER (NAME) STATE PARENT GROUP …
		set -- ${line##*) }
		kill -s KILL -- "-$3"
	done
	# Somebody who is just dying may still write into it, or have closed a folder in it. Who has just
	# been started may be missed, and then is found the next time.
	rm -rf -- "$folder" && [ -z "$found" ] && exit
	chmod -R u+rwx -- "$folder"
	sleep 0.1
done
