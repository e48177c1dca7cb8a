/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  How many conversations a store may have now.
 *
 * A store's quota is shared by all its apps: the headers of its answers say
 * what is left, and the store's reserve is left to the others.  Kept in the
 * worker's memory; what must outlive it (a store that is down) is in the
 * ledger's store row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_PACE_H
#define BCPAID_PACE_H

#include "datatype/timestamp.h"

#include "bigcommerce.h"
#include "queue.h"

#define PACE_DEFAULT_ROOM	16	/* conversations with a store not yet met */

extern void pace_started(int store_id, float reserve);
extern void pace_finished(int store_id, const BcResult *result);

/* Room of every store met so far, palloc'ed; their number is returned. */
extern int	pace_rooms(QueueRoom **rooms);

/* When a store without room will have some; infinity if all have. */
extern TimestampTz pace_next_room(void);

/* Delay of the n-th failure in a row, in ms: doubles from retry_base to retry_cap. */
extern int	pace_backoff_ms(int failures);

#endif							/* BCPAID_PACE_H */
