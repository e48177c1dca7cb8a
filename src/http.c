/*-------------------------------------------------------------------------
 *
 * http.c
 *	  HTTPS requests, many at a time.
 *
 * A transfer goes through three lists: waiting (the host's address is not
 * known yet), running (libcurl has it) and finished (its callback is due).
 * Callbacks run from http_wait() only, so a caller never meets one in the
 * middle of something else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "http.h"
#include "http_multi.h"
#include "http_options.h"
#include "http_util.h"
#include "resolve.h"

static HttpTarget target;
static dlist_head waiting = DLIST_STATIC_INIT(waiting);
static dlist_head running = DLIST_STATIC_INIT(running);
static dlist_head finished = DLIST_STATIC_INIT(finished);
static int	in_flight;

/* prototypes of private functions */
static void drop(HttpTransfer *transfer);
static void drop_all(dlist_head *list);
static void run_waiting(void);
static void run(HttpTransfer *transfer, const char *addresses);
static void fail(HttpTransfer *transfer, const char *error);
static void move(HttpTransfer *transfer, dlist_head *list);
static void take_finished(void);
static long sleep_time(long timeout_ms);
static void call_back(void);

void
http_init(void)
{
	int			resolver = resolve_init();

	if (resolver < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create pipe: %m")));
	multi_init(resolver);
	http_reload();
}

/* What still waits was made for the old host; what runs already may end as it began. */
void
http_reload(void)
{
	dlist_mutable_iter iter;

	http_target_set(&target);
	transfer_forget_handles();
	resolve_refresh();
	dlist_foreach_modify(iter, &waiting)
		fail(dlist_container(HttpTransfer, node, iter.cur), "the settings were reloaded");
}

/* At once: bytes of a write already with the kernel may arrive, a crash is no different. */
void
http_shutdown(void)
{
	drop_all(&waiting);
	drop_all(&running);
	drop_all(&finished);
	transfer_forget_handles();
	multi_shutdown();
	resolve_shutdown();
}

static void
drop_all(dlist_head *list)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, list)
		drop(dlist_container(HttpTransfer, node, iter.cur));
}

static void
drop(HttpTransfer *transfer)
{
	dlist_delete(&transfer->node);
	in_flight--;
	multi_remove(transfer);
	transfer_free(transfer);
}

/* What failed already waits on the finished list, so that `done` is never called from here. */
void *
http_start(const HttpRequest *request, HttpDone done, void *arg)
{
	HttpTransfer *transfer = transfer_new(request, &target, done, arg);

	if (transfer == NULL)
		return NULL;
	transfer->started_ms = http_now_ms();
	in_flight++;
	dlist_push_tail(transfer->answer.error ? &finished : &waiting, &transfer->node);
	run_waiting();
	return transfer;
}

/* What ended at once, for a connection that cannot even be begun, wakes nobody: see sleep_time(). */
void
http_push(void)
{
	multi_push();
	take_finished();
}

int
http_in_flight(void)
{
	return in_flight;
}

int
http_capacity(void)
{
	return multi_capacity();
}

/* Hand to libcurl whatever waited for an address, once it is known. */
static void
run_waiting(void)
{
	dlist_mutable_iter iter;
	const char *text = NULL;
	ResolveState state = RESOLVE_READY;
	char		error[HTTP_HOST_MAX + 128];

	if (dlist_is_empty(&waiting))
		return;
	if (target.name[0] != '\0')
		state = resolve_ask(target.name, bcpaid_connect_timeout, &text);
	if (state == RESOLVE_PENDING)
		return;

	if (state == RESOLVE_FAILED)
		snprintf(error, sizeof(error), "could not resolve host name \"%s\": %s",
				 target.name, text);

	dlist_foreach_modify(iter, &waiting)
	{
		HttpTransfer *transfer = dlist_container(HttpTransfer, node, iter.cur);

		if (state == RESOLVE_READY)
			run(transfer, text);
		else
			fail(transfer, error);
	}
}

/* The time spent waiting counts: no request outlives bcpaid.request_timeout. */
static void
run(HttpTransfer *transfer, const char *addresses)
{
	int64		waited_ms = http_now_ms() - transfer->started_ms;

	if (waited_ms >= bcpaid_request_timeout)
		fail(transfer, "no address was found in time");
	else if (!options_set_last(transfer, &target, addresses,
							   (long) (bcpaid_request_timeout - waited_ms)))
		fail(transfer, transfer->errors);
	else if (!multi_add(transfer))
		fail(transfer, "libcurl refused the request");
	else
		move(transfer, &running);
}

static void
fail(HttpTransfer *transfer, const char *error)
{
	transfer_fail(transfer, error);
	move(transfer, &finished);
}

static void
move(HttpTransfer *transfer, dlist_head *list)
{
	dlist_delete(&transfer->node);
	dlist_push_tail(list, &transfer->node);
}

/*
 * First sleep, then everything that may have become due, in the order in which
 * it can: an address lets requests run, and what ran may have finished.
 */
bool
http_wait(long timeout_ms)
{
	bool		resolved;
	bool		latch_set = multi_wait(sleep_time(timeout_ms), &resolved);

	if (resolved)
		resolve_collect();
	run_waiting();
	take_finished();
	call_back();
	return latch_set;
}

static void
take_finished(void)
{
	HttpTransfer *transfer;

	while ((transfer = multi_next_finished()) != NULL)
		move(transfer, &finished);
}

/* No longer than a pending lookup may take, and not at all if something is due. */
static long
sleep_time(long timeout_ms)
{
	long		resolve_ms = dlist_is_empty(&waiting) ? -1 : resolve_wait_ms();

	if (!dlist_is_empty(&finished))
		return 0;
	if (resolve_ms >= 0 && (timeout_ms < 0 || resolve_ms < timeout_ms))
		return resolve_ms;
	return timeout_ms;
}

/* Only what is finished now: a callback may start the next request. */
static void
call_back(void)
{
	dlist_head	due = DLIST_STATIC_INIT(due);

	while (!dlist_is_empty(&finished))
		dlist_push_tail(&due, dlist_pop_head_node(&finished));
	while (!dlist_is_empty(&due))
	{
		HttpTransfer *transfer = dlist_head_element(HttpTransfer, node, &due);

		transfer->answer.took_ms = (int) (http_now_ms() - transfer->started_ms);
		transfer->done(transfer->arg, &transfer->answer);
		drop(transfer);
	}
}
