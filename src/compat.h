/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Where PostgreSQL 15, 16 and 17 differ, for the parts that bcpaid uses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_COMPAT_H
#define BCPAID_COMPAT_H

#include "storage/latch.h"
#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif
#if PG_VERSION_NUM >= 140000
#include "utils/wait_event.h"
#endif

/* A set that lives as long as the process: until 16 a context owns it, then a resource owner. */
#if PG_VERSION_NUM >= 170000
#define compat_create_wait_event_set(n) CreateWaitEventSet(NULL, (n))
#else
#include "utils/memutils.h"
#define compat_create_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, (n))
#endif

/* What pg_stat_activity shows while we wait; extensions name their own since 17. */
#if PG_VERSION_NUM >= 170000
#define compat_wait_event(name) WaitEventExtensionNew(name)
#else
#define compat_wait_event(name) PG_WAIT_EXTENSION
#endif

#endif							/* BCPAID_COMPAT_H */
