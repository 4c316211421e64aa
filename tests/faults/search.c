/*
 * Looks for a way out of the guest. Prints the PCI devices and the size of the ring, and each way that it finds; a guest
 * without any prints no more.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING "/sys/bus/pci/devices/0000:00:1e.0/resource2"

static void show(const char *device, const char *name)
{
	char path[512], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name);
	file = fopen(path, "r");
	if (file && fgets(text, sizeof(text), file))
		text[strcspn(text, "\n")] = 0;
	printf(" %s", text);
}

static void devices(void)
{
	struct dirent **all;
	int count = scandir("/sys/bus/pci/devices", &all, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (all[i]->d_name[0] == '.')
			continue;
		printf("pci");
		show(all[i]->d_name, "vendor");
		show(all[i]->d_name, "device");
		printf("\n");
	}
	if (!access("/sys/bus/virtio", F_OK))
		printf("virtio\n");
}

/* Beyond its end the ring has no memory, neither by its file nor by a mapping. */
static void ring(void)
{
	struct stat stat;
	int fd = open(RING, O_RDWR);

	if (fd < 0 || fstat(fd, &stat))
		return;
	printf("ring %lld\n", (long long)stat.st_size);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, stat.st_size) != MAP_FAILED)
		printf("memory behind the ring\n");
	if (mmap(NULL, stat.st_size + 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		printf("a ring that is too long\n");
}

static void mounts(void)
{
	static const char *const types[] = { "9p", "virtiofs", "fuse", "nfs", "cifs", "vboxsf", "hostfs" };

	mkdir("/tmp/m", 0700);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!mount("host", "/tmp/m", types[i], 0, "trans=virtio") || errno != ENODEV)
			printf("mount %s: %m\n", types[i]);
}

static void connect_to(const char *address)
{
	static const int ports[] = { 22, 53, 80, 1234, 4444, 5900 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	char byte = 0;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return;
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

		to.sin_port = htons(ports[i]);
		if (!connect(tcp, (struct sockaddr *)&to, sizeof(to)) || errno != ENETUNREACH)
			printf("connect %s %d: %m\n", address, ports[i]);
		if (sendto(udp, &byte, 1, 0, (struct sockaddr *)&to, sizeof(to)) >= 0 || errno != ENETUNREACH)
			printf("send %s %d: %m\n", address, ports[i]);
		close(tcp);
		close(udp);
	}
}

static void networks(int count, char **addresses)
{
	struct if_nameindex *all = if_nameindex();

	for (; all && all->if_index; all++)
		if (strcmp(all->if_name, "lo"))
			printf("card %s\n", all->if_name);
	for (int family = 1; family < AF_MAX; family++) {
		int fd = socket(family, SOCK_STREAM, family == AF_VSOCK ? 0 : 0);

		if (fd >= 0 && family != AF_UNIX && family != AF_INET)
			printf("sockets of the family %d\n", family);
	}
	connect_to("10.0.2.2");
	connect_to("10.0.2.3");
	connect_to("192.168.122.1");
	connect_to("172.17.0.1");
	connect_to("169.254.169.254");
	for (int i = 0; i < count; i++)
		connect_to(addresses[i]);
}

/* QEMU's firmware configuration: the files that the boot needs, and none of them knows of the host. */
static void select_file(uint16_t key)
{
	outw(key, 0x510);
}

static void read_bytes(void *bytes, size_t count)
{
	for (uint8_t *at = bytes; count--; at++)
		*at = inb(0x511);
}

static void firmware(void)
{
	static const char *const known[] = { "bootorder", "bios-geometry", "etc/", "genroms/", "vgaroms/" };
	struct {
		uint32_t size;
		uint16_t key, reserved;
		char name[56];
	} file;
	uint32_t count;

	if (iopl(3)) {
		perror("iopl");
		return;
	}
	select_file(0x19);
	read_bytes(&count, sizeof(count));
	count = ntohl(count);
	if (count == 0 || count > 100)
		printf("%u files of the firmware\n", count);
	for (uint32_t i = 0; i < count; i++) {
		int is_known = 0;

		select_file(0x19);
		read_bytes(&count, sizeof(count));
		count = ntohl(count);
		for (uint32_t j = 0; j <= i; j++)
			read_bytes(&file, sizeof(file));
		for (size_t j = 0; j < sizeof(known) / sizeof(*known); j++)
			is_known |= !strncmp(file.name, known[j], strlen(known[j]));
		if (!is_known || strstr(file.name, "opt/"))
			printf("firmware %s\n", file.name);
	}
}

/* Devices of the host's that other machines have. */
static void devices_of_the_host(void)
{
	static const char *const paths[] = { "/dev/vsock", "/dev/kvm", "/dev/mem", "/dev/port", "/dev/vda", "/dev/sda", "/dev/hvc0" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (open(paths[i], O_RDWR) >= 0)
			printf("device %s\n", paths[i]);
}

int main(int argc, char **argv)
{
	devices();
	ring();
	mounts();
	networks(argc - 1, argv + 1);
	firmware();
	devices_of_the_host();
	return 0;
}
