/*-------------------------------------------------------------------------
 *
 * bc_amount.h
 *	  Exact decimal amounts, without a double anywhere.
 *
 * Pure: libc only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_AMOUNT_H
#define BCPAID_BC_AMOUNT_H

#include "bc_pure.h"

#define BC_AMOUNT_DECIMALS	12	/* digits kept after the point */
#define BC_AMOUNT_DIGITS	24	/* digits allowed before it */
#define BC_AMOUNT_MAX		64	/* bytes that a printed amount may need */

/* An amount in units of 10^-12; 36 digits, so a sum of two cannot overflow. */
typedef struct BcAmount
{
	__int128	units;
} BcAmount;

/*
 * Read "69.8400"; false for anything but [+-]digits[.digits], for more digits
 * than fit, and for digits other than 0 beyond the twelfth decimal.
 */
extern bool bc_amount_parse(const char *text, BcAmount *amount);

/* Print in the shortest form that is a JSON number: 69.84, 5000, -0.5. */
extern void bc_amount_print(const BcAmount *amount, char *text, size_t size);

extern int	bc_amount_sign(const BcAmount *amount); /* -1, 0, 1 */

/* Do the two differ by no more than the tolerance? */
extern bool bc_amount_within(const BcAmount *a, const BcAmount *b,
							 const BcAmount *tolerance);

#endif							/* BCPAID_BC_AMOUNT_H */
