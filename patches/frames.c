/*
 * frames: a line for each frame of IP that comes in or goes out by the devices that are named,
 * until it is killed.
 *
 *     frames DEVICE...
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* An address, and a port if the protocol has any. */
static void end(in_addr_t address, bool has_port, uint16_t port)
{
	printf("%s", inet_ntoa((struct in_addr){ address }));
	if (has_port)
		printf(":%d", ntohs(port));
}

/* From whom to whom. */
static void ends(const struct iphdr *ip)
{
	const struct udphdr *ports = (void *)((char *)ip + ip->ihl * 4);
	bool has_ports = ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP;

	end(ip->saddr, has_ports, ports->source);
	printf(" > ");
	end(ip->daddr, has_ports, ports->dest);
}

static void flags(const struct tcphdr *tcp)
{
	printf(" tcp%s%s%s%s%s", tcp->syn ? " SYN" : "", tcp->fin ? " FIN" : "", tcp->rst ? " RST" : "",
	       tcp->psh ? " PSH" : "", tcp->ack ? " ACK" : "");
}

int main(int argc, char **argv)
{
	static unsigned char frame[1 << 16];
	struct sockaddr_ll from;
	char name[IF_NAMESIZE];
	int all = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (all < 0) {
		perror("frames");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		socklen_t size = sizeof from;
		ssize_t length = recvfrom(all, frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
		const unsigned char *mac = frame;
		const struct iphdr *ip = (void *)(frame + ETH_HLEN);
		const struct icmphdr *icmp = (void *)((char *)ip + ip->ihl * 4);
		bool wanted = false;

		if (length < 0 || ntohs(from.sll_protocol) != ETH_P_IP || !if_indextoname(from.sll_ifindex, name))
			continue;
		for (int i = 1; i < argc; i++)
			wanted |= strcmp(argv[i], name) == 0;
		if (!wanted)
			continue;
		printf("%s %-3s to %02x:%02x ", name, from.sll_pkttype == PACKET_OUTGOING ? "out" : "in", mac[4], mac[5]);
		ends(ip);
		printf(" ttl %d sum %04x", ip->ttl, ntohs(ip->check));
		if (ip->protocol == IPPROTO_TCP)
			flags((void *)icmp);
		else if (ip->protocol == IPPROTO_UDP)
			printf(" udp");
		else if (icmp->type == ICMP_ECHO || icmp->type == ICMP_ECHOREPLY)
			printf(" icmp %s id %d", icmp->type == ICMP_ECHO ? "echo" : "reply", ntohs(icmp->un.echo.id));
		else {
			/* An error holds the beginning of the packet that it is about. */
			printf(" icmp %d/%d about ", icmp->type, icmp->code);
			ends((void *)(icmp + 1));
		}
		printf("\n");
	}
}
