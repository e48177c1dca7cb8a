/*-------------------------------------------------------------------------
 *
 * sqlcall.c
 *	  Calls of our own SQL functions from C, elevated, with kept plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"

#include "elevate.h"
#include "sqlcall.h"
#include "work.h"

static BlockNumber planned_for = 1; /* blocks of the ledger: its first one
									 * makes no difference */

/* prototypes of private functions */
static void plan_for_more(Oid schema);
static char *convert(const char *text, int from, int to);

void
sqlcall_run(SqlCall *which, Datum *values, const char *nulls)
{
	Elevation	elevation;
	int			result;

	elevate_up(&elevation);
	plan_for_more(RelationGetNamespace(elevation.ours));
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

/*
 * Plans for a small ledger go through all of a large one, and autovacuum, whose
 * ANALYZE would end them, is late in a burst: so make new ones each time it has
 * doubled.
 */
static void
plan_for_more(Oid schema)
{
	Relation	ledger = table_open(get_relname_relid("capture", schema), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(ledger);

	table_close(ledger, NoLock);
	if (blocks <= 2 * planned_for && blocks >= planned_for / 2)
		return;
	planned_for = blocks;
	ResetPlanCache();
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

bool
sqlcall_has_id(int64 id)
{
	bool		is_null;

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		if (DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &is_null)) == id)
			return true;
	}
	return false;
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
	values[i] = value == NULL ? (Datum) 0 : sqlcall_text_from_utf8(value);
}

Datum
sqlcall_text_from_utf8(const char *text)
{
	return CStringGetTextDatum(convert(text, PG_UTF8, GetDatabaseEncoding()));
}

char *
sqlcall_utf8_of(const char *text)
{
	return MemoryContextStrdup(work_context(), convert(text, GetDatabaseEncoding(), PG_UTF8));
}

/* What the other encoding does not have becomes '?': an error would come again with each try. */
static char *
convert(const char *text, int from, int to)
{
	int			left = strlen(text);
	int			size = left * MAX_CONVERSION_GROWTH + 1;
	char	   *converted = palloc(size);
	int			used = 0;
	Oid			way;

	strcpy(converted, text);
	if (from == to || from == PG_SQL_ASCII || to == PG_SQL_ASCII || pg_is_ascii(text))
		return converted;
	way = FindDefaultConversionProc(from, to);
	while (left > 0)
	{
		int			taken = 0;

		if (OidIsValid(way))
			taken = pg_do_encoding_conversion_buf(way, from, to, (unsigned char *) text, left,
												  (unsigned char *) converted + used, size - used, true);
		else
			converted[used] = '\0';
		used += strlen(converted + used);
		if (taken < left)
		{
			converted[used++] = '?';
			taken += Min(pg_encoding_mblen(from, text + taken), left - taken);
		}
		text += taken;
		left -= taken;
	}
	converted[used] = '\0';
	return converted;
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
		elements[i] = sqlcall_text_from_utf8(values[i] ? values[i] : "");
	return construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT);
}
