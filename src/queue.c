/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  The ledger, as the worker sees it.
 *
 * Plans are prepared once and kept.  Each call is an elevated section of its
 * own, ended before anything else happens.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "queue.h"
#include "sqlcall.h"
#include "work.h"

static SqlCall recover = SQLCALL("SELECT bcpaid.queue_recover($1)", 1, INTERVALOID);
static SqlCall unfinished = {
	.text = "SELECT EXISTS (SELECT FROM bcpaid.capture WHERE state IN ('claimed', 'sending'))"
};
static SqlCall mend_times = {.text = "SELECT bcpaid.queue_mend_times()"};
static SqlCall take = SQLCALL("SELECT bcpaid.queue_take_candidates($1)", 1, INT4OID);
static SqlCall ask_sweep = {.text = "SELECT bcpaid.queue_ask_sweep()"};
static SqlCall sweep = SQLCALL("SELECT bcpaid.queue_sweep($1)", 1, INT4OID);
static SqlCall environment = {.text = "SELECT bcpaid.environment_problem()"};
static SqlCall store = SQLCALL("SELECT bcpaid.queue_store($1, $2, $3, $4, $5)", 5,
							   INT4OID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
static SqlCall unapplied = SQLCALL("SELECT * FROM bcpaid.queue_unapplied($1)", 1, INT4OID);
static SqlCall tested = SQLCALL("SELECT bcpaid.queue_tested($1, $2, $3)", 3, INT4OID, BOOLOID, TEXTOID);
static SqlCall prune = SQLCALL("SELECT bcpaid.queue_prune($1, $2)", 2, INTERVALOID, INT4OID);
static SqlCall warn = SQLCALL("SELECT bcpaid.queue_warn($1, $2)", 2, INT8OID, TEXTOID);
static SqlCall next_due = SQLCALL("SELECT * FROM bcpaid.queue_next_due($1, $2)", 2, INTERVALOID, BOOLOID);

/* Did an earlier worker leave something in the middle? */
bool
queue_unfinished(void)
{
	sqlcall_run(&unfinished, NULL, NULL);
	return sqlcall_first_bool();
}

void
queue_recover(int silence_ms)
{
	Datum		value = sqlcall_interval_ms(silence_ms);

	sqlcall_run(&recover, &value, NULL);
}

/* Returns how many captures would have waited for the clock. */
int
queue_mend_times(void)
{
	bool		is_null;

	sqlcall_run(&mend_times, NULL, NULL);
	return DatumGetInt32(sqlcall_first_value(&is_null));
}

bool
queue_take_candidates(int at_most)
{
	Datum		value = Int32GetDatum(at_most);

	sqlcall_run(&take, &value, NULL);
	return sqlcall_first_bool();
}

void
queue_ask_sweep(void)
{
	sqlcall_run(&ask_sweep, NULL, NULL);
}

bool
queue_sweep(int at_most)
{
	Datum		value = Int32GetDatum(at_most);

	sqlcall_run(&sweep, &value, NULL);
	return sqlcall_first_bool();
}

/* Why nothing may be sent from this database, palloc'ed; NULL if it may. */
char *
queue_environment_problem(void)
{
	bool		is_null;
	Datum		problem;

	sqlcall_run(&environment, NULL, NULL);
	problem = sqlcall_first_value(&is_null);
	return is_null ? NULL : TextDatumGetCString(problem);
}

bool
queue_store(int store_id, int generation, const char *condition, const char *detail,
			int delay_ms)
{
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};

	values[0] = Int32GetDatum(store_id);
	values[1] = Int32GetDatum(generation);
	sqlcall_set_text(values, nulls, 2, condition);
	sqlcall_set_text(values, nulls, 3, detail);
	values[4] = sqlcall_due_after(delay_ms);
	sqlcall_run(&store, values, nulls);
	return sqlcall_first_bool();
}

int
queue_unapplied(int at_most, QueueApply **orders)
{
	Datum		value = Int32GetDatum(at_most);
	int			n;

	sqlcall_run(&unapplied, &value, NULL);
	n = SPI_processed;
	*orders = MemoryContextAllocZero(work_context(), sizeof(QueueApply) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		QueueApply *one = &(*orders)[i];

		one->id = sqlcall_number_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "id");
		one->order_id = sqlcall_number_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "order_id");
		one->remote = sqlcall_number_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "remote_order_id");
		one->failures = sqlcall_number_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "failures");
	}
	return n;
}

void
queue_next_due(bool may_send, QueueNext *next)
{
	Datum		values[2];
	HeapTuple	row;
	TupleDesc	desc;
	bool		is_null;

	values[0] = sqlcall_interval_ms((int64) bcpaid_sweep_interval * 1000);
	values[1] = BoolGetDatum(may_send);
	sqlcall_run(&next_due, values, NULL);

	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	next->due = DatumGetTimestampTz(sqlcall_first_value(&is_null));
	next->apply = DatumGetTimestampTz(SPI_getbinval(row, desc, SPI_fnumber(desc, "apply"), &is_null));
	next->sweep = sqlcall_truth_of(row, desc, "sweep");
	next->news = sqlcall_truth_of(row, desc, "news");
}

void
queue_tested(int store_id, bool is_ok, const char *result)
{
	Datum		values[3];

	values[0] = Int32GetDatum(store_id);
	values[1] = BoolGetDatum(is_ok);
	values[2] = sqlcall_text_from_utf8(result);
	sqlcall_run(&tested, values, NULL);
}

bool
queue_prune(int at_most)
{
	Datum		values[2];

	values[0] = sqlcall_interval_ms((int64) bcpaid_retention * 86400 * 1000);
	values[1] = Int32GetDatum(at_most);
	sqlcall_run(&prune, values, NULL);
	return sqlcall_first_bool();
}

void
queue_warn(int64 id, const char *warning)
{
	Datum		values[2];

	values[0] = Int64GetDatum(id);
	values[1] = sqlcall_text_from_utf8(warning);
	sqlcall_run(&warn, values, NULL);
}
