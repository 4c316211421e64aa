/*
 * Lets the two threads of QEMU take turns, so that the guest repeats itself on a busy machine, too.
 *
 * With `-icount` and `sleep=off` the main loop takes the guest's clock forward to its next timer whenever the
 * processor is idle. It is idle once it has halted (all_cpu_threads_idle in softmmu/cpus.c), and the processor's
 * thread says that it has without the lock that the main loop holds (do_hlt in target/i386), before it counts the
 * instructions of its last turn (icount_process_data). A main loop that looks in between takes the clock too far, by
 * as much as these instructions take. What wakes it up just then is chance: that another program has had its turn.
 *
 * So whenever the main loop has waited (ppoll), it waits for the processor's thread to wait as well: that one is the
 * only one besides it that waits for a condition without a limit. How long that takes in real time is for the machine
 * to say, which may be busy. What counts is how long the guest has computed since it last waited, in time of the host's
 * processor: one that goes on for more than a moment is not about to halt, and is not waited for. Nor is any when
 * something has come from outside, as a debugger may want to stop it, or somebody to end it.
 *
 * The library is loaded in front of QEMU's others (LD_PRELOAD).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * A moment, in the guest's processor time, and how long the main loop waits for less than that, both in ns. To start a
 * program takes a good part of a moment, as QEMU translates its code when it is run for the first time.
 */
#define MOMENT (500 * 1000 * 1000)
#define PATIENCE (5 * 1000 * 1000 * 1000LL)
/* How long it waits before it looks at that time again. */
#define LOOK (2 * 1000 * 1000)

/* Whether the processor's thread waits; before there is one, nobody has to wait for it. */
static atomic_uint waits = 1;
/* Its processor time, and how much it had when it last ended a wait. */
static clockid_t spent;
static atomic_llong began;

static int is_main(void)
{
	return syscall(SYS_gettid) == getpid();
}

static long long now(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? 0 : time.tv_sec * 1000000000LL + time.tv_nsec;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	static int (*next)(pthread_cond_t *, pthread_mutex_t *);
	int result;

	if (!next)
		next = dlsym(RTLD_NEXT, "pthread_cond_wait");
	if (is_main())
		return next(condition, mutex);
	waits = 1;
	syscall(SYS_futex, &waits, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	result = next(condition, mutex);
	pthread_getcpuclockid(pthread_self(), &spent);
	began = now(spent);
	waits = 0;
	return result;
}

/* Whether somebody has sent something: what QEMU tells itself comes by a descriptor of another kind. */
static int is_outside(const struct pollfd *files, nfds_t count)
{
	struct stat file;

	for (; count; files++, count--)
		if (files->revents & POLLIN && !fstat(files->fd, &file) &&
		    (S_ISSOCK(file.st_mode) || S_ISFIFO(file.st_mode) || S_ISCHR(file.st_mode)))
			return 1;
	return 0;
}

/* Waits until the processor's thread waits, or has been at work for long. */
static void let_halt(void)
{
	const struct timespec look = { .tv_nsec = LOOK };
	long long end = now(CLOCK_MONOTONIC) + PATIENCE;

	while (!waits && now(spent) - began < MOMENT && now(CLOCK_MONOTONIC) < end)
		syscall(SYS_futex, &waits, FUTEX_WAIT_PRIVATE, 0, &look, NULL, 0);
}

int ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	static int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int result, error;

	if (!next)
		next = dlsym(RTLD_NEXT, "ppoll");
	result = next(files, count, timeout, mask);
	error = errno;
	if (is_main() && !waits && !(result > 0 && is_outside(files, count)))
		let_halt();
	errno = error;
	return result;
}
