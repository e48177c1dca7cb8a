/*-------------------------------------------------------------------------
 *
 * http_multi.c
 *	  libcurl's multi handle, waited for together with the latch.
 *
 * A latch does not wake a wait inside libcurl, and a process stuck there
 * holds up DROP DATABASE of every database.  So libcurl never waits: its
 * sockets live in one epoll descriptor, which lies beside the latch and the
 * postmaster's death in a WaitEventSet.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "compat.h"
#include "http_multi.h"
#include "http_util.h"

#define CONNECTIONS_MAX	1024	/* in use; half as many are kept beside them */
#define CONNECTIONS_MIN	128
#define FILES_MAX		5120
#define FILES_OTHER		64		/* that PostgreSQL does not count, and we */
#define EVENTS_MAX			64	/* taken from epoll at once */

static CURLM *multi;
static int	capacity;
static WaitEventSet *wait_set;
static uint32 wait_event;
static int	sockets = -1;		/* epoll descriptor: libcurl's and the
								 * resolver's */
static int	resolver_fd;
static bool timer_on;
static int64 timer_ms;			/* when libcurl wants to be called */

/* prototypes of private functions */
static void make_handle(void);
static void allow_sockets(void);
static void make_sockets(void);
static void check(CURLMcode code, const char *what);
static int	on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known);
static int	on_timer(CURLM *handle, long timeout_ms, void *arg);
static long sleep_time(long timeout_ms);
static bool run_sockets(void);
static void run_timer(void);

void
multi_init(int resolver)
{
	resolver_fd = resolver;
	allow_sockets();
	make_handle();
	make_sockets();
	if (wait_event == 0)
		wait_event = compat_wait_event("BcpaidHttp");
}

/* libcurl may start threads as soon as it is initialized: signals are blocked from then on. */
static void
make_handle(void)
{
	sigset_t	before;

	http_block_signals(&before);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		multi = curl_multi_init();
	http_unblock_signals(&before);
	if (multi == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not initialize libcurl")));
	check(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket), "CURLMOPT_SOCKETFUNCTION");
	check(curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer), "CURLMOPT_TIMERFUNCTION");

	/*
	 * More than may be in use: else writes, on connections of their own,
	 * would close what reads go on with.  Each costs 40 kB.
	 */
	check(curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, capacity + capacity / 2L), "CURLMOPT_MAXCONNECTS");
}

static void
check(CURLMcode code, const char *what)
{
	if (code != CURLM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not set %s: %s", what, curl_multi_strerror(code))));
}

/*
 * The usual soft limit of 1024 files is for programs that use select().  What
 * PostgreSQL does not need for itself is for connections: one in use may be
 * tried by two sockets at a time, and as many are kept as MAXCONNECTS says.
 */
static void
allow_sockets(void)
{
	struct rlimit files;
	int			left = 0;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
	{
		if (files.rlim_cur < FILES_MAX)
		{
			files.rlim_cur = Min(files.rlim_max, FILES_MAX);
			(void) setrlimit(RLIMIT_NOFILE, &files);
		}
		if (getrlimit(RLIMIT_NOFILE, &files) == 0)
			left = (int) Min(files.rlim_cur, FILES_MAX) - max_files_per_process - FILES_OTHER;
	}
	capacity = Min(Max(left * 2 / 7, CONNECTIONS_MIN), CONNECTIONS_MAX);
}

int
multi_capacity(void)
{
	return capacity;
}

/* WL_EXIT_ON_PM_DEATH: a worker without its postmaster must not write to a store. */
static void
make_sockets(void)
{
	struct epoll_event event = {.events = EPOLLIN,.data.fd = resolver_fd};

	sockets = epoll_create1(EPOLL_CLOEXEC);
	if (sockets < 0 || epoll_ctl(sockets, EPOLL_CTL_ADD, resolver_fd, &event) < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create epoll descriptor: %m")));

	wait_set = compat_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, sockets, NULL, NULL);
}

/* Idle connections are closed without waiting for the other side. */
void
multi_shutdown(void)
{
	sigset_t	before;

	if (multi == NULL)
		return;
	http_block_signals(&before);
	(void) curl_multi_cleanup(multi);
	http_unblock_signals(&before);
	multi = NULL;
	timer_on = false;
	FreeWaitEventSet(wait_set);
	(void) close(sockets);
}

bool
multi_add(HttpTransfer *transfer)
{
	sigset_t	before;

	http_block_signals(&before);
	transfer->running = curl_multi_add_handle(multi, transfer->easy) == CURLM_OK;
	http_unblock_signals(&before);
	return transfer->running;
}

void
multi_remove(HttpTransfer *transfer)
{
	sigset_t	before;

	if (!transfer->running)
		return;
	http_block_signals(&before);
	(void) curl_multi_remove_handle(multi, transfer->easy);
	http_unblock_signals(&before);
	transfer->running = false;
}

/* libcurl's callback: no ereport, a jump out of libcurl corrupts it. */
static int
on_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	struct epoll_event event = {0};

	event.data.fd = s;
	event.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0) |
		((what & CURL_POLL_OUT) ? EPOLLOUT : 0);
	if (what == CURL_POLL_REMOVE)
		(void) epoll_ctl(sockets, EPOLL_CTL_DEL, s, NULL);
	else if (epoll_ctl(sockets, EPOLL_CTL_MOD, s, &event) < 0 && errno == ENOENT)
		return epoll_ctl(sockets, EPOLL_CTL_ADD, s, &event) < 0 ? -1 : 0;
	return 0;
}

