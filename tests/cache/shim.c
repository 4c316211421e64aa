/* Makes the Nth write below a folder fail as on a full disk, or the clock jump.
 *
 * SHIM_BELOW, SHIM_FAIL   the folder, and which of the writes fails, counted from 1; all that come after fail as well
 * SHIM_COUNT              a file to which a byte is added for each write that was seen
 * SHIM_CLOCK              the wall clock leaps by so many seconds, to and fro, whenever it is looked at
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int below(const char *path)
{
	const char *top = getenv("SHIM_BELOW");
	char whole[4096];

	if (!top || !path)
		return 0;
	if (path[0] != '/') {
		if (!getcwd(whole, sizeof(whole)))
			return 0;
		path = whole;
	}
	return !strncmp(path, top, strlen(top));
}

static int fd_below(int fd)
{
	char link[64], path[4096];
	ssize_t length;

	if (!getenv("SHIM_BELOW"))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = 0;
	return below(path);
}

/* Whether this one fails; only the process that was started with the shim counts, not its children. */
static int fails(void)
{
	static long seen;
	const char *which = getenv("SHIM_FAIL"), *count = getenv("SHIM_COUNT");

	if (count) {
		int fd = syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_CREAT | O_APPEND, 0644);

		syscall(SYS_write, fd, "x", 1);
		syscall(SYS_close, fd);
	}
	if (which && ++seen >= atol(which)) {
		errno = ENOSPC;
		return 1;
	}
	return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES (O_WRONLY | O_RDWR)

#define OPEN(name)                                                          \
	int name(const char *path, int flags, ...)                          \
	{                                                                   \
		va_list list;                                               \
		int mode;                                                   \
		va_start(list, flags);                                      \
		mode = va_arg(list, int);                                   \
		va_end(list);                                               \
		if ((flags & O_CREAT) && below(path) && fails())            \
			return -1;                                          \
		return REAL(name)(path, flags, mode);                       \
	}
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t count)
{
	return fd_below(fd) && fails() ? -1 : REAL(write)(fd, bytes, count);
}

int mkdir(const char *path, mode_t mode)
{
	return below(path) && fails() ? -1 : REAL(mkdir)(path, mode);
}

int symlink(const char *target, const char *path)
{
	return below(path) && fails() ? -1 : REAL(symlink)(target, path);
}

int rename(const char *from, const char *to)
{
	return below(to) && fails() ? -1 : REAL(rename)(from, to);
}

int fsync(int fd)
{
	return fd_below(fd) && fails() ? -1 : REAL(fsync)(fd);
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t count, unsigned flags)
{
	return fd_below(out) && fails() ? -1 : REAL(copy_file_range)(in, in_at, out, out_at, count, flags);
}

/* Where the wall clock is now. */
static long leap(void)
{
	static unsigned looks;
	const char *by = getenv("SHIM_CLOCK");

	if (!by)
		return 0;
	switch (__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 3) {
	case 0:
		return 0;
	case 1:
		return atol(by);
	default:
		return -atol(by);
	}
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = syscall(SYS_clock_gettime, clock, time);

	if (!result && clock == CLOCK_REALTIME)
		time->tv_sec += leap();
	return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	int result = syscall(SYS_gettimeofday, time, zone);

	if (!result)
		time->tv_sec += leap();
	return result;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
