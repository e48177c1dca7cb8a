/*-------------------------------------------------------------------------
 *
 * text_test.c
 *	  Goal: whatever bytes a store sends, what is kept is one line of valid
 *	  UTF-8 that fits, without the token.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_text.h"
#include "tap.h"

static void
cleans_to(const char *from, const char *secret, size_t size, const char *wanted)
{
	char		clean[256];
	char		what[400];

	bc_text_clean(clean, size, from, strlen(from), secret);
	snprintf(what, sizeof(what), "cleaned in %zu bytes: %s", size, wanted);
	is_text(clean, wanted, what);
}

static void
appends_to(const char *start, const char *more, size_t size, const char *wanted)
{
	char		text[64];

	strcpy(text, start);
	bc_text_append(text, size, "%s", more);
	is_text(text, wanted, "appended without half a character");
}

int
main(void)
{
	char		clean[32];

	cleans_to("Bank Deposit", NULL, 200, "Bank Deposit");
	cleans_to("", NULL, 200, "");
	cleans_to("  two\r\n\tlines\n", NULL, 200, "two lines");
	cleans_to("a\x01\x1b[31mb\x7f", NULL, 200, "a [31mb");
	cleans_to("Überweisung \xe2\x82\xac \xf0\x9f\x92\xb6", NULL, 200, "Überweisung € 💶");

	/* what is no UTF-8: a lone byte, overlong, surrogate, beyond the end, cut */
	cleans_to("a\xff" "b", NULL, 200, "a?b");
	cleans_to("\xc0\xaf", NULL, 200, "??");
	cleans_to("\xed\xa0\x80", NULL, 200, "???");
	cleans_to("\xf4\x90\x80\x80", NULL, 200, "????");
	cleans_to("a\xe2\x82", NULL, 200, "a??");

	/* what would break or turn a line in a terminal */
	cleans_to("a\xc2\x85" "b", NULL, 200, "a b");
	cleans_to("a\xe2\x80\xa8" "b\xe2\x80\xae" "c\xe2\x81\xa6" "d", NULL, 200, "a b c d");

	cleans_to("1234567890", NULL, 11, "1234567890");
	cleans_to("1234567890", NULL, 10, "123456...");
	cleans_to("12345\xe2\x82\xac" "67890", NULL, 10, "12345...");
	cleans_to("abc", NULL, 4, "abc");
	cleans_to("abcd", NULL, 4, "...");
	cleans_to("abcd", NULL, 3, "");

	cleans_to("token s3cret refused", "s3cret", 200, "token *** refused");
	cleans_to("s3crets3cret", "s3cret", 200, "******");
	cleans_to("s3cre", "s3cret", 200, "s3cre");
	cleans_to("aaaaaas3cret", "s3cret", 10, "aaaaaa***");
	cleans_to("aaaaaaas3cret", "s3cret", 10, "aaaaaa...");
	cleans_to("x s3cret", "", 200, "x s3cret");
	bc_text_clean(clean, sizeof(clean), "nul\0inside", 10, NULL);
	is_text(clean, "nul inside", "a NUL byte is a control character");
	bc_text_clean(clean, sizeof(clean), NULL, 0, NULL);
	is_text(clean, "", "no text is empty text");

	appends_to("a", " b", 3, "a");
	appends_to("a", "bc", 64, "abc");
	appends_to("a", "bcdef", 4, "abc");
	appends_to("a", "b\xe2\x82\xac", 6, "ab\xe2\x82\xac");
	appends_to("a", "b\xe2\x82\xac", 5, "ab");
	appends_to("a", "b\xe2\x82\xac", 4, "ab");
	appends_to("abc", "d", 4, "abc");

	ok(bc_text_same("Bank Deposit", "bank deposit"), "case does not matter");
	ok(!bc_text_same("Bank Deposit", "bank deposits"), "length does");
	ok(!bc_text_same("\xc3\x84", "\xc3\xa4"), "only ASCII is folded");
	ok(bc_text_shows("a; bb; c", "bb") && bc_text_shows("a; bb", "bb") && bc_text_shows("bb", ""), "shown");
	ok(!bc_text_shows("a; b; c", "bb") && !bc_text_shows("", "b") && !bc_text_shows("b?", "bbb"), "not shown");
	ok(bc_text_shows("x?y", "\xc3\xa4" "y") && bc_text_shows("?", "?") && !bc_text_shows("?", "ab") && !bc_text_shows("a", "?"), "one character for a question mark");
	ok(bc_text_listed("CHECK", "Cash\nCheck\nManual"), "in the list");
	ok(bc_text_listed("manual", "Cash\nCheck\nManual\n"), "the last line");
	ok(!bc_text_listed("Chec", "Cash\nCheck"), "part of a line is not in the list");
	ok(!bc_text_listed("Cash\nCheck", "Cash\nCheck"), "nor are two lines");
	ok(!bc_text_listed("", "Cash\n\nCheck"), "nor is nothing");
	ok(!bc_text_listed("Cash", ""), "nothing is in an empty list");
	return done_testing();
}
