/*-------------------------------------------------------------------------
 *
 * bc_reason.h
 *	  Words for a person from an answer that is no success.
 *
 * Pure: libc and jansson.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_REASON_H
#define BCPAID_BC_REASON_H

#include "bc_pure.h"

#include "http.h"

/*
 * Append "HTTP 422: title; field: message" behind a colon, as far as there is
 * something to say; valid UTF-8, one line, without the token.
 */
extern void bc_reason_append(char *reason, size_t size, const HttpAnswer *answer,
							 const char *token);

#endif							/* BCPAID_BC_REASON_H */
