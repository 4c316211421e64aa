/*
 * packet: performs the events of packet scripts, and tells what happened. It judges nothing: which packet
 * or which result is right is the runner's to say, from the report.
 *
 * /.runner/events has the scripts, compiled by `compile.rs`, which has the layout of it. Each script runs in
 * a process and a network namespace of its own, with a pair of Ethernet devices. One end is `tun0`, the
 * device of the system under test. The other is in our first namespace, has no address, and is where packets
 * are injected and captured. What is in flight is so exactly what tun0 was given: a segment that the device is
 * asked to cut (TSO) is still one.
 *
 * A packet's sequence numbers, ports and timestamps are those of the script until it is sent, and the
 * kernel's from there on. What the kernel has chosen is learned from what it sends.
 *
 * The report is a row of records (struct record), little endian as the processor is. It is written when a script is
 * over, so that telling costs no time within it.
 *
 * As `ethtool`, it turns offloads of a device on and off.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
/* How long after a part of a segment the next one may come. */
#define BETWEEN_PARTS (10 * SECOND / 1000)
/* How long an answer may be late before nobody waits for it any more. Idle time passes at once. */
#define PATIENCE (5 * SECOND)
/* Between two scripts, so that what one leaves is gone. */
#define REST (3 * SECOND)
#define SCRATCH (8 << 20)
#define FDS 64
#define PACKETS 65536
#define HEADERS 160
#define STAMPS 1024
#define FRAME_MAX (ETH_HLEN + 65535)
/*
 * How much of a large frame lies in one piece, the rest in pages: what fits into one page, as it does for
 * packetdrill's device. The receive window hangs on how much memory a segment takes.
 */
#define LINEAR (3712 + ETH_HLEN)
/* What tun0 does not do: packetdrill's device has the kernel cut a segment of AccECN. */
static const char *const lacking[] = { "tx-tcp-accecn-segmentation" };

enum { CALL = 1, SHELL, INJECT, EXPECT, INFO };
enum { RELATIVE, ABSOLUTE, ANY, UNTIMED };
enum { BLOCKING = 1 };
enum { CONSTANT, FD, IMAGE, SCRATCH_AREA };
enum { NEW = 1, SYN = 2 };
enum { LOCAL_ISN = 1, REMOTE_ISN, STAMP, LOCAL_PORT, REMOTE_PORT };
/* Records: a script begins, results of events, a packet of no connection of interest, silence, the end. */
enum { BEGIN = 1, RESULT, OUTPUT, PACKET, INFORMATION, SENT, STRAY, STUCK, SILENCE, END, BROKEN };

struct event {
	uint32_t kind, flags, when, size;
	int64_t from_us, until_us;
	unsigned char body[];
};

struct argument {
	uint32_t kind, zero;
	int64_t value;
};

struct call {
	int64_t number;
	struct argument arguments[6];
	int32_t result_fd;
	uint32_t relocations, out_fds, image;
	unsigned char body[];
};

struct relocation {
	uint32_t offset, kind;
	int64_t value;
};

struct out_fd {
	uint32_t offset;
	int32_t fd;
};

struct inject {
	uint32_t flags, headers, data, gso, fixups, zero;
	unsigned char body[];
};

struct fixup {
	uint32_t offset, kind;
};

struct record {
	uint32_t kind, event;
	int64_t time, other_time;
	int64_t value, error;
	uint32_t length, zero;
};

struct packet {
	int64_t time;
	uint32_t length;
	unsigned char headers[HEADERS];
};

static char *report;
static size_t reported, room;
static uint32_t current;

static int wire, start_known;
static unsigned char tun0_address[ETH_ALEN];
static int64_t real_offset, start, last;
static int live_fds[FDS];
static struct packet *packets;
static unsigned int first_packet, end_packet;
static uint16_t local_port, remote_port = 40000;
static uint32_t local_isn, remote_isn;
static struct { uint32_t script, live; } stamps[STAMPS];
static unsigned int stamp_count;
static char *scratch;

