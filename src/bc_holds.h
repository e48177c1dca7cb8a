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

/*
 * Turn BC_GO into BC_HELD where something is doubtful of which no person
 * approved, with every doubt named in the reason.
 */
extern void bc_holds_order(const BcInquiry *inquiry, BcResult *result);
extern void bc_holds_transactions(const BcInquiry *inquiry, BcResult *result);

/* What is BC_GO all the same: then the reason says so. */
extern void bc_holds_say_approved(BcResult *result);

/* Did a person see this doubt, and approve? */
extern bool bc_holds_approved(const BcInquiry *inquiry, const char *doubt);

#endif							/* BCPAID_BC_HOLDS_H */
