/*-------------------------------------------------------------------------
 *
 * reserve.h
 *	  Remote orders in conversation, and the time of silence.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_RESERVE_H
#define BCPAID_RESERVE_H

#include "datatype/timestamp.h"

/*
 * Reserve a remote order for this worker, in the whole cluster; false if
 * another has it, for another database.  Reservations end with wake_leave().
 */
extern bool reserve_order(const char *hash, int64 remote_order_id);
extern void reserve_end(const char *hash, int64 remote_order_id);

/*
 * For how long no store is written to, and why; 0, and `why` untouched, mostly.
 * After an unclean shutdown, a request of the process that was lost may still
 * be on its way; after the clock was set forward, what a read did not find.
 */
extern int	reserve_silence_ms(const char **why);

/*
 * When the server started, by the system's clock as it is now.  How long
 * before that a write was made, nobody knows: the clock may have been set.
 */
extern TimestampTz reserve_server_start(void);

#endif							/* BCPAID_RESERVE_H */
