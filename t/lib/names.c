/*
 * A name server that a test can break: LD_PRELOAD this, and the file named by
 * BCPAID_TEST_NAMES says what a lookup of localhost does, however it is spelt: "answer" (or there is no file),
 * "fail", or "silent" until the file says something else.  Each lookup adds a
 * line to the file of that name with ".asked" behind it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define AGAIN_US	20000

static int
says(const char *what)
{
	char		word[32] = "answer";
	const char *path = getenv("BCPAID_TEST_NAMES");
	FILE	   *file = path ? fopen(path, "r") : NULL;

	if (file != NULL)
	{
		if (fscanf(file, "%31s", word) != 1)
			strcpy(word, "answer");
		fclose(file);
	}
	return strcmp(word, what) == 0;
}

static void
note(const char *name)
{
	char		path[1024];
	const char *base = getenv("BCPAID_TEST_NAMES");
	FILE	   *file;

	if (base == NULL)
		return;
	snprintf(path, sizeof(path), "%s.asked", base);
	file = fopen(path, "a");
	if (file == NULL)
		return;
	fprintf(file, "%s\n", name);
	fclose(file);
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (name != NULL && strcasecmp(name, "localhost") == 0)
	{
		note(name);
		if (says("fail"))
			return EAI_NONAME;
		while (says("silent"))
			usleep(AGAIN_US);
	}
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, found);
}
