/*
 * wrong-sum: sends one SYN by itself, whose checksum is wrong, and waits for nothing.
 *
 *     wrong-sum FROM TO PORT
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };

	if (argc != 4 || !inet_aton(argv[1], &from.sin_addr) || !inet_aton(argv[2], &to.sin_addr)) {
		fprintf(stderr, "usage: wrong-sum FROM TO PORT\n");
		return 2;
	}
	struct tcphdr segment = {
		.source = htons(4000),
		.dest = htons(atoi(argv[3])),
		.seq = htonl(1),
		.doff = sizeof segment / 4,
		.syn = 1,
		.window = htons(1000),
		.check = htons(0xbad),
	};
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);

	/* The kernel puts IP's header in front, and leaves the rest as it is. */
	if (raw < 0 || bind(raw, (struct sockaddr *)&from, sizeof from) < 0 ||
	    sendto(raw, &segment, sizeof segment, 0, (struct sockaddr *)&to, sizeof to) < 0) {
		perror("wrong-sum");
		return 1;
	}
	return 0;
}
