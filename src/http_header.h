/*-------------------------------------------------------------------------
 *
 * http_header.h
 *	  The header lines of an answer that we understand: quota and waiting.
 *
 * Pure: libc only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_HEADER_H
#define BCPAID_HTTP_HEADER_H

#include "bc_pure.h"

#include "http.h"

/* Forget what earlier lines said: every figure is -1 again. */
extern void http_header_reset(HttpAnswer *answer);

/*
 * Take one line, of any bytes, with or without its line end.  A status line
 * resets: an interim or a proxy's answer came before the real one.
 */
extern void http_header_take(HttpAnswer *answer, const char *line, size_t length);

#endif							/* BCPAID_HTTP_HEADER_H */
