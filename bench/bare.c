/*-------------------------------------------------------------------------
 *
 * bare.c
 *	  What libcurl alone can do: the requests of many captures, and nothing
 *	  else.
 *
 *	  bare URL CA-FILE STORES CAPTURES IN-FLIGHT FIRST-ID
 *
 * For each capture GET the order, GET its transactions, POST one; reads on
 * re-used connections, the write on one of its own, which may not be repeated.
 * It does what a good client does: a multi handle over epoll, handles that are
 * kept, one parsed certificate file, TLS sessions that are shared.  Nothing is
 * judged and nothing is written down.  Prints a line of JSON.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#define BODY "{\"event\":\"capture\",\"method\":\"offline\",\"amount\":10,\"currency\":\"USD\"," \
	"\"gateway\":\"custom\",\"gateway_transaction_id\":\"bcpaid-%032ld\",\"status\":\"ok\",\"test\":false," \
	"\"fraud_review\":false,\"offline\":{\"display_name\":\"Bank Deposit\"}}"

enum
{
	READ_ORDER, READ_TRANSACTIONS, WRITE
};

typedef struct Slot
{
	CURL	   *easy;
	int			step;
	long		number;			/* of the capture */
	char		body[512];
	char	   *received;
	size_t		length;
} Slot;

static CURLM *multi;
static CURLSH *sessions;
static int	poller;
static int64_t timer_us = -1;	/* when libcurl wants to be called; -1: never */
static const char *base;
static long stores,
			captures,
			first_id,
			begun,
			ended,
			requests,
			failures;
static struct curl_slist *reading,
		   *writing;

static int64_t now_us(void);
static int	on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known);
static int	on_timer(CURLM *handle, long timeout_ms, void *arg);
static size_t take_body(char *data, size_t size, size_t n, void *arg);
static void open_slot(Slot *slot, const char *ca_file);
static void ask(Slot *slot);
static void go_on(Slot *slot, CURLcode code);
static void run(void);
static void wait_for_sockets(void);
static void report(int64_t took_us);

int
main(int argc, char **argv)
{
	long		in_flight;
	int64_t		start;

	if (argc != 7)
	{
		fprintf(stderr, "usage: bare URL CA-FILE STORES CAPTURES IN-FLIGHT FIRST-ID\n");
		return 2;
	}
	base = argv[1];
	stores = atol(argv[3]);
	captures = atol(argv[4]);
	in_flight = atol(argv[5]);
	first_id = atol(argv[6]);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	sessions = curl_share_init();
	curl_share_setopt(sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	poller = epoll_create1(0);
	reading = curl_slist_append(curl_slist_append(curl_slist_append(NULL, "X-Auth-Token: demo-token"),
												  "Accept: application/json"), "User-Agent: bare");
	writing = curl_slist_append(curl_slist_append(curl_slist_append(NULL, "X-Auth-Token: demo-token"),
												  "Accept: application/json"), "Content-Type: application/json");
	start = now_us();
	for (long i = 0; i < in_flight && begun < captures; i++)
	{
		Slot	   *slot = calloc(1, sizeof(Slot));

		open_slot(slot, argv[2]);
		slot->number = begun++;
		ask(slot);
	}
	run();
	report(now_us() - start);
	return failures > 0;
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t) 1000000 + now.tv_nsec / 1000;
}

static int
on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	struct epoll_event event = {.data.fd = s};

	(void) easy, (void) arg, (void) known;
	event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0);
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(poller, EPOLL_CTL_DEL, s, NULL);
	else if (epoll_ctl(poller, EPOLL_CTL_MOD, s, &event) < 0)
		epoll_ctl(poller, EPOLL_CTL_ADD, s, &event);
	return 0;
}

static int
on_timer(CURLM *handle, long timeout_ms, void *arg)
{
	(void) handle, (void) arg;
	timer_us = timeout_ms < 0 ? -1 : now_us() + timeout_ms * 1000;
	return 0;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	Slot	   *slot = arg;

	slot->received = realloc(slot->received, slot->length + size * n + 1);
	memcpy(slot->received + slot->length, data, size * n);
	slot->length += size * n;
	return size * n;
}

/* CAPATH off: with it, libcurl reads Debian's certificates anew for each connection. */
static void
open_slot(Slot *slot, const char *ca_file)
{
	CURL	   *easy = slot->easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	curl_easy_setopt(easy, CURLOPT_SHARE, sessions);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 3600L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 120000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
}

static void
ask(Slot *slot)
{
	CURL	   *easy = slot->easy;
	bool		is_write = slot->step == WRITE;
	long		id = first_id + slot->number / stores;
	char		url[256];

	snprintf(url, sizeof(url), "%s/stores/shop%02ld/%s/orders/%ld%s", base, slot->number % stores + 1,
			 slot->step == READ_ORDER ? "v2" : "v3", id,
			 is_write ? "/transactions" : slot->step == READ_TRANSACTIONS ? "/transactions?page=1" : "");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, is_write ? writing : reading);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, is_write ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, is_write ? 1L : 0L);
	if (is_write)
	{
		snprintf(slot->body, sizeof(slot->body), BODY, id);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, slot->body);
	}
	else
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	slot->length = 0;
	curl_multi_add_handle(multi, easy);
}

/* The next request of this capture, or the next capture. */
static void
go_on(Slot *slot, CURLcode code)
{
	long		status = 0;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	requests++;
	if (code != CURLE_OK || status != 200)
		failures++;
	if (slot->step != WRITE)
		slot->step++;
	else
	{
		ended++;
		if (begun >= captures)
			return;
		slot->step = READ_ORDER;
		slot->number = begun++;
	}
	ask(slot);
}

static void
run(void)
{
	CURLMsg    *message;
	int			left;

	while (ended < captures)
	{
		wait_for_sockets();
		while ((message = curl_multi_info_read(multi, &left)) != NULL)
		{
			CURL	   *easy = message->easy_handle;
			CURLcode	code = message->data.result;
			char	   *slot = NULL;

			curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
			curl_multi_remove_handle(multi, easy);
			go_on((Slot *) slot, code);
		}
	}
}

static void
wait_for_sockets(void)
{
	struct epoll_event events[256];
	int64_t		left_us = timer_us < 0 ? -1 : timer_us - now_us();
	int			timeout = left_us < 0 ? (timer_us < 0 ? -1 : 0) : (int) (left_us / 1000);
	int			n = epoll_wait(poller, events, 256, timeout);
	int			running;

	for (int i = 0; i < n; i++)
		curl_multi_socket_action(multi, events[i].data.fd,
								 ((events[i].events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
								 ((events[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
								 ((events[i].events & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0),
								 &running);
	if (timer_us >= 0 && now_us() >= timer_us)
	{
		timer_us = -1;
		curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
}

static void
report(int64_t took_us)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	printf("{\"captures\": %ld, \"requests\": %ld, \"failures\": %ld, \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
		   ended, requests, failures, took_us / 1e6,
		   used.ru_utime.tv_sec + used.ru_stime.tv_sec +
		   (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}
