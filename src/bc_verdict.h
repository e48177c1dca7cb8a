/*-------------------------------------------------------------------------
 *
 * bc_verdict.h
 *	  Judge a store's answers: answers in, verdict out.
 *
 * Pure: libc and jansson; no memory is kept.  Each function fills the
 * verdict, the reason and the facts of the result.  The rules are the tables
 * in DESIGN.md, "Look before every write" and "Answers to the write".
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_VERDICT_H
#define BCPAID_BC_VERDICT_H

#include "bc_pure.h"

#include "bc_remote.h"
#include "bigcommerce.h"
#include "http.h"

/* One question to a store, and what was learned so far; starts zeroed. */
typedef struct BcInquiry
{
	BcPurpose	purpose;
	const BcStore *store;
	const BcOrder *order;
	const BcResult *look;		/* BC_SEND: what it rests on */
	BcRemoteOrder remote;
	BcSeen		seen;
} BcInquiry;

/* Answer to GET order: true if it decides alone, false: read the transactions. */
extern bool bc_verdict_order(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);

/* Answer to GET transactions: true if it decides, false: read the next page. */
extern bool bc_verdict_transactions(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);

/* Answer to the POST or the PUT. */
extern void bc_verdict_write(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);

/* Answer to GET store. */
extern void bc_verdict_test(BcInquiry *inquiry, const HttpAnswer *answer, BcResult *result);

/* Count an answer into the result: requests, time, quota, what to wait. */
extern void bc_verdict_account(const HttpAnswer *answer, BcResult *result);

/*
 * Shared by the above.  A read that brought nothing usable: false if it did
 * bring something.  `what` names it, `scope` is what the token needs.
 */
extern bool bc_verdict_read_failed(const BcInquiry *inquiry, const HttpAnswer *answer,
								   const char *what, const char *scope, BcResult *result);
extern void bc_verdict_set(BcResult *result, BcVerdict verdict, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern void bc_verdict_stop(const BcInquiry *inquiry, const HttpAnswer *answer,
							const char *scope, BcResult *result);

#endif							/* BCPAID_BC_VERDICT_H */
