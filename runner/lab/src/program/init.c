/*
 * run: the first program of the guest of `runner run`. It starts the one program that the guest is for, and
 * passes on what that prints and how it ends.
 *
 * The runner packs this as /.runner/init, and beside it /.runner/program: texts that each end with a NUL, first
 * the number of arguments in decimal, the working directory and the path of the program, then the arguments,
 * then the environment.
 *
 * What the program prints goes into a ring of SLOTS slots in the memory of an ivshmem device, which is a file
 * of the host. A message of 16 bytes through port 0xe9, QEMU's debug console, says what is in the next slot:
 *
 *     b begins | o LENGTH, standard output | e LENGTH, standard error | x STATUS | f ERRNO, it cannot be started
 *
 * The runner reads a slot before it reads the next message, and the pipe behind the port holds fewer messages
 * than the ring has slots: then the machine itself stands still in the middle of the instruction, and sees no time pass. So
 * no slot is written before it was read, and nothing in here ever waits for the host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 0xe9
#define RING "/sys/bus/pci/devices/0000:00:1e.0/resource2"
#define SLOTS 512
#define SLOT_SIZE 16384

struct message {
	uint32_t kind;
	uint32_t value;
	uint64_t zero;
};

static char *ring;
static unsigned int next_slot;

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static void tell(char kind, uint32_t value)
{
	struct message message = { kind, value, 0 };
	const void *bytes = &message;
	size_t count = sizeof(message);

	asm volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(PORT) : "memory");
	next_slot = (next_slot + 1) % SLOTS;
}

/* Passes on what a pipe holds by now; returns 0 when its other end is closed. */
static int drain(int pipe, char kind)
{
	ssize_t count;

	while ((count = read(pipe, ring + next_slot * SLOT_SIZE, SLOT_SIZE)) > 0)
		tell(kind, count);
	return count < 0 && errno == EAGAIN;
}

/* A loopback device that goes up gets its address from the kernel. */
static void set_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		fatal("run: lo");
	close(fd);
}

static void prepare_machine(void)
{
	int fd;

	if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		fatal("run: mount");
	set_loopback_up();
	fd = open(RING, O_RDWR | O_CLOEXEC);
	ring = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || ring == MAP_FAILED)
		fatal("run: " RING);
	close(fd);
	if (ioperm(PORT, 1, 1))
		fatal("run: ioperm");
}

/* The texts of /.runner/program, and NULL behind the arguments and behind the environment. */
static char **read_program(void)
{
	int fd = open("/.runner/program", O_RDONLY | O_CLOEXEC);
	off_t length = lseek(fd, 0, SEEK_END);
	char *text = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *end = text + length;
	char **texts = malloc((length + 2) * sizeof(*texts));
	int count = 0, behind_arguments;

	if (fd < 0 || text == MAP_FAILED || !texts)
		fatal("run: /.runner/program");
	close(fd);
	behind_arguments = 3 + atoi(text);
	for (; text < end; text += strlen(text) + 1) {
		if (count == behind_arguments)
			texts[count++] = NULL;
		texts[count++] = text;
	}
	if (count == behind_arguments)
		texts[count++] = NULL;
	texts[count] = NULL;
	return texts;
}

/* Starts the program; `failed` gets the error if that cannot be done. */
static pid_t start(int out, int err, int failed)
{
	char **texts = read_program();
	char **arguments = texts + 3, **environment = arguments + atoi(texts[0]) + 1;
	pid_t pid = fork();
	sigset_t none;

	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	ioperm(PORT, 1, 0);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(out, 1);
	dup2(err, 2);
	if (!chdir(texts[1]))
		execve(texts[2], arguments, environment);
	write(failed, &errno, sizeof(errno));
	_exit(1);
}

/* Reaps what has ended; returns whether the program has, and how. */
static int reap(pid_t program, int *status)
{
	int ended = 0, found;
	pid_t pid;

	while ((pid = waitpid(-1, &found, WNOHANG)) > 0)
		if (pid == program) {
			ended = 1;
			*status = WIFEXITED(found) ? WEXITSTATUS(found) : 128 + WTERMSIG(found);
		}
	return ended;
}

int main(void)
{
	int out[2], err[2], failed[2], error, status = 0, ended = 0;
	struct signalfd_siginfo siginfo;
	struct pollfd fds[3];
	sigset_t chld;
	pid_t program;

	prepare_machine();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(failed, O_CLOEXEC))
		fatal("run: pipe");
	fds[0] = (struct pollfd){ signalfd(-1, &chld, SFD_CLOEXEC), POLLIN, 0 };
	fds[1] = (struct pollfd){ out[0], POLLIN, 0 };
	fds[2] = (struct pollfd){ err[0], POLLIN, 0 };
	tell('b', 0);
	program = start(out[1], err[1], failed[1]);
	if (program < 0 || fds[0].fd < 0)
		fatal("run: start");
	close(out[1]);
	close(err[1]);
	close(failed[1]);
	/* Only the reading ends are made so: the program expects its own to wait. */
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	if (read(failed[0], &error, sizeof(error)) == sizeof(error))
		tell('f', error);
	while (!ended) {
		poll(fds, 3, -1);
		if (fds[0].revents && read(fds[0].fd, &siginfo, sizeof(siginfo)) > 0)
			ended = reap(program, &status);
		/* What the program printed before it ended is in the pipes by now. A closed one is not asked again. */
		if ((fds[1].revents || ended) && !drain(out[0], 'o'))
			fds[1].fd = -1;
		if ((fds[2].revents || ended) && !drain(err[0], 'e'))
			fds[2].fd = -1;
	}
	tell('x', status);
	for (;;)
		pause();
}
