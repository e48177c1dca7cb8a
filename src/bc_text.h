/*-------------------------------------------------------------------------
 *
 * bc_text.h
 *	  Text that comes from a store: made harmless, compared, put together.
 *
 * Pure: libc only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_TEXT_H
#define BCPAID_BC_TEXT_H

#include "bc_pure.h"

#include <stdarg.h>

/*
 * Copy `length` bytes of anything into `to` as one line of valid UTF-8 of at
 * most `size` bytes with the zero; what had to go is shown by "...".  Where
 * the secret (may be NULL) stands, "***" is written.
 */
extern void bc_text_clean(char *to, size_t size, const char *from, size_t length,
						  const char *secret);

/* printf at the end of what is there, never cutting a character in half. */
extern void bc_text_append(char *to, size_t size, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern void bc_text_vappend(char *to, size_t size, const char *format, va_list args)
			__attribute__((format(printf, 3, 0)));

/* Equal but for the case of ASCII letters? */
extern bool bc_text_same(const char *a, const char *b);

/*
 * Does `shown` have the text in it?  A '?' there stands for any character: it
 * was kept in an encoding that may lack some.
 */
extern bool bc_text_shows(const char *shown, const char *text);

/* Is the text one of the newline separated lines, in any case? */
extern bool bc_text_listed(const char *text, const char *lines);

#endif							/* BCPAID_BC_TEXT_H */
