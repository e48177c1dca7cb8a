/*-------------------------------------------------------------------------
 *
 * bc_amount.c
 *	  Exact decimal amounts, without a double anywhere.
 *
 * The store's total travels back to it as a JSON number, and JSON libraries
 * print 69.84 as 69.840000000000003.  So an amount stays decimal text from
 * the store's answer to our request; only comparisons need a number, and a
 * 128 bit integer holds any amount of money to twelve decimals.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_amount.h"

#include <stdio.h>

typedef unsigned __int128 Magnitude;

/* prototypes of private functions */
static const char *read_digits(const char *text, int most, BcAmount *amount);
static bool is_digit(char c);

/*
 * The grammar is numeric_out()'s and the store's, nothing more: an exponent,
 * NaN or a blank would be a sign that something else was read.
 */
bool
bc_amount_parse(const char *text, BcAmount *amount)
{
	const char *at = text;
	const char *end;
	int			decimals = 0;

	amount->units = 0;
	if (text == NULL)
		return false;
	if (*at == '-' || *at == '+')
		at++;
	end = read_digits(at, BC_AMOUNT_DIGITS, amount);
	if (end == NULL || end == at)
		return false;
	if (*end == '.')
	{
		at = end + 1;
		end = read_digits(at, BC_AMOUNT_DECIMALS, amount);
		if (end == NULL || end == at)
			return false;
		decimals = (int) (end - at);
		while (*end == '0')		/* numeric text may carry any scale */
			end++;
	}
	if (*end != '\0')
		return false;
	for (; decimals < BC_AMOUNT_DECIMALS; decimals++)
		amount->units *= 10;
	if (*text == '-')
		amount->units = -amount->units;
	return true;
}

/*
 * Append the digits at `text` to the amount and return where they end.
 *
 * Before the point (nothing read yet), zeros in front do not count.  More
 * than `most` digits: NULL before the point, the end of the first `most`
 * after it, where the caller lets zeros follow.
 */
static const char *
read_digits(const char *text, int most, BcAmount *amount)
{
	bool		whole = (most == BC_AMOUNT_DIGITS);
	int			n = 0;

	for (; is_digit(*text); text++)
	{
		if (whole && n == 0 && *text == '0')
			continue;
		if (n == most)
			return whole ? NULL : text;
		amount->units = amount->units * 10 + (*text - '0');
		n++;
	}
	return text;
}

/*
 * Digits come out last first.  Zeros at the end of the decimals are left out:
 * 5000.0000 yen are 5000, which every currency's minor unit allows.
 */
void
bc_amount_print(const BcAmount *amount, char *text, size_t size)
{
	Magnitude	rest;
	char		digits[BC_AMOUNT_MAX];
	int			at = (int) sizeof(digits) - 1;
	int			n;

	rest = amount->units < 0 ? -(Magnitude) amount->units : (Magnitude) amount->units;
	digits[at] = '\0';
	for (n = 0; n <= BC_AMOUNT_DECIMALS || rest != 0; n++)
	{
		char		digit = (char) ('0' + (int) (rest % 10));

		rest /= 10;
		if (n == BC_AMOUNT_DECIMALS && digits[at] != '\0')
			digits[--at] = '.';
		if (n < BC_AMOUNT_DECIMALS && digit == '0' && digits[at] == '\0')
			continue;			/* a zero at the end of the decimals */
		digits[--at] = digit;
	}
	snprintf(text, size, "%s%s", amount->units < 0 ? "-" : "", &digits[at]);
}

int
bc_amount_sign(const BcAmount *amount)
{
	return amount->units > 0 ? 1 : amount->units < 0 ? -1 : 0;
}

/* A tolerance below zero, which no setting allows, is met by nothing. */
bool
bc_amount_within(const BcAmount *a, const BcAmount *b, const BcAmount *tolerance)
{
	__int128	difference = a->units - b->units;

	if (difference < 0)
		difference = -difference;
	return difference <= tolerance->units;
}

/* Not isdigit(), which asks the locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}
