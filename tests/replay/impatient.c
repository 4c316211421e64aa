/* A main loop of QEMU's that never waits longer than 20 to 80 microseconds for something to happen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

int ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	static int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	static unsigned int seed = 1;
	struct timespec soon = { .tv_nsec = (20 + rand_r(&seed) % 60) * 1000 };

	if (!next) {
		next = dlsym(RTLD_NEXT, "ppoll");
		prctl(PR_SET_TIMERSLACK, 1);
	}
	if (!timeout || timeout->tv_sec || timeout->tv_nsec > soon.tv_nsec)
		timeout = &soon;
	return next(files, count, timeout, mask);
}
