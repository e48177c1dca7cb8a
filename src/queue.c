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

#include "elevate.h"
#include "guc.h"
#include "queue.h"
#include "work.h"

#define MAX_ARGS	12

typedef struct Call
{
	const char *text;
	int			nargs;
	Oid			types[MAX_ARGS];
	SPIPlanPtr	plan;
} Call;

#define CALL(sql, n, ...) {.text = sql, .nargs = n, .types = {__VA_ARGS__}}

static Call recover = CALL("SELECT bcpaid.queue_recover($1)", 1, INTERVALOID);
static Call unfinished = {
	.text = "SELECT EXISTS (SELECT FROM bcpaid.capture WHERE state IN ('claimed', 'sending'))"
};
static Call take = CALL("SELECT bcpaid.queue_take_candidates($1)", 1, INT4OID);
static Call sweep = CALL("SELECT bcpaid.queue_sweep($1)", 1, INT4OID);
static Call environment = {.text = "SELECT bcpaid.environment_problem()"};
static Call claim = CALL("SELECT * FROM bcpaid.queue_claim($1, $2, $3, $4)", 4,
						 INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT4OID);
static Call intend = CALL("SELECT bcpaid.queue_intend($1, $2::numeric[], $3::numeric[], $4)", 4,
						  INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID);
static Call attempt = CALL("SELECT bcpaid.queue_attempt($1, $2, $3, $4, $5, $6, $7)", 7,
						   INT8OID, TEXTOID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID);
static Call settle = CALL("SELECT bcpaid.queue_settle($1, $2::text[], $3, $4, $5, $6, $7,"
						  " $8::numeric, $9, $10, $11, $12)", 12,
						  INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID, BOOLOID,
						  TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID);
