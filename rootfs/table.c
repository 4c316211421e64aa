/*
 * table: asks the kernel for a table of iptables, as iptables does first.
 *
 *     table NAME
 *
 * The kernel makes a table when somebody asks for it.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct ipt_getinfo info = { 0 };
	socklen_t size = sizeof info;
	int any = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 2 || strlen(argv[1]) >= sizeof info.name) {
		fprintf(stderr, "usage: table NAME\n");
		return 2;
	}
	strcpy(info.name, argv[1]);
	if (getsockopt(any, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) < 0) {
		perror("table");
		return 1;
	}
	printf("%u entries\n", info.num_entries);
	return 0;
}
