/*-------------------------------------------------------------------------
 *
 * sqlcall.h
 *	  Calls of our own SQL functions from C, elevated, with kept plans.
 *
 * Each call is an elevated section of its own, ended before anything else
 * happens.  Inside work_run(); results are in SPI_tuptable.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_SQLCALL_H
#define BCPAID_SQLCALL_H

#include "executor/spi.h"
#include "utils/array.h"

#define SQLCALL_MAX_ARGS	13

typedef struct SqlCall
{
	const char *text;
	int			nargs;
	Oid			types[SQLCALL_MAX_ARGS];
	SPIPlanPtr	plan;
} SqlCall;

#define SQLCALL(sql, n, ...) {.text = sql, .nargs = n, .types = {__VA_ARGS__}}

extern void sqlcall_run(SqlCall *which, Datum *values, const char *nulls);

/* The first column of the first row. */
extern Datum sqlcall_first_value(bool *is_null);
extern bool sqlcall_first_bool(void);

/* Is this among the bigints in the first column of the last call's rows? */
extern bool sqlcall_has_id(int64 id);

/* Columns of a row by name; text is copied into work_context(), NULL is NULL, 0 or false. */
extern char *sqlcall_text_of(HeapTuple row, TupleDesc desc, const char *name);
extern int64 sqlcall_number_of(HeapTuple row, TupleDesc desc, const char *name);
extern bool sqlcall_truth_of(HeapTuple row, TupleDesc desc, const char *name);

/* A text of the database's as UTF-8, which stores speak, in work_context(). */
extern char *sqlcall_utf8_of(const char *text);

/* Arguments; texts are UTF-8, whatever the database's encoding is. */
extern Datum sqlcall_text_from_utf8(const char *text);
extern void sqlcall_set_text(Datum *values, char *nulls, int i, const char *value);
extern Datum sqlcall_interval_ms(int64 ms);
extern Datum sqlcall_due_after(int delay_ms);	/* -1: for ever */
extern ArrayType *sqlcall_int8_array(const int64 *values, int n);
extern ArrayType *sqlcall_text_array(const char *const *values, int n);

#endif							/* BCPAID_SQLCALL_H */
