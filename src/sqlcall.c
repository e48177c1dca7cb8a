/*-------------------------------------------------------------------------
 *
 * sqlcall.c
 *	  Calls of our own SQL functions from C, elevated, with kept plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "elevate.h"
#include "sqlcall.h"
#include "work.h"

void
sqlcall_run(SqlCall *which, Datum *values, const char *nulls)
{
	Elevation	elevation;
	int			result;

	elevate_up(&elevation);
	if (which->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(which->text, which->nargs, which->types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare \"%s\"", which->text);
		which->plan = plan;
	}
	result = SPI_execute_plan(which->plan, values, nulls, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\": %s", which->text,
			 SPI_result_code_string(result));
	elevate_end(&elevation);
}

Datum
sqlcall_first_value(bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
}

bool
sqlcall_first_bool(void)
{
	bool		is_null;
	Datum		value = sqlcall_first_value(&is_null);

	return !is_null && DatumGetBool(value);
}

Datum
sqlcall_interval_ms(int64 ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = ms * 1000;
	return IntervalPGetDatum(interval);
}

Datum
sqlcall_due_after(int delay_ms)
{
	if (delay_ms < 0)
		return TimestampTzGetDatum(DT_NOEND);
	return TimestampTzGetDatum(GetCurrentTimestamp() + (int64) delay_ms * 1000);
}

void
sqlcall_set_text(Datum *values, char *nulls, int i, const char *value)
{
	nulls[i] = value == NULL ? 'n' : ' ';
	values[i] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

/* A column's text in work_context(), or NULL. */
char *
sqlcall_text_of(HeapTuple row, TupleDesc desc, const char *name)
{
	char	   *value = SPI_getvalue(row, desc, SPI_fnumber(desc, name));

	return value == NULL ? NULL : MemoryContextStrdup(work_context(), value);
}

int64
sqlcall_number_of(HeapTuple row, TupleDesc desc, const char *name)
{
	int			i = SPI_fnumber(desc, name);
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, i, &is_null);

	if (is_null)
		return 0;
	return SPI_gettypeid(desc, i) == INT8OID ? DatumGetInt64(value) : DatumGetInt32(value);
}

bool
sqlcall_truth_of(HeapTuple row, TupleDesc desc, const char *name)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, SPI_fnumber(desc, name), &is_null);

	return !is_null && DatumGetBool(value);
}

ArrayType *
sqlcall_int8_array(const int64 *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

ArrayType *
sqlcall_text_array(const char *const *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(values[i] ? values[i] : "");
	return construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT);
}
