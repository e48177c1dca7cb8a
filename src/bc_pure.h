/*-------------------------------------------------------------------------
 *
 * bc_pure.h
 *	  What a pure file includes instead of postgres.h.
 *
 * The files that judge a store's answers (bc_*.c) and read its headers
 * (http_header.c) link with libc and jansson alone, so that a unit test or a
 * fuzzer can call them without a server.  postgres.h would make that
 * impossible: it turns snprintf into pg_snprintf.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_PURE_H
#define BCPAID_BC_PURE_H

#ifndef C_H						/* PostgreSQL's c.h was not read before */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int64_t int64;
#endif

#endif							/* BCPAID_BC_PURE_H */
