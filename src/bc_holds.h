/*-------------------------------------------------------------------------
 *
 * bc_holds.h
 *	  What lets a capture wait for a person's approval.
 *
 * Pure: libc only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_HOLDS_H
#define BCPAID_BC_HOLDS_H

#include "bc_verdict.h"

/* Name in the reason whatever is doubtful. */
extern void bc_holds_order(const BcInquiry *inquiry, BcResult *result);
extern void bc_holds_transactions(const BcInquiry *inquiry, BcResult *result);

/*
 * Then turn BC_GO into BC_HELD if there is a doubt.  Once approved it stays
 * BC_GO, and the reason says so.
 */
extern void bc_holds_weigh(const BcInquiry *inquiry, BcResult *result);

/* Are the doubts in the reason among those that a person saw and approved of? */
extern bool bc_holds_approved(const BcInquiry *inquiry, const BcResult *result);

#endif							/* BCPAID_BC_HOLDS_H */
