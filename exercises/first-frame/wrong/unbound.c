/*
 * packet: waits for one frame of any protocol on any device, as tcpdump does for many.
 *
 *     packet
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	char frame[ETH_FRAME_LEN];
	int all = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));
	ssize_t length = read(all, frame, sizeof frame);

	if (length < 0) {
		perror("packet");
		return 1;
	}
	printf("a frame of %zd bytes\n", length);
	return 0;
}
