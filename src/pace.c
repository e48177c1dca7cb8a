/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How many conversations a store may have now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "pace.h"

#define REQUESTS_PER_CAPTURE 3	/* two reads and a write */
#define IN_FLIGHT_MAX	64		/* conversations with one store */

typedef struct Pace
{
	int			store_id;
	int			in_flight;
	float		reserve;		/* share of the quota left to other apps */
	bool		known;
	int			left;
	int			total;
	TimestampTz reset_at;
	struct Pace *next;
} Pace;

static Pace *paces = NULL;

/* prototypes of private functions */
static Pace *find(int store_id);
static int	room_of(Pace *pace, TimestampTz now);

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
	pace->reserve = reserve;
}

void
pace_finished(int store_id, const BcResult *result)
{
	Pace	   *pace = find(store_id);
	TimestampTz now = GetCurrentTimestamp();

	pace->in_flight--;
	if (!result->quota.known)
		return;

	/* Answers overtake one another: within a window, the lowest is the latest. */
	if (!pace->known || now >= pace->reset_at || result->quota.left < pace->left)
		pace->left = result->quota.left;
	pace->known = true;
	pace->total = result->quota.total;
	pace->reset_at = now + (int64) result->quota.reset_ms * 1000;
	if (result->throttled)
		pace->left = 0;
}

/*
 * What is left, less the reserve and what conversations under way may still
 * ask, in whole captures.
 */
static int
room_of(Pace *pace, TimestampTz now)
{
	int			room = IN_FLIGHT_MAX - pace->in_flight;

	if (pace->known && now >= pace->reset_at)
	{
		pace->left = pace->total;
		pace->known = false;	/* until the first answer of the new window */
	}
	if (pace->total > 0)
	{
		int			usable = pace->left - (int) (pace->total * pace->reserve) -
			REQUESTS_PER_CAPTURE * pace->in_flight;

		room = Min(room, usable / REQUESTS_PER_CAPTURE);
	}
	else
		room = Min(room, PACE_DEFAULT_ROOM - pace->in_flight);
	return Max(room, 0);
}

int
pace_rooms(QueueRoom **rooms)
{
	TimestampTz now = GetCurrentTimestamp();
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

TimestampTz
pace_next_room(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;

	for (Pace *pace = paces; pace != NULL; pace = pace->next)
	{
		if (pace->in_flight == 0 && room_of(pace, now) == 0)
			next = Min(next, pace->reset_at);
	}
	return next;
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
