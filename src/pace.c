/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How many conversations a store may have now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "utils/memutils.h"

#include "clock.h"
#include "guc.h"
#include "pace.h"

#define IN_FLIGHT_MAX	64		/* conversations with one store */
#define HEADERLESS_MAX	16		/* with one that does not tell its quota */
#define SUCCESS_MS		1000	/* a success is news no more often */
#define PILOT_MS		5000	/* so long the next waits for the first one's
								 * answer */

typedef struct Pace
{
	int			store_id;
	int			in_flight;
	int			owed;			/* requests that captures under way may still
								 * make */
	float		reserve;		/* share of the quota left to other apps */
	bool		headerless;		/* its last answer told no quota */
	bool		known;			/* left and total are of this window */
	int			left;
	int			total;
	TimestampTz reset_at;
	TimestampTz started_at;		/* when its last conversation began */
	TimestampTz success_at;		/* when its last success was news */
	struct Pace *next;
} Pace;

static Pace *paces = NULL;

/* prototypes of private functions */
static Pace *find(int store_id);
static void take_quota(Pace *pace, const BcResult *result);
static int	room_of(Pace *pace, TimestampTz now);
static int	reserved(int total, float reserve);

static Pace *
find(int store_id)
{
	Pace	   *pace = paces;

	while (pace != NULL && pace->store_id != store_id)
		pace = pace->next;
	if (pace == NULL)
	{
		pace = MemoryContextAllocZero(TopMemoryContext, sizeof(Pace));
		pace->store_id = store_id;
		pace->next = paces;
		paces = pace;
	}
	return pace;
}

void
pace_started(int store_id, float reserve)
{
	Pace	   *pace = find(store_id);

	pace->in_flight++;
	pace->started_at = clock_now();
	pace->reserve = reserve;
}

void
pace_owe(int store_id, int requests)
{
	find(store_id)->owed += requests;
}

void
pace_finished(int store_id, const BcResult *result)
{
	Pace	   *pace = find(store_id);

	pace->in_flight--;
	if (result->status != 0)
		pace->headerless = !result->quota.known;
	if (result->quota.known)
		take_quota(pace, result);
}

/*
 * Answers overtake one another: within a window, the lowest is the latest.
 * When it ends tells two windows apart, a quarter of one being more than any
 * delay in between; an answer of the window before says nothing any more.
 */
static void
take_quota(Pace *pace, const BcResult *result)
{
	TimestampTz now = clock_now();
	TimestampTz ends = now + (int64) result->quota.reset_ms * 1000;
	int64		slack = (int64) result->quota.window_ms * 1000 / 4;
	bool		is_same = pace->known && now < pace->reset_at;

	if (is_same && ends < pace->reset_at - slack)
		return;
	if (!is_same || ends > pace->reset_at + slack || result->quota.left < pace->left)
		pace->left = result->quota.left;
	pace->known = true;
	pace->total = result->quota.total;
	pace->reset_at = ends;
	if (result->throttled)
		pace->left = 0;
}

/*
 * What is left, less the reserve and what captures under way may still ask,
 * in whole captures.  Of a new window nothing is known, other apps may
 * have been there first: one conversation goes ahead, and its answer tells.
 * While that does not come, which may be one order's fault, one more at a time.
 */
static int
room_of(Pace *pace, TimestampTz now)
{
	int			most = IN_FLIGHT_MAX;

	if (pace->known && now >= pace->reset_at)
		pace->known = false;
	if (pace->known)
	{
		int			usable = pace->left - reserved(pace->total, pace->reserve) - pace->owed;

		most = Min(most, pace->in_flight + usable / PACE_CAPTURE);
	}
	else if (pace->headerless)
		most = HEADERLESS_MAX;
	else if (pace->in_flight > 0)
		most = Min(most, pace->in_flight +
				   (now >= TimestampTzPlusMilliseconds(pace->started_at, PILOT_MS)));
	else
		most = 1;
	return Max(most - pace->in_flight, 0);
}

bool
pace_success_is_news(int store_id)
{
	Pace	   *pace = find(store_id);

	if (clock_now() < TimestampTzPlusMilliseconds(pace->success_at, SUCCESS_MS))
		return false;
	pace->success_at = clock_now();
	return true;
}

void
pace_put_off(int store_id)
{
	find(store_id)->success_at = 0;
}

bool
pace_has_room(int store_id)
{
	return room_of(find(store_id), clock_now()) > 0;
}

bool
pace_has_room_anywhere(void)
{
	TimestampTz now = clock_now();

	for (Pace *pace = paces; pace != NULL; pace = pace->next)
	{
		if (room_of(pace, now) > 0)
			return true;
	}
	return false;
}

int
pace_rooms(QueueRoom **rooms)
{
	TimestampTz now = clock_now();
	int			n = 0;

	for (Pace *pace = paces; pace != NULL; pace = pace->next)
		n++;
	*rooms = palloc(sizeof(QueueRoom) * Max(n, 1));
	n = 0;
	for (Pace *pace = paces; pace != NULL; pace = pace->next)
	{
		(*rooms)[n].store_id = pace->store_id;
		(*rooms)[n++].room = room_of(pace, now);
	}
	return n;
}

/*
 * Kept in the ledger by the caller: a worker that leaves meanwhile would
 * otherwise be followed by one that knows nothing of it, and asks.  A time
 * longer than the window is a mistake of the store's.
 */
int
pace_used_up_ms(const BcResult *result, float reserve)
{
	if (!result->quota.known || result->quota.reset_ms > result->quota.window_ms ||
		result->quota.left - reserved(result->quota.total, reserve) >= PACE_CAPTURE)
		return 0;
	return result->quota.reset_ms;
}

static int
reserved(int total, float reserve)
{
	return (int) ceil(total * reserve);
}

/* A quarter of jitter either way, so that many workers do not call as one. */
int
pace_backoff_ms(int failures)
{
	double		delay = bcpaid_retry_base;

	for (int i = 0; i < failures && delay < bcpaid_retry_cap; i++)
		delay *= 2;
	delay = Min(delay, bcpaid_retry_cap);
	return (int) (delay * (0.75 + 0.5 * pg_prng_double(&pg_global_prng_state)));
}
