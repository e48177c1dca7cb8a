/*-------------------------------------------------------------------------
 *
 * value_fuzz.c
 *	  Goal: whatever stands where an amount, a text, a hash or a token should,
 *	  it is read exactly, made clean, or refused, and never too far.
 *
 * The input is one text.  The first byte chooses how much room there is for
 * it once it is clean.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

#include "bc_amount.h"
#include "bc_json.h"
#include "bc_request.h"
#include "bc_text.h"

#define SECRET "s3cret"

extern int	LLVMFuzzerTestOneInput(const uint8_t * data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* What is printed reads as the same amount, and is a number to JSON, too. */
static void
try_amount(const char *text)
{
	BcAmount	amount;
	BcAmount	again;
	BcAmount	none = {0};
	char		printed[BC_AMOUNT_MAX];
	json_t	   *number;

	if (!bc_amount_parse(text, &amount))
		return;
	bc_amount_print(&amount, printed, sizeof(printed));
	must(strlen(printed) < sizeof(printed) - 1);
	must(bc_amount_parse(printed, &again) && again.units == amount.units);
	must(bc_amount_within(&amount, &again, &none));
	must((bc_amount_sign(&amount) < 0) == (printed[0] == '-'));
	number = json_loads(printed, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	must(json_is_number(number));
	json_decref(number);
}

/* jansson refuses what is no UTF-8; clean text stays as it is. */
static void
try_text(const char *text, size_t length, size_t room)
{
	char	   *clean = malloc(room);
	char	   *again = malloc(room);
	json_t	   *string;

	bc_text_clean(clean, room, text, length, SECRET);
	must(strlen(clean) < room);
	string = json_string(clean);
	must(string != NULL);
	json_decref(string);
	must(strstr(clean, SECRET) == NULL);
	must(strpbrk(clean, "\n\r\t\033\177") == NULL);
	bc_text_clean(again, room, clean, strlen(clean), SECRET);
	must(strcmp(clean, again) == 0);

	/* appended to itself, it is cut between two characters */
	bc_text_append(again, room, "%s", clean);
	string = json_string(again);
	must(string != NULL);
	json_decref(string);
	(void) bc_text_listed(clean, "Cash\nBank Deposit\n\n");
	free(again);
	free(clean);
}

static void
try_address(const char *text)
{
	char		path[BC_PATH_MAX];

	if (bc_request_hash_is_valid(text))
	{
		bc_request_transactions_path(path, text, INT64_MAX, 20);
		must(strlen(path) < sizeof(path) - 1);
		must(strpbrk(path, " \r\n#@%\\") == NULL && strstr(path, "..") == NULL);
	}
	if (bc_request_token_is_valid(text))
		must(strpbrk(text, " \r\n\t") == NULL && strlen(text) <= BC_TOKEN_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t * data, size_t size)
{
	char	   *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	try_amount(text);
	try_address(text);
	try_text(text, size - 1, 4 + data[0] * 2);
	free(text);
	return 0;
}
