/*
 * nat: lets the hosts behind a device talk to the world in the name of one address.
 *
 *     nat DEVICE ADDRESS
 *
 * What comes in by DEVICE is of a host inside, and goes out. What comes in by another device for ADDRESS is
 * for a host inside. The kernel must not forward, and ADDRESS must not be one of the machine's own: it would
 * answer for it.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The sum of one's complement over some bytes, added to the sum of others. */
static inline unsigned int sum(unsigned int others, const void *bytes, size_t length)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < length; i++) {
		others += i % 2 ? byte[i] : byte[i] << 8;
		others = (others & 0xffff) + (others >> 16);
	}
	return others;
}

/* The checksum of such a sum, in the order of the network. */
static inline unsigned short checksum(unsigned int sum)
{
	return htons(~sum);
}

/*
 * A packet of a host inside; `payload` is what follows IP's header. Says whether to send it.
 *
 * IP's own checksum is the kernel's work. A checksum above it may be unfinished here, as a `veth` leaves it
 * to a card that is not there: compute it anew from the whole.
 */
static bool outward(struct iphdr *ip, void *payload, size_t length, in_addr_t address)
{
	return true;
}

/* A packet for the address that all share. */
static bool inward(struct iphdr *ip, void *payload, size_t length)
{
	return false;
}

static int check(const char *call, int result)
{
	if (result < 0) {
		perror(call);
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	static char packet[65536] __attribute__((aligned(8)));
	struct iphdr *ip = (struct iphdr *)packet;
	struct in_addr address;

	if (argc != 3 || !if_nametoindex(argv[1]) || !inet_aton(argv[2], &address)) {
		fprintf(stderr, "usage: nat DEVICE ADDRESS\n");
		return 2;
	}
	int inside = if_nametoindex(argv[1]);
	int ears = check("socket", socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
	int mouth = check("socket", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));

	for (;;) {
		struct sockaddr_ll from;
		socklen_t size = sizeof from;
		int got = check("recvfrom", recvfrom(ears, packet, sizeof packet, 0,
						     (struct sockaddr *)&from, &size));
		int length = ntohs(ip->tot_len);
		int header = ip->ihl * 4;
		bool send = false;

		if (from.sll_pkttype != PACKET_HOST || got < length || length < header)
			continue;
		if (from.sll_ifindex == inside)
			send = outward(ip, packet + header, length - header, address.s_addr);
		else if (ip->daddr == address.s_addr)
			send = inward(ip, packet + header, length - header);
		if (send) {
			struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = ip->daddr };

			if (sendto(mouth, packet, length, 0, (struct sockaddr *)&to, sizeof to) < 0)
				perror("sendto");
		}
	}
}
