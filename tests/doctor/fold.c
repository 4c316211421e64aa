/* A stand-in for a file system that takes A for a: below $FOLDED, a file is opened by its name in lower case. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int open64(const char *path, int flags, ...)
{
	int (*open_by)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
	const char *folded = getenv("FOLDED");
	char name[4096];
	va_list rest;
	int mode;

	va_start(rest, flags);
	mode = va_arg(rest, int);
	va_end(rest);
	snprintf(name, sizeof name, "%s", path);
	if (folded && !strncmp(name, folded, strlen(folded)))
		for (char *c = strrchr(name, '/'); c && *c; c++)
			*c = tolower((unsigned char)*c);
	return open_by(name, flags, mode);
}
