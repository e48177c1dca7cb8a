/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  A clock that nobody can set, for all that is waited for in memory.
 *
 * The system's clock can be set: by an operator, after a suspend, by a wrong
 * time server.  Times in tables are the system's, for people read them and
 * they outlive a restart; those in memory are this clock's, which is one for
 * all processes.  Never compare the two.  Microseconds, so that PostgreSQL's
 * arithmetic on TimestampTz and DT_NOEND fit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_CLOCK_H
#define BCPAID_CLOCK_H

#include <time.h>

#include "portability/instr_time.h"
#include "utils/timestamp.h"

#define CLOCK_SET_US	1000000 /* less is adjusted every day */

static inline TimestampTz
clock_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (TimestampTz) INSTR_TIME_GET_MICROSEC(now);
}

/* By how much the system's clock is ahead of this one: it changes when that is set. */
static inline int64
clock_offset(void)
{
	TimestampTz before;
	int64		offset;

	do
	{
		before = clock_now();
		offset = GetCurrentTimestamp() - before;
	} while (clock_now() - before > CLOCK_SET_US / 10); /* held up in between */
	return offset;
}

/* What this process has taken of the processors. */
static inline int64
clock_cpu_us(void)
{
	struct timespec taken;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken);
	return (int64) taken.tv_sec * USECS_PER_SEC + taken.tv_nsec / 1000;
}

/* A time from a table, by this clock, when the other one was so far ahead. */
static inline TimestampTz
clock_of(TimestampTz system_time, int64 offset)
{
	if (TIMESTAMP_NOT_FINITE(system_time))
		return system_time;
	return Max(system_time - offset, 0);
}

#endif							/* BCPAID_CLOCK_H */
