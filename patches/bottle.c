/*
 * bottle: sends a message by the protocol BOTTLE of chapter 16, or waits for one.
 *
 *     bottle PORT                   waits for one message, and sends it back
 *     bottle ADDRESS PORT TEXT      sends one, and waits a second for what comes back
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define IPPROTO_BOTTLE 253

static void check(const char *call, int result)
{
	if (result < 0) {
		perror(call);
		exit(1);
	}
}

/* Prints the next message, and who sent it; gives its length. */
static ssize_t next_message(int bottles, char *text, size_t size, struct sockaddr_in *peer)
{
	socklen_t length = sizeof *peer;
	ssize_t count = recvfrom(bottles, text, size, 0, (struct sockaddr *)peer, &length);

	check("recvfrom", count);
	printf("%s port %d: %.*s\n", inet_ntoa(peer->sin_addr), ntohs(peer->sin_port), (int)count, text);
	return count;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval second = { .tv_sec = 1 };
	char text[2048];

	if ((argc != 2 && argc != 4) || (argc == 4 && !inet_aton(argv[1], &address.sin_addr))) {
		fprintf(stderr, "usage: bottle PORT | bottle ADDRESS PORT TEXT\n");
		return 2;
	}
	address.sin_port = htons(atoi(argv[argc == 4 ? 2 : 1]));
	int bottles = socket(AF_INET, SOCK_DGRAM, IPPROTO_BOTTLE);

	setbuf(stdout, NULL);
	check("socket", bottles);
	if (argc == 2) {
		check("bind", bind(bottles, (struct sockaddr *)&address, sizeof address));
		printf("waiting\n");
		ssize_t count = next_message(bottles, text, sizeof text, &address);
		check("sendto", sendto(bottles, text, count, 0, (struct sockaddr *)&address, sizeof address));
		return 0;
	}
	check("sendto", sendto(bottles, argv[3], strlen(argv[3]), 0, (struct sockaddr *)&address, sizeof address));
	check("setsockopt", setsockopt(bottles, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second));
	next_message(bottles, text, sizeof text, &address);
	return 0;
}