static void fatal(const char *what)
{
	perror(what);
	_exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static void sleep_until(int64_t when)
{
	struct timespec time = { when / SECOND, when % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

static void write_all(const void *bytes, size_t length)
{
	const char *next = bytes;
	ssize_t count;

	for (; length; next += count, length -= count) {
		count = write(1, next, length);
		if (count < 0)
			_exit(1);
	}
}

static void tell(struct record record, const void *bytes)
{
	size_t needed = reported + sizeof(record) + record.length;

	record.event = current;
	if (needed > room) {
		room = 2 * needed;
		report = realloc(report, room);
		if (!report)
			fatal("packet: memory");
	}
	memcpy(report + reported, &record, sizeof(record));
	if (record.length)
		memcpy(report + reported + sizeof(record), bytes, record.length);
	reported = needed;
}

static void tell_now(void)
{
	write_all(report, reported);
	reported = 0;
}

/* The network ---------------------------------------------------------------------------------------- */

/* Runs a line of the shell; what it prints goes into `out`, if that is a file. */
static int shell(const char *line, int out)
{
	struct sched_param none = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		sched_setscheduler(0, SCHED_OTHER, &none);
		signal(SIGPIPE, SIG_DFL);
		if (out >= 0) {
			dup2(out, 1);
			dup2(out, 2);
		}
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void shell_or_die(const char *format, ...)
{
	char line[512];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	if (shell(line, 2)) {
		fprintf(stderr, "packet: `%s` failed\n", line);
		_exit(1);
	}
}

/* Turns off a feature of a device by its name; older kernels may not know it. */
static void turn_off(int fd, const char *device, const char *name)
{
	static struct { struct ethtool_sset_info head; uint32_t size; } sets;
	static struct { struct ethtool_gstrings head; char names[256][ETH_GSTRING_LEN]; } strings;
	static struct { struct ethtool_sfeatures head; struct ethtool_set_features_block blocks[8]; } features;
	struct ifreq request = { 0 };
	uint32_t n;

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	sets.head.cmd = ETHTOOL_GSSET_INFO;
	sets.head.sset_mask = 1ULL << ETH_SS_FEATURES;
	request.ifr_data = (void *)&sets;
	if (ioctl(fd, SIOCETHTOOL, &request) || sets.size > 256)
		fatal("packet: the number of the device's features");
	strings.head.cmd = ETHTOOL_GSTRINGS;
	strings.head.string_set = ETH_SS_FEATURES;
	strings.head.len = sets.size;
	request.ifr_data = (void *)&strings;
	if (ioctl(fd, SIOCETHTOOL, &request))
		fatal("packet: the names of the device's features");
	for (n = 0; n < sets.size && strncmp(strings.names[n], name, ETH_GSTRING_LEN); n++)
		;
	if (n == sets.size)
		return;
	memset(&features, 0, sizeof(features));
	features.head.cmd = ETHTOOL_SFEATURES;
	features.head.size = (sets.size + 31) / 32;
	features.blocks[n / 32].valid = 1U << n % 32;
	request.ifr_data = (void *)&features;
	/* What is told beside an error: whether other features have changed with it. */
	if (ioctl(fd, SIOCETHTOOL, &request) < 0)
		fatal("packet: turn off a feature of the device");
}

/* Makes a namespace with tun0 in it, and leaves us there; its other end stays where `control` is. */
static void make_network(int number, int control)
{
	struct ifreq request = { 0 };
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	struct timespec real;
	int yes = 1, size = 256 << 20, fd;

	snprintf(request.ifr_name, IFNAMSIZ, "wire%d", number);
	if (unshare(CLONE_NEWNET))
		fatal("packet: unshare");
	shell_or_die("ip link add %s type veth && ip link set veth0 name tun0 && ip link set %s netns %d",
		     request.ifr_name, request.ifr_name, getppid());
	shell_or_die("ip link set lo up && ip addr add 192.168.0.1/16 dev tun0 && ip link set tun0 arp off"
		     " && ip link set tun0 up && ip route add default dev tun0");
	request.ifr_mtu = 65535;
	if (ioctl(control, SIOCSIFMTU, &request))
		fatal("packet: mtu");
	request.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(control, SIOCSIFFLAGS, &request) || ioctl(control, SIOCGIFINDEX, &request))
		fatal("packet: wire");
	address.sll_ifindex = request.ifr_ifindex;
	if (setsockopt(wire, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)) ||
	    setsockopt(wire, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes)) ||
	    setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(wire, (void *)&address, sizeof(address)))
		fatal("packet: capture");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	memset(&request, 0, sizeof(request));
	strcpy(request.ifr_name, "tun0");
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		fatal("packet: tun0");
	for (size_t n = 0; n < sizeof(lacking) / sizeof(*lacking); n++)
		turn_off(fd, "tun0", lacking[n]);
	memcpy(tun0_address, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
	clock_gettime(CLOCK_REALTIME, &real);
	real_offset = real.tv_sec * SECOND + real.tv_nsec - now();
}

static uint16_t get16(const unsigned char *at) { return at[0] << 8 | at[1]; }
static uint32_t get32(const unsigned char *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

static void put16(unsigned char *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(unsigned char *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* Takes a captured IP packet: for the connection that the script is about, or as a stray. */
static void take(int64_t time, const unsigned char *ip, size_t length)
{
	size_t kept = length < HEADERS ? length : HEADERS, header = (ip[0] & 15) * 4;
	const unsigned char *tcp = ip + header;
	struct record stray = { .kind = STRAY, .time = time, .length = kept };
	uint16_t from, to;

	if (length < 40 || ip[9] != IPPROTO_TCP || length < header + 20) {
		tell(stray, ip);
		return;
	}
	from = get16(tcp);
	to = get16(tcp + 2);
	if ((tcp[13] & 0x12) == 2 && (from != local_port || to != remote_port)) {
		local_port = from;
		remote_port = to;
		stamp_count = 0;
	}
	if (from != local_port || to != remote_port) {
		tell(stray, ip);
		return;
	}
	if (tcp[13] & 2)
		local_isn = get32(tcp + 4);
	if (end_packet == PACKETS)
		return;
	packets[end_packet].time = time;
	packets[end_packet].length = kept;
	memcpy(packets[end_packet].headers, ip, kept);
	end_packet++;
}

/* Reads what was captured until now. */
static void capture(void)
{
	static unsigned char frame[FRAME_MAX + sizeof(struct virtio_net_hdr)];
	const size_t before = sizeof(struct virtio_net_hdr) + ETH_HLEN;
	struct sockaddr_ll from;
	char control[128];
	struct iovec part = { frame, sizeof(frame) };
	ssize_t length;

	for (;;) {
		struct msghdr message = { &from, sizeof(from), &part, 1, control, sizeof(control), 0 };
		struct cmsghdr *header;
		int64_t time = now();

		length = recvmsg(wire, &message, MSG_DONTWAIT);
		if (length < 0)
			return;
		for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
			if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
				struct timespec stamp;

				memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
				time = stamp.tv_sec * SECOND + stamp.tv_nsec - real_offset;
			}
		/* What we have sent ourselves is seen, too. */
		if (from.sll_pkttype != PACKET_OUTGOING && length > (ssize_t)before)
			take(time, frame + before, length - before);
	}
}

/* The TS option of a TCP header, or NULL. */
static const unsigned char *timestamp_of(const unsigned char *tcp)
{
	const unsigned char *at = tcp + 20, *end = tcp + (tcp[12] >> 4) * 4;

	while (at < end && *at) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (at + 2 > end || at[1] < 2 || at + at[1] > end)
			break;
		if (*at == 8 && at[1] == 10)
			return at;
		at += at[1];
	}
	return NULL;
}

static uint32_t sum(const unsigned char *bytes, size_t length)
{
	uint32_t total = 0;

	for (; length > 1; bytes += 2, length -= 2)
		total += get16(bytes);
	return length ? total + (bytes[0] << 8) : total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static uint32_t live_stamp(uint32_t script)
{
	unsigned int n;

	for (n = stamp_count; n-- > 0;)
		if (stamps[n].script == script)
			return stamps[n].live;
	/* One that the script's side was never sent lies as far from the first as the script has it. */
	return stamp_count ? stamps[0].live + script - stamps[0].script : script;
}

static void inject(const struct inject *inject)
{
	static unsigned char frame[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	struct virtio_net_hdr *header = (void *)frame;
	unsigned char *ethernet = frame + sizeof(*header), *ip = ethernet + ETH_HLEN, *next;
	const struct fixup *fixup = (void *)inject->body, *end = fixup + inject->fixups;
	size_t length = inject->headers + inject->data, over;
	struct record sent = { .kind = SENT, .length = inject->headers };

	capture();
	memset(frame, 0, sizeof(*header) + ETH_HLEN + length);
	memcpy(ethernet, tun0_address, ETH_ALEN);
	ethernet[6] = 2;
	put16(ethernet + 12, ETH_P_IP);
	memcpy(ip, end, inject->headers);
	next = ip + 20;
	over = length - 20;
	if (inject->flags & NEW) {
		local_port = 8080;
		remote_port++;
		stamp_count = 0;
		first_packet = end_packet;
	}
	if (inject->flags & SYN)
		remote_isn = get32(next + 4);
	for (; fixup < end; fixup++) {
		unsigned char *at = ip + fixup->offset;

		switch (fixup->kind) {
		case LOCAL_ISN:
			put32(at, get32(at) + local_isn);
			break;
		case REMOTE_ISN:
			put32(at, get32(at) + remote_isn);
			break;
		case STAMP:
			put32(at, live_stamp(get32(at)));
			break;
		case LOCAL_PORT:
			put16(at, local_port);
			break;
		case REMOTE_PORT:
			put16(at, remote_port);
			break;
		}
	}
	put16(ip + 2, length);
	put16(ip + 10, ~fold(sum(ip, 20)));
	if (ip[9] == IPPROTO_TCP) {
		uint32_t pseudo = sum(ip + 12, 8) + IPPROTO_TCP + over;

		/* The rest of the sum is the device's, as that of a segment which a card has put together. */
		header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header->csum_start = ETH_HLEN + 20;
		header->csum_offset = 16;
		put16(next + 16, fold(pseudo));
		if (inject->gso && inject->data > inject->gso) {
			header->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
			header->gso_size = inject->gso;
			header->hdr_len = length + ETH_HLEN < LINEAR ? length + ETH_HLEN : LINEAR;
		}
	} else {
		put16(next + 2, ~fold(sum(next, over)));
	}
	sent.time = now();
	if (write(wire, frame, sizeof(*header) + ETH_HLEN + length) < 0)
		sent.error = errno;
	tell(sent, ip);
	last = sent.time;
}

/* Waits for the next packet of the connection; NULL if none comes until then. */
static struct packet *next_packet(int64_t until)
{
	struct pollfd fd = { wire, POLLIN, 0 };

	capture();
	while (first_packet == end_packet) {
		int64_t left = until - now();
		struct timespec time = { left / SECOND, left % SECOND };

		if (left <= 0)
			return NULL;
		ppoll(&fd, 1, &time, NULL);
		capture();
	}
	return &packets[first_packet];
}

static uint32_t data_length(const struct packet *packet)
{
	const unsigned char *ip = packet->headers, *tcp = ip + (ip[0] & 15) * 4;

	return get16(ip + 2) - (ip[0] & 15) * 4 - (tcp[12] >> 4) * 4;
}

static uint32_t sequence(const struct packet *packet)
{
	return get32(packet->headers + (packet->headers[0] & 15) * 4 + 4);
}

/*
 * Waits for a segment. How much of a large one the kernel hands to the device at once depends on its pace,
 * so it may come in parts. Returns 0 if none comes.
 */
static int expect(int64_t until, const unsigned char *body)
{
	struct packet *packet = next_packet(until);
	const unsigned char *stamp;
	struct { int64_t stamp, length; } script;
	int64_t got = 0;
	uint32_t next;

	memcpy(&script, body, sizeof(script));
	if (!packet) {
		tell((struct record){ .kind = SILENCE, .time = now() }, NULL);
		return 0;
	}
	stamp = timestamp_of(packet->headers + (packet->headers[0] & 15) * 4);
	if (stamp && script.stamp >= 0 && stamp_count < STAMPS) {
		stamps[stamp_count].script = script.stamp;
		stamps[stamp_count++].live = get32(stamp + 2);
	}
	do {
		first_packet++;
		tell((struct record){ .kind = PACKET, .time = packet->time, .length = packet->length },
		     packet->headers);
		last = packet->time;
		got += data_length(packet);
		next = sequence(packet) + data_length(packet);
		if (!data_length(packet) || got >= script.length)
			break;
		packet = next_packet(last + BETWEEN_PARTS);
	} while (packet && sequence(packet) == next && data_length(packet));
	return 1;
}

/* System calls --------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct {
	int busy;
	uint32_t event;
	const struct call *call;
	int64_t numbers[6], start, end, result;
	int error;
	unsigned char *image;
} work;

static int live_fd(int64_t fd)
{
	return fd >= 0 && fd < FDS ? live_fds[fd] : (int)fd;
}

static void *worker(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		while (work.busy != 1)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		work.start = now();
		errno = 0;
		work.result = syscall(work.call->number, work.numbers[0], work.numbers[1], work.numbers[2],
				      work.numbers[3], work.numbers[4], work.numbers[5]);
		work.error = errno;
		work.end = now();
		pthread_mutex_lock(&lock);
		work.busy = 2;
		pthread_cond_broadcast(&changed);
	}
	return unused;
}

/* Waits until the call that was begun has returned, and tells of it; returns 0 if it does not until then. */
static int call_returned(int64_t until)
{
	struct timespec time = { until / SECOND, until % SECOND };
	const struct call *call = work.call;
	const struct relocation *relocation;
	const struct out_fd *out, *end;
	uint32_t event = current;

	pthread_mutex_lock(&lock);
	while (work.busy == 1)
		if (pthread_cond_timedwait(&changed, &lock, &time) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&lock);
	if (!work.busy)
		return 1;
	current = work.event;
	if (work.busy == 1) {
		tell((struct record){ .kind = STUCK, .time = work.start, .other_time = now() }, NULL);
		current = event;
		return 0;
	}
	work.busy = 0;
	if (work.result >= 0 && call->result_fd >= 0)
		live_fds[call->result_fd] = work.result;
	relocation = (void *)call->body;
	out = (void *)(relocation + call->relocations);
	for (end = out + call->out_fds; out < end && work.result >= 0; out++)
		memcpy(&live_fds[out->fd], work.image + out->offset, sizeof(int));
	tell((struct record){ .kind = RESULT, .time = work.start, .other_time = work.end, .value = work.result,
			      .error = work.error, .length = call->image }, work.image);
	current = event;
	free(work.image);
	work.image = NULL;
	return 1;
}

static int64_t number(uint32_t kind, int64_t value, unsigned char *image)
{
	switch (kind) {
	case FD:
		return live_fd(value);
	case IMAGE:
		return (int64_t)(image + value);
	case SCRATCH_AREA:
		return (int64_t)(scratch + value);
	}
	return value;
}

static int call(const struct event *event)
{
	const struct call *call = (void *)event->body;
	const struct relocation *relocation = (void *)call->body;
	const unsigned char *image;
	unsigned int n;

	if (!call_returned(now() + PATIENCE))
		return 0;
	image = (void *)(relocation + call->relocations) + call->out_fds * sizeof(struct out_fd);
	work.image = calloc(1, call->image + 16);
	memcpy(work.image, image, call->image);
	for (n = 0; n < call->relocations; n++, relocation++) {
		int64_t value = number(relocation->kind, relocation->value, work.image);

		memcpy(work.image + relocation->offset, &value, relocation->kind == FD ? 4 : 8);
	}
	for (n = 0; n < 6; n++)
		work.numbers[n] = number(call->arguments[n].kind, call->arguments[n].value, work.image);
	work.call = call;
	work.event = current;
	last = now();
	pthread_mutex_lock(&lock);
	work.busy = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return event->flags & BLOCKING || call_returned(now() + PATIENCE);
}

/* A script ------------------------------------------------------------------------------------------- */

static void run_shell(const char *line)
{
	struct record output = { .kind = OUTPUT, .time = now() };
	char text[4096], name[] = "/tmp/output-XXXXXX";
	int file = mkstemp(name);
	ssize_t length;

	unlink(name);
	output.value = shell(line, file);
	length = pread(file, text, sizeof(text), 0);
	close(file);
	output.other_time = now();
	output.length = length < 0 ? 0 : length;
	tell(output, text);
}

static void information(int fd)
{
	unsigned char bytes[1024];
	struct record record = { .kind = INFORMATION, .time = now() };
	socklen_t info = 512, memory = 256;

	if (getsockopt(live_fd(fd), IPPROTO_TCP, TCP_INFO, bytes, &info))
		record.error = errno;
	else if (getsockopt(live_fd(fd), SOL_SOCKET, SO_MEMINFO, bytes + info, &memory))
		memory = 0;
	record.value = info;
	record.length = record.error ? 0 : info + memory;
	tell(record, bytes);
	last = record.time;
}

/* Performs one event; returns 0 if the script cannot go on. */
static int perform(const struct event *event)
{
	int64_t from = event->from_us * 1000, until = event->until_us * 1000, base;
	int fd;

	if (event->when != UNTIMED && !start_known) {
		start_known = 1;
		/* Each script begins at the same moment between two ticks. */
		start = last = (now() / SECOND + 1) * SECOND;
		sleep_until(start);
	}
	base = event->when == ABSOLUTE ? start : last;
	if (event->kind == EXPECT) {
		int64_t late = event->when == ANY ? 60 * SECOND : PATIENCE;

		return expect((event->when == ANY ? now() : base) + until + late, event->body);
	}
	if (event->when == RELATIVE || event->when == ABSOLUTE)
		sleep_until(base + from);
	switch (event->kind) {
	case CALL:
		return call(event);
	case SHELL:
		if (event->when != UNTIMED)
			last = now();
		run_shell((void *)event->body);
		break;
	case INJECT:
		inject((void *)event->body);
		break;
	case INFO:
		memcpy(&fd, event->body, sizeof(fd));
		information(fd);
		break;
	}
	return 1;
}

static void run_script(int index, const unsigned char *bytes, uint32_t length)
{
	struct sched_param none = { 0 }, worker_priority = { 20 };
	const unsigned char *end = bytes + length, *folder = bytes;
	pthread_condattr_t attributes;
	pthread_t thread;
	char pid[16];
	int control = socket(AF_INET, SOCK_DGRAM, 0), captured, n;
	size_t name = strlen((char *)folder) + 1;

	wire = socket(AF_PACKET, SOCK_RAW, 0);
	make_network(index, control);
	if (chdir((char *)folder))
		fatal((char *)folder);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("PACKETDRILL_PID", pid, 1);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1);
	/* The script's descriptors begin behind standard error, as they do for any program. */
	captured = fcntl(wire, F_DUPFD_CLOEXEC, 100);
	close(wire);
	close(control);
	wire = captured;
	for (n = 0; n < FDS; n++)
		live_fds[n] = -1;
	packets = calloc(PACKETS, sizeof(*packets));
	scratch = mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!packets || scratch == MAP_FAILED)
		fatal("packet: memory");
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attributes);
	if (pthread_create(&thread, NULL, worker, NULL))
		fatal("packet: thread");
	/* Whatever there is to do for the kernel and for a call is done before the next event. */
	if (pthread_setschedparam(thread, SCHED_FIFO, &worker_priority) ||
	    sched_setscheduler(0, SCHED_IDLE, &none))
		fatal("packet: priority");
	sleep_until(now() + SECOND);
	for (bytes += (name + 7) / 8 * 8; bytes < end;) {
		const struct event *event = (void *)bytes;

		if (!perform(event))
			break;
		bytes += sizeof(*event) + (event->size + 7) / 8 * 8;
		current++;
	}
	call_returned(now() + PATIENCE);
	/* What was sent and not asked for. */
	capture();
	while (first_packet < end_packet) {
		struct packet *packet = &packets[first_packet++];

		tell((struct record){ .kind = STRAY, .time = packet->time, .length = packet->length },
		     packet->headers);
	}
	tell((struct record){ .kind = END, .time = start, .other_time = real_offset }, NULL);
	tell_now();
	_exit(0);
}

/* A connection before all others: the kernel makes what it needs for the first one only once. */
static void warm_up(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), accepted;

	if (bind(server, (void *)&address, length) || listen(server, 1) ||
	    getsockname(server, (void *)&address, &length) || connect(client, (void *)&address, length))
		fatal("packet: loopback");
	accepted = accept(server, NULL, NULL);
	if (accepted < 0 || write(client, "", 1) != 1)
		fatal("packet: loopback");
	close(accepted);
	close(client);
	close(server);
}

/* ethtool -K DEVICE (NAME on|off)... */
static int ethtool(char **words)
{
	static const struct { const char *name; uint32_t set; } offloads[] = {
		{ "tso", ETHTOOL_STSO }, { "gso", ETHTOOL_SGSO }, { "gro", ETHTOOL_SGRO },
		{ "tx", ETHTOOL_STXCSUM }, { "rx", ETHTOOL_SRXCSUM }, { "sg", ETHTOOL_SSG },
	};
	struct ifreq request = { 0 };
	struct ethtool_value value;
	unsigned int n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (!words[0] || strcmp(words[0], "-K") || !words[1]) {
		fprintf(stderr, "ethtool: only `ethtool -K DEVICE OFFLOAD on|off ...` is known here\n");
		return 2;
	}
	strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
	request.ifr_data = (void *)&value;
	for (words += 2; words[0] && words[1]; words += 2) {
		for (n = 0; n < sizeof(offloads) / sizeof(*offloads); n++)
			if (!strcmp(words[0], offloads[n].name))
				break;
		value.data = !strcmp(words[1], "on");
		if (n == sizeof(offloads) / sizeof(*offloads)) {
			/* A pair of devices never has it. */
			if (!strcmp(words[0], "lro") && !value.data)
				continue;
			fprintf(stderr, "ethtool: there is no offload `%s`\n", words[0]);
			return 2;
		}
		value.cmd = offloads[n].set;
		if (ioctl(fd, SIOCETHTOOL, &request)) {
			perror("ethtool");
			return 1;
		}
	}
	return 0;
}

int main(int count, char **words)
{
	const char *name = strrchr(words[0], '/');
	int fd, status, index;
	unsigned char *events, *end;
	off_t length;

	if (count > 1 && !strcmp(name ? name + 1 : words[0], "ethtool"))
		return ethtool(words + 1);
	fd = open("/.runner/events", O_RDONLY | O_CLOEXEC);
	length = lseek(fd, 0, SEEK_END);
	events = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd < 0 || events == MAP_FAILED)
		fatal("packet: /.runner/events");
	close(fd);
	warm_up();
	for (index = 0, end = events + length; events < end; index++) {
		uint32_t size;
		pid_t pid;

		memcpy(&size, events, sizeof(size));
		tell((struct record){ .kind = BEGIN, .value = index }, NULL);
		tell_now();
		pid = fork();
		if (!pid)
			run_script(index, events + 8, size);
		while (waitpid(pid, &status, 0) < 0)
			;
		if (status) {
			tell((struct record){ .kind = BROKEN, .value = status }, NULL);
			tell_now();
		}
		events += 8 + (size + 7) / 8 * 8;
		sleep_until(now() + REST);
	}
	return 0;
}
