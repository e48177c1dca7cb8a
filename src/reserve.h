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
 * No store is written to before this time: after an unclean shutdown, a
 * request of the process that was lost may still be on its way.
 */
extern TimestampTz reserve_silence_end(void);

#endif							/* BCPAID_RESERVE_H */
