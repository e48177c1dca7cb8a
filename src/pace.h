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

#define PACE_DEFAULT_ROOM	1	/* conversations with a store not yet met */

#define PACE_CAPTURE		3	/* requests of a capture: two reads and a
								 * write */

extern void pace_started(int store_id, float reserve);
extern void pace_finished(int store_id, const BcResult *result);

/* So many requests more (or less, if negative) may follow from captures under way. */
extern void pace_owe(int store_id, int requests);

/* Room of every store met so far, palloc'ed; their number is returned. */
extern int	pace_rooms(QueueRoom **rooms);

/* May one more conversation begin that nobody waits for? */
extern bool pace_has_room(int store_id);

/* Has any store met so far room? */
extern bool pace_has_room_anywhere(void);

/*
 * Is it worth writing down that the store took a write?  Once in a while, and
 * the first time after a capture was put off (whether it is at fault itself is
 * told by that).
 */
extern bool pace_success_is_news(int store_id);
extern void pace_put_off(int store_id);

/* Did this answer leave less of our share than a capture needs?  Until when, in ms; 0: no. */
extern int	pace_used_up_ms(const BcResult *result, float reserve);

/* Delay of the n-th failure in a row, in ms: doubles from retry_base to retry_cap. */
extern int	pace_backoff_ms(int failures);

#endif							/* BCPAID_PACE_H */
