/*
 * packet: waits for one packet of IP that comes in by a device.
 *
 *     packet DEVICE
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
	int ears = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));

	if (argc != 2) {
		fprintf(stderr, "usage: packet DEVICE\n");
		return 2;
	}
	struct sockaddr_ll device = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = if_nametoindex(argv[1]),
	};

	if (bind(ears, (struct sockaddr *)&device, sizeof device) < 0) {
		perror("packet");
		return 1;
	}
	ssize_t length = read(ears, frame, sizeof frame);

	if (length < 0) {
		perror("packet");
		return 1;
	}
	printf("a frame of %zd bytes\n", length);
	return 0;
}
