/*
 * client: connects, sends a text without a copy, waits for what comes back, and closes.
 *
 *     client ADDRESS PORT TEXT
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(const char *call, int result)
{
	if (result < 0) {
		perror(call);
		exit(1);
	}
}

/* Waits until the kernel says that it does not need the bytes any more. */
static void taken_back(int connection)
{
	struct pollfd said = { .fd = connection };
	char control[128];
	struct msghdr message = { .msg_control = control, .msg_controllen = sizeof control };

	check("poll", poll(&said, 1, -1));
	check("recvmsg", recvmsg(connection, &message, MSG_ERRQUEUE));
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (argc != 4 || !inet_aton(argv[1], &address.sin_addr)) {
		fprintf(stderr, "usage: client ADDRESS PORT TEXT\n");
		return 2;
	}
	address.sin_port = htons(atoi(argv[2]));
	char answer[1024];
	int connection = socket(AF_INET, SOCK_STREAM, 0);
	int yes = 1;

	setbuf(stdout, NULL);
	check("socket", connection);
	check("setsockopt", setsockopt(connection, SOL_SOCKET, SO_ZEROCOPY, &yes, sizeof yes));
	check("connect", connect(connection, (struct sockaddr *)&address, sizeof address));
	printf("connected\n");
	check("send", send(connection, argv[3], strlen(argv[3]), MSG_ZEROCOPY));
	ssize_t length = read(connection, answer, sizeof answer);
	check("read", length);
	printf("%.*s\n", (int)length, answer);
	taken_back(connection);
	check("close", close(connection));
	printf("closed\n");
	return 0;
}
