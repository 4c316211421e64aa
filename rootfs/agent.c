/*
 * agent: types the chapter's commands into shells, and reports what they print.
 *
 * The runner packs the commands of a chapter into /steps before the machine starts, so that nothing
 * reaches the guest from outside at a moment that the real clock chooses. What a command prints leaves
 * through port 0xe9, QEMU's debug console: one instruction writes a byte, no interrupt answers, and
 * the kernel does not notice.
 *
 * There is a shell for each window that the chapter uses: `guest`, and `server` in a network namespace
 * of its own, whose process id is in /run/server.pid. The first line of /steps names the windows. Then
 * each step has a line, its command, a newline, the text that it waits for, and a newline:
 *
 *     NUMBER WINDOW HOW COMMAND_LENGTH TEXT_LENGTH
 *
 * HOW is `wait` for the command's end; `background` for a command that goes on when it is quiet;
 * `until` for one that goes on when it has printed a line with the text. A length of 0 types nothing.
 * A report is a line, and behind `out` and `err` as many bytes as it says:
 *
 *     begin NUMBER | out WINDOW LENGTH | err WINDOW LENGTH | end WINDOW STATUS NANOSECONDS
 *     gone WINDOW | next | done
 *
 * Between two steps the agent calls boundary(), which lies at an address of its own: the runner's
 * debugger stops the machine there. It may have the agent take a nap, which is how a reader's
 * Ctrl-C finds an idle machine, or write another step into the agent's memory, which is how somebody
 * types into a machine that nothing from outside may reach. While a command is long in coming to its
 * end, the agent calls it, too; the debugger, which keeps the machine's clock fine where it may stop
 * it, then does so at less cost, and nothing stops.
 *
 * cc -static -no-pie -O1 -Wl,--section-start=.boundary=0x5e3d0000 agent.c -o agent
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_PORT 0xe9
#define WINDOWS_MAX 2
/* How far back an awaited text may have been printed. */
#define PRINTED_MAX 65536
/* Nothing printed for so long is quiet; a window that is never quiet is left alone after a second. */
#define QUIET_MS 100
#define SETTLE_MAX_MS 1000
#define NAP_MS 100
/* A command that runs, or what it has left behind, waits for a timer if nothing happens so long. */
#define RUNNING_MS 100
#define ENDED_MS 20
#define WAITING_MAX_MS 1000

/* What the debugger may answer at the boundary, where it is told to GO_ON or that a step WAITS. */
enum answer { GO_ON, SLEEP, TYPED, WAITS };

/* A step that the debugger types, in the form of /steps. */
static char typed[16384];

/* The debugger sees the answer in %rdi, and the place for a step in %rsi; %rdx is its size in bytes. */
__attribute__((section(".boundary"), naked, noinline, used))
static enum answer boundary(__attribute__((unused)) enum answer answer, __attribute__((unused)) char *step,
			    __attribute__((unused)) size_t size)
{
	asm("mov %edi, %eax\n\tret");
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

/* A shell, which keeps the state from one command to the next, and the ends of its pipes. */
struct window {
	char name[16];
	pid_t pid;
	FILE *input;
	int out, err, status;
	/* A command runs. */
	int busy;
	/* The shell itself has ended. */
	int gone;
	/* The end of what was printed since the last command, or since the last line that was awaited. */
	char printed[PRINTED_MAX];
	size_t printed_length;
};

static struct window windows[WINDOWS_MAX];
static int window_count;

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		fatal("agent: pipe");
}

/* The namespace must be there before anybody moves a card into it: its pid is written when it is. */
static void enter_own_network(void)
{
	FILE *file = fopen("/run/server.pid", "w");

	if (unshare(CLONE_NEWNET) || !file)
		fatal("agent: the server's network namespace");
	fprintf(file, "%d\n", getpid());
	fclose(file);
}

