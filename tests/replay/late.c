/* A QEMU that has made a socket, and takes five seconds until it listens there: longer than gdb takes to start. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

int listen(int socket, int backlog)
{
	int (*next)(int, int) = dlsym(RTLD_NEXT, "listen");

	sleep(5);
	return next(socket, backlog);
}
