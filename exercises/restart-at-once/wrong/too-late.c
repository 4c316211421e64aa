/*
 * server: sends back whatever a client sends, to one client after the other.
 *
 *     server PORT [BACKLOG [SECONDS]]
 *
 * BACKLOG is how many connections may wait to be accepted, 8 unless told. The server sleeps for SECONDS
 * before it accepts the first one, none unless told.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(const char *call, int result)
{
	if (result < 0) {
		perror(call);
		exit(1);
	}
}

static void echo(int connection)
{
	char text[1024];
	ssize_t length;

	while ((length = read(connection, text, sizeof text)) > 0)
		check("write", write(connection, text, length));
	check("read", length);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: server PORT [BACKLOG [SECONDS]]\n");
		return 2;
	}
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	int backlog = argc > 2 ? atoi(argv[2]) : 8;
	int seconds = argc > 3 ? atoi(argv[3]) : 0;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	setbuf(stdout, NULL);
	check("socket", listener);
	check("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
	check("setsockopt", setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)));
	check("listen", listen(listener, backlog));
	printf("listening\n");
	sleep(seconds);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		check("accept", connection);
		printf("accepted\n");
		echo(connection);
		check("close", close(connection));
		printf("closed\n");
	}
}