/* libcurl's callback, see above. */
static int
on_timer(CURLM *handle, long timeout_ms, void *arg)
{
	timer_on = timeout_ms >= 0;
	timer_ms = http_now_ms() + Max(timeout_ms, 0);
	return 0;
}

/*
 * The latch is reset before anything is done about it, so that one set
 * meanwhile ends the next sleep.
 */
bool
multi_wait(long timeout_ms, bool *resolved)
{
	WaitEvent	events[3];
	bool		latch_set = false;
	int			n;
	int			i;

	*resolved = false;
	n = WaitEventSetWait(wait_set, sleep_time(timeout_ms), events, lengthof(events), wait_event);
	for (i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			latch_set = true;
		}
		if (events[i].events & WL_SOCKET_READABLE)
			*resolved = run_sockets();
	}
	run_timer();
	return latch_set;
}

/*
 * The lesser of what the caller and libcurl allow.
 *
 * Zero if an interrupt came that the latch no longer shows: waits inside
 * database code reset it.
 */
static long
sleep_time(long timeout_ms)
{
	long		left_ms;

	if (InterruptPending)
		return 0;
	if (!timer_on)
		return timeout_ms;
	left_ms = Max(0, (long) (timer_ms - http_now_ms()));
	return timeout_ms < 0 ? left_ms : Min(left_ms, timeout_ms);
}

/* True if the resolver is readable. */
static bool
run_sockets(void)
{
	struct epoll_event events[EVENTS_MAX];
	int			n = epoll_wait(sockets, events, EVENTS_MAX, 0);
	bool		resolved = false;
	int			still_running;
	sigset_t	before;

	http_block_signals(&before);
	for (int i = 0; i < n; i++)
	{
		uint32		ready = events[i].events;

		if (events[i].data.fd == resolver_fd)
			resolved = true;
		else
			(void) curl_multi_socket_action(multi, events[i].data.fd,
											((ready & EPOLLIN) ? CURL_CSELECT_IN : 0) |
											((ready & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
											((ready & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0),
											&still_running);
	}
	http_unblock_signals(&before);
	return resolved;
}

/* libcurl's own clockwork: time-outs, and the start of every transfer. */
static void
run_timer(void)
{
	int			still_running;
	sigset_t	before;

	if (!timer_on || http_now_ms() < timer_ms)
		return;
	timer_on = false;
	http_block_signals(&before);
	(void) curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &still_running);
	http_unblock_signals(&before);
}

void
multi_push(void)
{
	run_timer();
}

/* The message lies in the handle's memory: it is read before the handle goes. */
HttpTransfer *
multi_next_finished(void)
{
	CURLMsg    *message;
	CURLcode	code;
	HttpTransfer *transfer = NULL;
	char	   *private = NULL;
	int			left;

	do
	{
		message = curl_multi_info_read(multi, &left);
		if (message == NULL)
			return NULL;
	} while (message->msg != CURLMSG_DONE);

	code = message->data.result;	/* gone with the handle */
	(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
	transfer = (HttpTransfer *) private;
	multi_remove(transfer);
	transfer_finish(transfer, code);
	return transfer;
}
