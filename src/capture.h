/*-------------------------------------------------------------------------
 *
 * capture.h
 *	  Take orders from "eligible" to "Captured in Odoo".
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_CAPTURE_H
#define BCPAID_CAPTURE_H

#include "datatype/timestamp.h"

/* Take up what an earlier worker left.  False if nothing can be done here. */
extern bool capture_recover(void);

/*
 * Do all that can be done now without waiting.  `news`: something was
 * committed.  Returns when to come again, unless a conversation ends or
 * somebody commits before.
 */
extern TimestampTz capture_round(bool news, bool may_claim);

/* Conversations under way. */
extern int	capture_in_flight(void);

#endif							/* BCPAID_CAPTURE_H */
