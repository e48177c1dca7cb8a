/*-------------------------------------------------------------------------
 *
 * resolve.c
 *	  Host names to addresses, without ever making the process wait.
 *
 * All requests go to one host (or through one proxy), so one name is kept.
 * Each lookup is a detached thread that runs getaddrinfo() and writes the
 * address of its result into a pipe; that thread calls nothing of
 * PostgreSQL's and has all signals blocked.  What comes back after we gave up
 * is still an answer, if it is for the name that is wanted now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

#include "http_target.h"
#include "http_util.h"
#include "resolve.h"

#define ADDRESSES_MAX	8		/* of each name; more would not be tried in
								 * time */
#define KEEP_MS			60000	/* what load balancers' names usually live */
#define KEEP_FAILURE_MS 1000
#define THREADS_MAX		8		/* hanging at once, before we only wait for
								 * one */
#define STACK_SIZE		(256 * 1024)

/* Owned by the thread until its address was written to the pipe. */
typedef struct Lookup
{
	int			pipe;
	bool		found;
	char		name[HTTP_HOST_MAX + 1];
	char		text[ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)];
} Lookup;

static int	answers[2] = {-1, -1};
static int	threads;
static ResolveState state;
static Lookup current;			/* the name wanted last, and what is known of
								 * it */
static bool known;				/* state is worth something until `until` */
static int64 until;				/* end of a pending lookup, or of what is
								 * kept, in ms */

/* prototypes of private functions */
static void start_lookup(const char *name, long timeout_ms);
static bool start_thread(Lookup *lookup);
static void *run_lookup(void *arg);
static void list_addresses(const struct addrinfo *found, char *text, size_t size);
static void keep(ResolveState new_state, const char *text, long keep_ms);

/* Not blocking: the reader drains it, and the writers never wait for us. */
int
resolve_init(void)
{
	if (answers[0] < 0 && pipe2(answers, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	return answers[0];
}

/* The pipe stays: a thread that hangs may still write to it, or to what was opened since. */
void
resolve_shutdown(void)
{
	known = false;
}

/* What is known may have changed: it serves on, and is looked up anew. */
void
resolve_refresh(void)
{
	if (known && state == RESOLVE_READY)
		until = 0;
}

/*
 * A pending lookup that ran out of time counts as failed for a moment, so that
 * all who waited for it learn of it, and the next one tries anew.  An address
 * once found serves until there is a newer one: a name server that is slow or
 * gone stops nobody, and certificates tell if the address is a stranger's by now.
 */
ResolveState
resolve_ask(const char *name, long timeout_ms, const char **text)
{
	if (known && strcmp(name, current.name) != 0)
		known = false;
	if (known && state != RESOLVE_READY && http_now_ms() >= until)
	{
		known = false;
		if (state == RESOLVE_PENDING)
			keep(RESOLVE_FAILED, "the name server does not answer", KEEP_FAILURE_MS);
	}
	if (!known || http_now_ms() >= until)
		start_lookup(name, timeout_ms);
	*text = current.text;
	return state;
}

/* Threads that hang are counted: a dead name server must not eat the process up. */
static void
start_lookup(const char *name, long timeout_ms)
{
	Lookup	   *lookup = malloc(sizeof(Lookup));

	if (known)
		keep(state, current.text, timeout_ms);
	else
	{
		strlcpy(current.name, name, sizeof(current.name));
		keep(RESOLVE_PENDING, "", timeout_ms);
	}
	if (threads >= THREADS_MAX)
		free(lookup);			/* one of those may still come back */
	else if (lookup == NULL || !start_thread(lookup))
	{
		free(lookup);
		if (state != RESOLVE_READY)
			keep(RESOLVE_FAILED, "could not start a thread", KEEP_FAILURE_MS);
	}
	else
		threads++;
}

/* The mask is inherited: PostgreSQL's signal handlers must never run in that thread. */
static bool
start_thread(Lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t	thread;
	sigset_t	before;
	bool		started;

	lookup->pipe = answers[1];
	strlcpy(lookup->name, current.name, sizeof(lookup->name));
	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	http_block_signals(&before);
	started = pthread_create(&thread, &attributes, run_lookup, lookup) == 0;
	http_unblock_signals(&before);
	pthread_attr_destroy(&attributes);
	return started;
}

/* In the thread: libc only. */
static void *
run_lookup(void *arg)
{
	Lookup	   *lookup = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,.ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int			error = getaddrinfo(lookup->name, NULL, &hints, &found);

	lookup->text[0] = '\0';
	if (error == 0)
		list_addresses(found, lookup->text, sizeof(lookup->text));
	lookup->found = lookup->text[0] != '\0';
	if (!lookup->found)
		strlcpy(lookup->text, error ? gai_strerror(error) : "no address", sizeof(lookup->text));
	if (found != NULL)
		freeaddrinfo(found);
	if (write(lookup->pipe, &lookup, sizeof(lookup)) != sizeof(lookup))
		free(lookup);			/* cannot be: the pipe holds thousands */
	return NULL;
}

/* In the thread: in the order of RFC 6724, as getaddrinfo() gives them. */
static void
list_addresses(const struct addrinfo *found, char *text, size_t size)
{
	size_t		used = 0;
	int			n = 0;

	for (; found != NULL && n < ADDRESSES_MAX; found = found->ai_next)
	{
		char		address[INET6_ADDRSTRLEN];
		bool		v6 = found->ai_family == AF_INET6;
		const void *binary = &((const struct sockaddr_in *) found->ai_addr)->sin_addr;

		if (v6)
			binary = &((const struct sockaddr_in6 *) found->ai_addr)->sin6_addr;
		if (inet_ntop(found->ai_family, binary, address, sizeof(address)) == NULL)
			continue;
		used += snprintf(text + used, size - used, v6 ? "%s[%s]" : "%s%s",
						 n > 0 ? "," : "", address);
		n++;
	}
}

void
resolve_collect(void)
{
	Lookup	   *lookup;

	while (read(answers[0], &lookup, sizeof(lookup)) == sizeof(lookup))
	{
		threads--;
		if (known && (lookup->found || state != RESOLVE_READY) &&
			strcmp(lookup->name, current.name) == 0)
			keep(lookup->found ? RESOLVE_READY : RESOLVE_FAILED, lookup->text,
				 lookup->found ? KEEP_MS : KEEP_FAILURE_MS);
		free(lookup);
	}
}

long
resolve_wait_ms(void)
{
	if (!known || state != RESOLVE_PENDING)
		return -1;
	return Max(0, (long) (until - http_now_ms()));
}

/* Text that is kept already may be passed back. */
static void
keep(ResolveState new_state, const char *text, long keep_ms)
{
	known = true;
	state = new_state;
	until = http_now_ms() + keep_ms;
	if (text != current.text)
		strlcpy(current.text, text, sizeof(current.text));
}