static void start_shell(struct window *window)
{
	static char *const argv[] = { "sh", NULL };
	static char *const environment[] = {
		"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "HOME=/root", "USER=root", "TERM=dumb", NULL
	};
	int in[2], out[2], err[2], status[2], started[2];
	char nothing;

	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	make_pipe(status);
	make_pipe(started);
	window->pid = fork();
	if (window->pid < 0)
		fatal("agent: fork");
	if (window->pid == 0) {
		if (strcmp(window->name, "server") == 0)
			enter_own_network();
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
	close(started[1]);
	/* The shell closes its end when it starts. */
	if (read(started[0], &nothing, 1) < 0)
		fatal("agent: read");
	close(started[0]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	window->input = fdopen(in[1], "w");
	window->out = out[0];
	window->err = err[0];
	window->status = status[0];
}

static struct window *find_window(const char *name)
{
	for (int i = 0; i < window_count; i++)
		if (strcmp(windows[i].name, name) == 0)
			return &windows[i];
	fprintf(stderr, "agent: /steps names no window %s\n", name);
	exit(1);
}

static void remember(struct window *window, const char *bytes, size_t count)
{
	if (window->printed_length + count > PRINTED_MAX) {
		size_t kept = PRINTED_MAX - count;

		memmove(window->printed, window->printed + window->printed_length - kept, kept);
		window->printed_length = kept;
	}
	memcpy(window->printed + window->printed_length, bytes, count);
	window->printed_length += count;
}

/* Whether a whole line with the text was printed; forgets what comes before its end if so. */
static int has_printed(struct window *window, const char *text)
{
	char *behind = window->printed + window->printed_length;
	char *found = memmem(window->printed, window->printed_length, text, strlen(text));
	char *end = found ? memchr(found, '\n', behind - found) : NULL;

	if (!end)
		return 0;
	window->printed_length = behind - end - 1;
	memmove(window->printed, end + 1, window->printed_length);
	return 1;
}

/* Passes on what a pipe holds by now. */
static void drain(struct window *window, int from, const char *kind)
{
	char bytes[4096];
	ssize_t count;

	while ((count = read(from, bytes, sizeof(bytes))) > 0) {
		report("%s %s %zd\n", kind, window->name, count);
		report_bytes(bytes, count);
		remember(window, bytes, count);
	}
}

static void drain_both(struct window *window)
{
	drain(window, window->out, "out");
	drain(window, window->err, "err");
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

/* Types a command. `command eval` keeps the shell alive through a syntax error. */
static void type(struct window *window, const char *command)
{
	fputs("command eval ", window->input);
	type_quoted(window->input, command);
	fputs(" </dev/null 3>&-; echo $? >&3\n", window->input);
	fflush(window->input);
	window->busy = 1;
}

/* Reads how a command has ended, or that the shell has. */
static void take_status(struct window *window)
{
	char line[16] = "";
	struct timespec now;
	int status;

	if (read(window->status, line, sizeof(line) - 1) > 0) {
		status = atoi(line);
	} else {
		waitpid(window->pid, &status, 0);
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		window->gone = 1;
	}
	/* What the command printed before it ended is in the pipes by now. */
	drain_both(window);
	window->busy = 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	report("end %s %d %lld\n", window->name, status, now.tv_sec * 1000000000LL + now.tv_nsec);
	if (window->gone)
		report("gone %s\n", window->name);
}

/* Waits until a window prints something or a command ends; returns 0 when nothing does in time. */
static int wait_for_windows(int timeout_ms)
{
	struct pollfd fds[3 * WINDOWS_MAX];
	int count;

	for (int i = 0; i < window_count; i++) {
		/* poll(2) leaves out what is negative. */
		int alive = !windows[i].gone;

		fds[3 * i] = (struct pollfd){ alive ? windows[i].status : -1, POLLIN, 0 };
		fds[3 * i + 1] = (struct pollfd){ alive ? windows[i].out : -1, POLLIN, 0 };
		fds[3 * i + 2] = (struct pollfd){ alive ? windows[i].err : -1, POLLIN, 0 };
	}
	count = poll(fds, 3 * window_count, timeout_ms);
	if (count < 0)
		fatal("agent: poll");
	for (int i = 0; i < window_count; i++) {
		if (fds[3 * i + 1].revents || fds[3 * i + 2].revents)
			drain_both(&windows[i]);
		if (fds[3 * i].revents)
			take_status(&windows[i]);
	}
	return count;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int anything_runs(void)
{
	for (int i = 0; i < window_count; i++)
		if (windows[i].busy)
			return 1;
	return 0;
}

/* As wait_for_windows(), and tells the debugger when nothing has happened for so long, and longer. */
static int wait_for_long(int timeout_ms, int waiting_ms)
{
	while (timeout_ms < 0 || waiting_ms < timeout_ms) {
		if (wait_for_windows(waiting_ms) > 0)
			return 1;
		boundary(WAITS, typed, sizeof(typed));
		if (timeout_ms >= 0)
			timeout_ms -= waiting_ms;
		waiting_ms = MIN(10 * waiting_ms, WAITING_MAX_MS);
	}
	return wait_for_windows(timeout_ms);
}

/* Lets what still runs go on until it is quiet. */
static void settle(void)
{
	long long until = now_ms() + SETTLE_MAX_MS;

	while (anything_runs() && now_ms() < until)
		if (wait_for_long(QUIET_MS, ENDED_MS) == 0)
			break;
}

/* Waits at the boundary; gives the file that the next step is read from. */
static FILE *next_source(FILE *steps)
{
	enum answer answer;

	/* Maps the pages: a breakpoint on one that is not there yet is hit before the fault, and again after. */
	(void)*(volatile const char *)boundary;
	for (char *page = typed; page < typed + sizeof(typed); page += 4096)
		*(volatile char *)page = 0;
	while ((answer = boundary(GO_ON, typed, sizeof(typed))) == SLEEP)
		wait_for_windows(NAP_MS);
	return answer == TYPED ? fmemopen(typed, sizeof(typed), "r") : steps;
}

static char *read_text(FILE *steps, size_t length)
{
	char *text = calloc(1, length + 1);

	if (!text || fread(text, 1, length, steps) != length || fgetc(steps) != '\n')
		fatal("agent: /steps is cut short");
	return text;
}

static void run(struct window *window, const char *how, const char *command, const char *text)
{
	if (*command) {
		window->printed_length = 0;
		type(window, command);
	}
	if (strcmp(how, "until") == 0) {
		while (!has_printed(window, text) && window->busy)
			wait_for_long(-1, RUNNING_MS);
		return;
	}
	while (strcmp(how, "wait") == 0 && window->busy)
		wait_for_long(-1, RUNNING_MS);
	settle();
}

int main(void)
{
	FILE *steps = fopen("/steps", "r");
	char number[16], name[16], how[16], end;
	size_t command_length, text_length;

	if (!steps)
		fatal("agent: /steps");
	if (ioperm(REPORT_PORT, 1, 1))
		fatal("agent: ioperm");
	fcntl(fileno(steps), F_SETFD, FD_CLOEXEC);
	do {
		if (window_count == WINDOWS_MAX || fscanf(steps, "%15s%c", windows[window_count].name, &end) != 2)
			fatal("agent: /steps names no windows");
		start_shell(&windows[window_count++]);
	} while (end != '\n');
	for (;;) {
		FILE *source = next_source(steps);
		struct window *window;
		char *command, *text;

		if (fscanf(source, "%15s %15s %15s %zu %zu%c", number, name, how, &command_length, &text_length, &end) != 6)
			break;
		window = find_window(name);
		command = read_text(source, command_length);
		text = read_text(source, text_length);
		if (source != steps)
			fclose(source);
		if (window->gone)
			break;
		report("begin %s\n", number);
		run(window, how, command, text);
		report("next\n");
		free(command);
		free(text);
	}
	report("done\n");
	for (;;)
		pause();
}