static Call store = CALL("SELECT bcpaid.queue_store($1, $2, $3, $4)", 4,
						 INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
static Call unapplied = CALL("SELECT * FROM bcpaid.queue_unapplied($1)", 1, INT4OID);
static Call applied = CALL("SELECT bcpaid.queue_applied($1, $2, $3, $4)", 4,
						   INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
static Call warn = CALL("SELECT bcpaid.queue_warn($1, $2)", 2, INT8OID, TEXTOID);
static Call next_due = CALL("SELECT * FROM bcpaid.queue_next_due($1, $2)", 2, INTERVALOID, BOOLOID);

/* prototypes of private functions */
static void call(Call *which, Datum *values, const char *nulls);
static Datum first_value(bool *is_null);
static bool first_bool(void);
static Datum interval_ms(int64 ms);
static Datum due_after(int delay_ms);
static void set_text(Datum *values, char *nulls, int i, const char *value);
static void read_claim(QueueClaim *into, HeapTuple row, TupleDesc desc);
static char *column(HeapTuple row, TupleDesc desc, const char *name);
static int64 number(HeapTuple row, TupleDesc desc, const char *name);
static bool truth(HeapTuple row, TupleDesc desc, const char *name);
static ArrayType *int4_array(const QueueRoom *rooms, int n, bool take_store);
static ArrayType *int8_array(const int64 *values, int n);
static ArrayType *text_array(const char *const *values, int n);
static BcStrategy strategy_of(const char *name);

static void
call(Call *which, Datum *values, const char *nulls)
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

static Datum
first_value(bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
}

static bool
first_bool(void)
{
	bool		is_null;
	Datum		value = first_value(&is_null);

	return !is_null && DatumGetBool(value);
}

static Datum
interval_ms(int64 ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = ms * 1000;
	return IntervalPGetDatum(interval);
}

static Datum
due_after(int delay_ms)
{
	if (delay_ms < 0)
		return TimestampTzGetDatum(DT_NOEND);
	return TimestampTzGetDatum(GetCurrentTimestamp() + (int64) delay_ms * 1000);
}

static void
set_text(Datum *values, char *nulls, int i, const char *value)
{
	nulls[i] = value == NULL ? 'n' : ' ';
	values[i] = value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

/* Did an earlier worker leave something in the middle? */
bool
queue_unfinished(void)
{
	call(&unfinished, NULL, NULL);
	return first_bool();
}

void
queue_recover(int silence_ms)
{
	Datum		value = interval_ms(silence_ms);

	call(&recover, &value, NULL);
}

bool
queue_take_candidates(int at_most)
{
	Datum		value = Int32GetDatum(at_most);

	call(&take, &value, NULL);
	return first_bool();
}

bool
queue_sweep(int at_most)
{
	Datum		value = Int32GetDatum(at_most);

	call(&sweep, &value, NULL);
	return first_bool();
}

int
queue_claim(const QueueRoom *rooms, int nrooms, const int64 *busy, int nbusy,
			int default_room, QueueClaim **claims)
{
	Datum		values[4];
	int			n;

	values[0] = PointerGetDatum(int4_array(rooms, nrooms, true));
	values[1] = PointerGetDatum(int4_array(rooms, nrooms, false));
	values[2] = PointerGetDatum(int8_array(busy, nbusy));
	values[3] = Int32GetDatum(default_room);
	call(&claim, values, NULL);

	n = SPI_processed;
	*claims = MemoryContextAllocZero(work_context(), sizeof(QueueClaim) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_claim(&(*claims)[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	return n;
}

static void
read_claim(QueueClaim *into, HeapTuple row, TupleDesc desc)
{
	const char *token = column(row, desc, "token");
	bool		is_null;
	Datum		sent_at = SPI_getbinval(row, desc, SPI_fnumber(desc, "sent_at"), &is_null);
	Datum		reserve;

	into->id = number(row, desc, "id");
	into->order_id = number(row, desc, "order_id");
	into->unknown = truth(row, desc, "unknown");
	into->absent_reads = number(row, desc, "absent_reads");
	into->failures = number(row, desc, "failures");
	into->sends = number(row, desc, "sends");
	into->sent_at = is_null ? 0 : DatumGetTimestampTz(sent_at);
	into->store_failures = number(row, desc, "store_failures");
	into->read_back = truth(row, desc, "read_back");
	reserve = SPI_getbinval(row, desc, SPI_fnumber(desc, "quota_reserve"), &is_null);
	into->quota_reserve = DatumGetFloat4(reserve);

	into->store.id = number(row, desc, "store_id");
	strlcpy(into->store.hash, column(row, desc, "store_hash"), sizeof(into->store.hash));
	into->has_token = token != NULL && bigcommerce_token_is_valid(token) &&
		bigcommerce_hash_is_valid(into->store.hash);
	strlcpy(into->store.token, into->has_token ? token : "", sizeof(into->store.token));
	into->store.strategy = strategy_of(column(row, desc, "strategy"));
	into->store.no_transactions = truth(row, desc, "no_transactions");
	into->store.offline_methods = column(row, desc, "offline_methods");

	into->order.remote_order_id = number(row, desc, "remote_order_id");
	into->order.amount = column(row, desc, "amount");
	into->order.currency = column(row, desc, "currency");
	into->order.tolerance = column(row, desc, "tolerance");
	into->order.marker = column(row, desc, "marker");
	into->order.approved = truth(row, desc, "approved");
}

static BcStrategy
strategy_of(const char *name)
{
	if (strcmp(name, "status") == 0)
		return BC_BY_STATUS;
	if (strcmp(name, "transaction_then_status") == 0)
		return BC_BY_TRANSACTION_THEN_STATUS;
	return BC_BY_TRANSACTION;
}

/* A column's text in work_context(), or NULL. */
static char *
column(HeapTuple row, TupleDesc desc, const char *name)
{
	char	   *value = SPI_getvalue(row, desc, SPI_fnumber(desc, name));

	return value == NULL ? NULL : MemoryContextStrdup(work_context(), value);
}

static int64
number(HeapTuple row, TupleDesc desc, const char *name)
{
	int			i = SPI_fnumber(desc, name);
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, i, &is_null);

	if (is_null)
		return 0;
	return SPI_gettypeid(desc, i) == INT8OID ? DatumGetInt64(value) : DatumGetInt32(value);
}

static bool
truth(HeapTuple row, TupleDesc desc, const char *name)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, SPI_fnumber(desc, name), &is_null);

	return !is_null && DatumGetBool(value);
}

void
queue_intend(QueueWish *wishes, int nwishes)
{
	int64	   *ids = palloc(sizeof(int64) * nwishes);
	const char **texts[3];
	Datum		values[4];

	for (int k = 0; k < 3; k++)
		texts[k] = palloc(sizeof(char *) * nwishes);
	for (int i = 0; i < nwishes; i++)
	{
		ids[i] = wishes[i].id;
		texts[0][i] = wishes[i].odoo_amount;
		texts[1][i] = wishes[i].amount;
		texts[2][i] = wishes[i].currency;
		wishes[i].granted = false;
	}
	values[0] = PointerGetDatum(int8_array(ids, nwishes));
	for (int k = 0; k < 3; k++)
		values[k + 1] = PointerGetDatum(text_array(texts[k], nwishes));
	call(&intend, values, NULL);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		is_null;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row],
													 SPI_tuptable->tupdesc, 1, &is_null));

		for (int i = 0; i < nwishes; i++)
			wishes[i].granted |= wishes[i].id == id;
	}
}

