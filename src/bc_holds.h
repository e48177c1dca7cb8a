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
 * Turn BC_GO into BC_HELD where something is doubtful, with every doubt named
 * in the reason.  Once approved it stays BC_GO, and the reason says so.
 */
extern void bc_holds_order(const BcInquiry *inquiry, BcResult *result);
extern void bc_holds_transactions(const BcInquiry *inquiry, BcResult *result);

#endif							/* BCPAID_BC_HOLDS_H */
