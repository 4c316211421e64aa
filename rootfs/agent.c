/*
 * agent: types the chapter's commands into a shell, and reports what they print.
 *
 * The runner packs the commands of a chapter into /steps before the machine starts, so that nothing
 * reaches the guest from outside at a moment that the real clock chooses. What a command prints leaves
 * through port 0xe9, QEMU's debug console: one instruction writes a byte, no interrupt answers, and
 * the kernel does not notice.
 *
 * /steps holds for each command its number, its length in bytes, a newline, the command, a newline.
 * A report is a line, and behind `out` and `err` as many bytes as it says:
 *
 *     begin NUMBER | out LENGTH | err LENGTH | end STATUS NANOSECONDS | gone | done
 *
 * Between two commands the agent calls boundary(), which lies at an address of its own: the runner's
 * debugger stops the machine there. It may pass on 1 to have the agent sleep for a second first, which
 * is how a reader's Ctrl-C finds an idle machine.
 *
 * cc -static -no-pie -O1 -Wl,--section-start=.boundary=0x5e3d0000 agent.c -o agent
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_PORT 0xe9

__attribute__((section(".boundary"), naked, noinline, used))
static long boundary(__attribute__((unused)) long sleep_first)
{
	asm("mov %rdi, %rax\n\tret");
}

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static void report_bytes(const void *bytes, size_t count)
{
	asm volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(REPORT_PORT) : "memory");
}

__attribute__((format(printf, 1, 2)))
static void report(const char *format, ...)
{
	char line[128];
	va_list args;

	va_start(args, format);
	report_bytes(line, vsnprintf(line, sizeof(line), format, args));
	va_end(args);
}

/* The shell that keeps the state from one command to the next, and the ends of its pipes. */
struct shell {
	pid_t pid;
	FILE *input;
	int out, err, status;
};

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		fatal("agent: pipe");
}

static struct shell start_shell(void)
{
	static char *const argv[] = { "sh", NULL };
	static char *const environment[] = {
		"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "HOME=/root", "USER=root", "TERM=dumb", NULL
	};
	int in[2], out[2], err[2], status[2];
	pid_t pid;

	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	make_pipe(status);
	pid = fork();
	if (pid < 0)
		fatal("agent: fork");
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		dup2(status[1], 3);
		execve("/bin/sh", argv, environment);
		fatal("agent: /bin/sh");
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(status[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	return (struct shell){ pid, fdopen(in[1], "w"), out[0], err[0], status[0] };
}

/* Passes on what a pipe holds by now. */
static void drain(int from, const char *kind)
{
	char bytes[4096];
	ssize_t count;

	while ((count = read(from, bytes, sizeof(bytes))) > 0) {
		report("%s %zd\n", kind, count);
		report_bytes(bytes, count);
	}
}

/* In single quotes, so that the shell reads the command's own quotes only when it evaluates it. */
static void type_quoted(FILE *input, const char *command)
{
	fputc('\'', input);
	for (; *command; command++) {
		if (*command == '\'')
			fputs("'\\''", input);
		else
			fputc(*command, input);
	}
	fputc('\'', input);
}

/*
 * Types a command and waits for its end, passing on what it prints meanwhile. Returns 0 when the shell
 * itself has ended. `command eval` keeps the shell alive through a syntax error.
 */
static int run(struct shell *shell, const char *command, int *status)
{
	char line[16] = "";

	fputs("command eval ", shell->input);
	type_quoted(shell->input, command);
	fputs(" </dev/null 3>&-; echo $? >&3\n", shell->input);
	fflush(shell->input);
	for (;;) {
		struct pollfd wait[] = {
			{ .fd = shell->status, .events = POLLIN },
			{ .fd = shell->out, .events = POLLIN },
			{ .fd = shell->err, .events = POLLIN },
		};

		if (poll(wait, 3, -1) < 0)
			fatal("agent: poll");
		drain(shell->out, "out");
		drain(shell->err, "err");
		if (!wait[0].revents)
			continue;
		if (read(shell->status, line, sizeof(line) - 1) <= 0) {
			waitpid(shell->pid, status, 0);
			*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
			return 0;
		}
		/* What the command printed before it ended is in the pipes by now. */
		drain(shell->out, "out");
		drain(shell->err, "err");
		*status = atoi(line);
		return 1;
	}
}

static void wait_at_boundary(void)
{
	/* Maps the page: a breakpoint on one that is not there yet is hit before the fault, and again after. */
	(void)*(volatile const char *)boundary;
	while (boundary(0))
		sleep(1);
}

int main(void)
{
	FILE *steps = fopen("/steps", "r");
	struct shell shell;
	char number[16];
	size_t length;

	if (!steps)
		fatal("agent: /steps");
	if (ioperm(REPORT_PORT, 1, 1))
		fatal("agent: ioperm");
	fcntl(fileno(steps), F_SETFD, FD_CLOEXEC);
	shell = start_shell();
	while (fscanf(steps, "%15s %zu%*c", number, &length) == 2) {
		char *command = calloc(1, length + 1);
		struct timespec now;
		int status, alive;

		if (!command || fread(command, 1, length, steps) != length)
			fatal("agent: /steps is cut short");
		wait_at_boundary();
		report("begin %s\n", number);
		alive = run(&shell, command, &status);
		clock_gettime(CLOCK_MONOTONIC, &now);
		report("end %d %lld\n", status, now.tv_sec * 1000000000LL + now.tv_nsec);
		free(command);
		if (!alive) {
			report("gone\n");
			break;
		}
	}
	wait_at_boundary();
	report("done\n");
	for (;;)
		pause();
}