/* Why nothing may be sent from this database, palloc'ed; NULL if it may. */
char *
queue_environment_problem(void)
{
	bool		is_null;
	Datum		problem;

	call(&environment, NULL, NULL);
	problem = first_value(&is_null);
	return is_null ? NULL : TextDatumGetCString(problem);
}

void
queue_attempt(int64 id, const BcResult *result)
{
	static const char *const purposes[] = {"look", "send", "read back", "test"};
	static const char *const outcomes[] = {
		"go", "taken", "taken by other", "wait", "held", "refused", "not ours",
		"not sent", "unknown", "look again", "no way A", "stop store", "ok"};
	Datum		values[7];

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(purposes[result->purpose]);
	values[2] = Int32GetDatum(result->requests);
	values[3] = Int32GetDatum(result->status);
	values[4] = Int32GetDatum(result->took_ms);
	values[5] = CStringGetTextDatum(outcomes[result->verdict]);
	values[6] = CStringGetTextDatum(result->reason);
	call(&attempt, values, NULL);
}

bool
queue_settle(const QueueMove *move)
{
	Datum		values[12];
	char		nulls[12];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(move->id);
	set_text(values, nulls, 1, move->from_states);
	set_text(values, nulls, 2, move->to_state);
	set_text(values, nulls, 3, move->reason);
	values[4] = due_after(move->delay_ms);
	values[5] = BoolGetDatum(move->failed);
	values[6] = BoolGetDatum(move->absent);
	set_text(values, nulls, 7, move->amount);
	set_text(values, nulls, 8, move->currency);
	set_text(values, nulls, 9, move->transaction_id);
	set_text(values, nulls, 10, move->captured_by);
	set_text(values, nulls, 11, move->warning);
	call(&settle, values, nulls);
	return first_bool();
}

void
queue_store(int store_id, const char *condition, const char *detail, int delay_ms)
{
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = Int32GetDatum(store_id);
	set_text(values, nulls, 1, condition);
	set_text(values, nulls, 2, detail);
	values[3] = due_after(delay_ms);
	call(&store, values, nulls);
}

int
queue_unapplied(int at_most, int64 **ids, int **order_ids)
{
	Datum		value = Int32GetDatum(at_most);
	int			n;

	call(&unapplied, &value, NULL);
	n = SPI_processed;
	*ids = MemoryContextAlloc(work_context(), sizeof(int64) * Max(n, 1));
	*order_ids = MemoryContextAlloc(work_context(), sizeof(int) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*ids)[i] = number(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "id");
		(*order_ids)[i] = number(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, "order_id");
	}
	return n;
}

void
queue_applied(int64 id, const char *outcome, const char *detail, int delay_ms)
{
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};

	values[0] = Int64GetDatum(id);
	set_text(values, nulls, 1, outcome);
	set_text(values, nulls, 2, detail);
	values[3] = due_after(delay_ms);
	call(&applied, values, nulls);
}

TimestampTz
queue_next_due(bool may_send, bool *sweep_is_due)
{
	Datum		values[2];
	HeapTuple	row;
	TupleDesc	desc;
	bool		is_null;

	values[0] = interval_ms((int64) bcpaid_sweep_interval * 1000);
	values[1] = BoolGetDatum(may_send);
	call(&next_due, values, NULL);

	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	*sweep_is_due = truth(row, desc, "sweep");
	return DatumGetTimestampTz(first_value(&is_null));
}

void
queue_warn(int64 id, const char *warning)
{
	Datum		values[2];

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(warning);
	call(&warn, values, NULL);
}

static ArrayType *
int4_array(const QueueRoom *rooms, int n, bool take_store)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(take_store ? rooms[i].store_id : rooms[i].room);
	return construct_array(elements, n, INT4OID, 4, true, TYPALIGN_INT);
}

static ArrayType *
int8_array(const int64 *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

static ArrayType *
text_array(const char *const *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(values[i] ? values[i] : "");
	return construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT);
}
