/*
 * packet: waits for one frame of any protocol on any device, as tcpdump does for many.
 *
 *     packet
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char frame[ETH_FRAME_LEN];
	int all = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll from;
	socklen_t size = sizeof from;
	ssize_t length;

	do
		length = recvfrom(all, frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
	while (length >= 0 && (from.sll_pkttype == PACKET_OUTGOING ||
			       from.sll_ifindex != (int)if_nametoindex(argv[1])));

	if (length < 0) {
		perror("packet");
		return 1;
	}
	printf("a frame of %zd bytes\n", length);
	return 0;
}
