/*-------------------------------------------------------------------------
 *
 * tap.h
 *	  Just enough of the Test Anything Protocol for the unit tests.
 *
 * Every unit test is one file, NAME_test.c, that links the pure files of src/
 * (all that begin with bc_, and http_header.c) and nothing of PostgreSQL:
 *
 *	  cc -std=gnu11 -g -Wall -Wextra -Wno-missing-field-initializers -I src -I t/unit -o NAME_test \
 *		  t/unit/NAME_test.c src/bc_*.c src/http_header.c -ljansson
 *	  ./NAME_test
 *
 * and, where there is time, with -fsanitize=address,undefined.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int	tap_done;
static int	tap_failed;

static void
__attribute__((format(printf, 2, 3)))
ok(bool passed, const char *format,...)
{
	va_list		args;

	tap_done++;
	tap_failed += passed ? 0 : 1;
	printf("%s %d - ", passed ? "ok" : "not ok", tap_done);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static inline void
is_text(const char *got, const char *wanted, const char *what)
{
	bool		same = strcmp(got, wanted) == 0;

	ok(same, "%s", what);
	if (!same)
		printf("#   got    \"%s\"\n#   wanted \"%s\"\n", got, wanted);
}

static inline void
is_number(long long got, long long wanted, const char *what)
{
	ok(got == wanted, "%s", what);
	if (got != wanted)
		printf("#   got    %lld\n#   wanted %lld\n", got, wanted);
}

static inline int
done_testing(void)
{
	printf("1..%d\n", tap_done);
	return tap_failed == 0 ? 0 : 1;
}

#endif							/* TAP_H */
