/*-------------------------------------------------------------------------
 *
 * amount_test.c
 *	  Goal: every amount that a store or Odoo writes is read exactly, printed
 *	  as the shortest JSON number, compared without rounding, or refused.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_amount.h"
#include "tap.h"

static void
prints(const char *text, const char *wanted)
{
	BcAmount	amount;
	char		printed[BC_AMOUNT_MAX] = "refused";
	char		what[200];

	if (bc_amount_parse(text, &amount))
		bc_amount_print(&amount, printed, sizeof(printed));
	snprintf(what, sizeof(what), "\"%s\" is %s", text, wanted);
	is_text(printed, wanted, what);
}

static void
within(const char *a, const char *b, const char *tolerance, bool wanted)
{
	BcAmount	x;
	BcAmount	y;
	BcAmount	t;

	ok(bc_amount_parse(a, &x) && bc_amount_parse(b, &y) && bc_amount_parse(tolerance, &t) &&
	   bc_amount_within(&x, &y, &t) == wanted,
	   "%s and %s %s within %s", a, b, wanted ? "are" : "are not", tolerance);
}

int
main(void)
{
	BcAmount	sum;
	BcAmount	part;
	char		printed[BC_AMOUNT_MAX];

	prints("69.8400", "69.84");
	prints("69.84", "69.84");
	prints("5000.0000", "5000");	/* JPY */
	prints("1.2340", "1.234");	/* KWD */
	prints("0.3000", "0.3");
	prints("1000000000000.0000", "1000000000000");
	prints("0.0000", "0");
	prints("-0.00", "0");
	prints("-12.50", "-12.5");
	prints("+12.50", "12.5");
	prints("007.10", "7.1");
	prints("0.05", "0.05");
	prints("0.000000000001", "0.000000000001");
	prints("69.84000000000000000000", "69.84");
	prints("999999999999999999999999.999999999999", "999999999999999999999999.999999999999");

	prints("69.840000000000003", "refused");
	prints("1000000000000000000000000", "refused");
	prints("", "refused");
	prints("-", "refused");
	prints(".5", "refused");
	prints("5.", "refused");
	prints("1e12", "refused");
	prints("NaN", "refused");
	prints("Infinity", "refused");
	prints("12.5 ", "refused");
	prints(" 12.5", "refused");
	prints("12,50", "refused");
	prints("1.2.3", "refused");
	prints("--1", "refused");
	prints("0x10", "refused");
	prints("$5", "refused");
	ok(!bc_amount_parse(NULL, &sum), "no text is no amount");

	/* 0.10 + 0.20 is 0.30, which no double is */
	ok(bc_amount_parse("0.10", &sum) && bc_amount_parse("0.20", &part), "0.10 and 0.20 are amounts");
	sum.units += part.units;
	bc_amount_print(&sum, printed, sizeof(printed));
	is_text(printed, "0.3", "0.10 + 0.20 is 0.3");

	within("69.8400", "69.84", "0", true);
	within("69.84", "69.89", "0.05", true);
	within("69.84", "69.79", "0.05", true);
	within("69.84", "69.8900001", "0.05", false);
	within("5000", "5001", "1", true);
	within("1.234", "1.235", "0.0009", false);
	within("-999999999999999999999999", "999999999999999999999999", "0.05", false);
	within("1", "1", "-0.01", false);

	ok(bc_amount_parse("-0.01", &sum) && bc_amount_sign(&sum) == -1, "the sign of -0.01");
	ok(bc_amount_parse("0.00", &sum) && bc_amount_sign(&sum) == 0, "the sign of 0.00");
	ok(bc_amount_parse("0.01", &sum) && bc_amount_sign(&sum) == 1, "the sign of 0.01");
	return done_testing();
}
