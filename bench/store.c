/*-------------------------------------------------------------------------
 *
 * store.c
 *	  A fast sandbox store: the three calls of a capture over TLS, from one
 *	  process, so that a benchmark measures its clients.
 *
 *	  store PORT CERTIFICATE KEY
 *
 * Differs from t/store.py in all that is not needed here: every order there
 * is exists, is of 10 USD, and is captured by its first POST; nothing is
 * checked, and no fault can be asked for.  What it must have is what a figure
 * rests on: it counts each order's POSTs, keeps the quota that it tells, and
 * delays answers without waiting.  PORT 0 is any.  It is steered by lines on
 * its standard input, answers each with a line, and ends when that closes:
 *
 *	  latency MS | quota REQUESTS WINDOW_MS | tell LEFT | reset | report |
 *	  arrived STORE ID
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "store_request.h"
#include "store_state.h"

#define REQUEST_MAX		4096
#define ANSWER_MAX		3072

typedef struct Connection
{
	int			fd;
	SSL		   *ssl;
	char		request[REQUEST_MAX + 1];
	int			received;
	int			requests;		/* on it so far */
	char	   *answer;			/* NULL: none is due */
	int			length;
	int			sent;
	int64_t		due_us;
	struct Connection *next;	/* of the answers that are delayed */
} Connection;

static SSL_CTX *tls;
static int	poller;
static int64_t latency_us;
static Connection *first_delayed,
		   *last_delayed;

static void die(const char *what);
static int	listen_on(int port);
static void make_tls(const char *certificate, const char *key);
static void watch(int fd, void *what, int events, int operation);
static void take_connections(int listener);
static void drop(Connection *c);
static void serve(Connection *c);
static void take_request(Connection *c);
static void answer_with(Connection *c, int status, const char *quota, const char *body);
static void send_answer(Connection *c);
static int	send_delayed(void);
static void take_command(void);

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	int			listener;

	if (argc != 4)
	{
		fprintf(stderr, "usage: store PORT CERTIFICATE KEY < commands\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setlinebuf(stdout);
	make_tls(argv[2], argv[3]);
	poller = epoll_create1(0);
	listener = listen_on(atoi(argv[1]));
	watch(0, &tls, EPOLLIN, EPOLL_CTL_ADD);
	watch(listener, NULL, EPOLLIN, EPOLL_CTL_ADD);
	for (;;)
	{
		int			n = epoll_wait(poller, events, 256, send_delayed());

		for (int i = 0; i < n; i++)
		{
			if (events[i].data.ptr == NULL)
				take_connections(listener);
			else if (events[i].data.ptr == &tls)
				take_command();
			else
				serve(events[i].data.ptr);
		}
	}
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int
listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,.sin_port = htons(port)};
	socklen_t	length = sizeof(address);
	int			one = 1;
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *) &address, length) < 0 || listen(fd, 4096) < 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) < 0)
		die("listen");
	printf("%d\n", ntohs(address.sin_port));
	return fd;
}

/* Tickets and sessions as OpenSSL hands them out by itself. */
static void
make_tls(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (tls == NULL ||
		SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		die("certificate");
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
}

static void
watch(int fd, void *what, int events, int operation)
{
	struct epoll_event event = {.events = events,.data.ptr = what};

	if (epoll_ctl(poller, operation, fd, &event) < 0)
		die("epoll");
}

static void
take_connections(int listener)
{
	int			fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		Connection *c = calloc(1, sizeof(Connection));
		int			one = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		c->ssl = SSL_new(tls);
		SSL_set_fd(c->ssl, fd);
		SSL_set_accept_state(c->ssl);
		state.connections++;
		state.open++;
		watch(fd, c, EPOLLIN, EPOLL_CTL_ADD);
	}
}

/* One whose answer is delayed is dropped when that is due. */
static void
drop(Connection *c)
{
	if (c->ssl != NULL)
	{
		SSL_free(c->ssl);
		close(c->fd);
		c->ssl = NULL;
		state.open--;
	}
	if (c->answer == NULL)
		free(c);
}

/* A client asks the next thing when it has its answer, so there is one request at a time. */
static void
serve(Connection *c)
{
	int			n;

	if (c->answer != NULL)
	{
		drop(c);				/* it did not wait: it is gone */
		return;
	}
	while (c->answer == NULL)
	{
		n = SSL_read(c->ssl, c->request + c->received, REQUEST_MAX - c->received);
		if (n <= 0)
		{
			if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
				return;
			drop(c);
			return;
		}
		c->received += n;
		c->request[c->received] = '\0';
		if (request_is_whole(c->request, c->received))
		{
			take_request(c);
			c->received = 0;
		}
	}
}

static void
take_request(Connection *c)
{
	char		quota[256],
				body[ANSWER_MAX];
	int			status = request_answer(c->request, quota, sizeof(quota), body, sizeof(body));

	if (SSL_session_reused(c->ssl) && c->requests == 0)
		state.resumed++;
	c->requests++;
	answer_with(c, status, quota, body);
}

/* What is delayed keeps its order, for the delay is the same for all. */
static void
answer_with(Connection *c, int status, const char *quota, const char *body)
{
	int			size = strlen(body) + strlen(quota) + 256;

	c->answer = malloc(size);
	c->length = snprintf(c->answer, size, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%s"
						 "Content-Length: %zu\r\n\r\n%s", status, status == 200 ? "OK" : "No",
						 quota, strlen(body), body);
	c->sent = 0;
	c->due_us = latency_us == 0 ? 0 : state_now_us() + latency_us;
	c->next = NULL;
	if (c->due_us == 0)
	{
		send_answer(c);
		return;
	}
	state.pending++;
	if (state.pending > state.most_pending)
		state.most_pending = state.pending;
	if (first_delayed == NULL)
		first_delayed = c;
	else
		last_delayed->next = c;
	last_delayed = c;
}

static void
send_answer(Connection *c)
{
	while (c->ssl != NULL && c->sent < c->length)
	{
		int			n = SSL_write(c->ssl, c->answer + c->sent, c->length - c->sent);

		if (n <= 0)
		{
			/* Small answers to a client that reads them: rarely, and soon over. */
			if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE)
				continue;
			break;
		}
		c->sent += n;
	}
	free(c->answer);
	c->answer = NULL;
}

/* Returns for how long epoll may sleep, in ms. */
static int
send_delayed(void)
{
	int64_t		now = state_now_us();

	while (first_delayed != NULL && first_delayed->due_us <= now)
	{
		Connection *c = first_delayed;

		first_delayed = c->next;
		state.pending--;
		c->due_us = 0;
		if (c->ssl == NULL)
		{
			free(c->answer);
			free(c);
			continue;
		}
		send_answer(c);
		serve(c);
	}
	return first_delayed == NULL ? -1 : (int) ((first_delayed->due_us - now + 999) / 1000);
}

static void
take_command(void)
{
	char		line[256];
	long		ms;
	int			used = 0;

	while (used < (int) sizeof(line) - 1 && read(0, line + used, 1) == 1 && line[used] != '\n')
		used++;
	line[used] = '\0';
	if (used == 0)
		exit(0);				/* whoever wanted it is gone */
	if (sscanf(line, "latency %ld", &ms) == 1)
	{
		latency_us = ms * 1000;
		printf("ok\n");
	}
	else
		state_command(line);
}
