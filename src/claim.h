/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Which captures are taken up now, and when others will be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_CLAIM_H
#define BCPAID_CLAIM_H

#include "datatype/timestamp.h"

/* Claim what is due and begin its conversations; outside a transaction. */
extern void claim_due(void);

/* A work_run() step: sets a QueueNext. */
extern void claim_next_due(void *next);

#endif							/* BCPAID_CLAIM_H */
