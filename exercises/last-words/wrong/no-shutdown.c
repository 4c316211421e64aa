/*
 * brief: reads four bytes from a client, says "enough", and closes; one client after the other.
 *
 *     brief PORT
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

static void talk(int connection)
{
	static const char answer[] = "enough\n";
	char question[4];
	char rest[1024];

	check("read", read(connection, question, sizeof question));
	check("write", write(connection, answer, sizeof answer - 1));
	while (read(connection, rest, sizeof rest) > 0)
		;
	check("close", close(connection));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: brief PORT\n");
		return 2;
	}
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	check("socket", listener);
	check("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
	check("listen", listen(listener, 8));
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		check("accept", connection);
		talk(connection);
	}
}
