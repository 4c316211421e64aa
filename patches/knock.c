/*
 * knock: connects, and does not wait for the answer. Tells how many instructions the call took: as the
 * guest's clock counts 128 ns for each, the processor's own clock counts them, too.
 *
 *     knock ADDRESS PORT [TIMES]
 *
 * Of several calls it tells the shortest, in which no interrupt has come in between.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (argc < 3 || argc > 4 || !inet_aton(argv[1], &address.sin_addr)) {
		fprintf(stderr, "usage: knock ADDRESS PORT [TIMES]\n");
		return 2;
	}
	address.sin_port = htons(atoi(argv[2]));
	int times = argc > 3 ? atoi(argv[3]) : 1;
	unsigned long shortest = -1;

	while (times-- > 0) {
		int knocking = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		unsigned long before = __builtin_ia32_rdtsc();

		connect(knocking, (struct sockaddr *)&address, sizeof address);
		unsigned long took = __builtin_ia32_rdtsc() - before;

		if (took < shortest)
			shortest = took;
		close(knocking);
	}
	printf("%lu instructions\n", shortest / 128);
	return 0;
}
