/*
 * letter: connects, sends a letter word by word, and prints what comes back.
 *
 *     letter ADDRESS PORT WORD...
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
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

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (argc < 4 || !inet_aton(argv[1], &address.sin_addr)) {
		fprintf(stderr, "usage: letter ADDRESS PORT WORD...\n");
		return 2;
	}
	address.sin_port = htons(atoi(argv[2]));
	int connection = socket(AF_INET, SOCK_STREAM, 0);
	size_t unanswered = 0;
	char answer[1024];

	check("socket", connection);
	check("connect", connect(connection, (struct sockaddr *)&address, sizeof address));
	int on = 1;

	check("setsockopt", setsockopt(connection, IPPROTO_TCP, TCP_CORK, &on, sizeof on));
	for (int i = 3; i < argc; i++) {
		check("write", write(connection, argv[i], strlen(argv[i])));
		unanswered += strlen(argv[i]);
	}
	while (unanswered > 0) {
		ssize_t length = read(connection, answer, sizeof answer);

		check("read", length);
		if (length == 0)
			break;
		fwrite(answer, 1, length, stdout);
		unanswered -= length;
	}
	printf("\n");
	check("close", close(connection));
	return 0;
}
