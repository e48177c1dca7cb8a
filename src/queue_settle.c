/*-------------------------------------------------------------------------
 *
 * queue_settle.c
 *	  The ledger, as the worker sees it: what conversations with stores, and
 *	  updates of Odoo's orders, led to.
 *
 * One statement for all that a round settles, whose elements lie in arrays:
 * calling one a capture costs more than all that it writes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "queue.h"
#include "sqlcall.h"

#define FLAG_FAILED		1
#define FLAG_ABSENT		2
#define FLAG_ANSWERED	4

static SqlCall attempt = SQLCALL("SELECT bcpaid.queue_attempt($1, $2, $3, $4, $5, $6, $7)", 7,
								 INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
								 TEXTARRAYOID, TEXTARRAYOID);
static SqlCall settle = SQLCALL("SELECT bcpaid.queue_settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", 11,
								INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
								INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
								TEXTARRAYOID);

static SqlCall applied = SQLCALL("SELECT bcpaid.queue_applied($1, $2, $3, $4)", 4,
								 INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID);

typedef int64 (*NumberOf) (const void *item, int which);
typedef const char *(*TextOf) (const void *item, int which);

/* prototypes of private functions */
static void run(SqlCall *call, NumberOf number, TextOf text, const void *items, size_t size, int n);
static Datum numbers(NumberOf of, int which, const void *items, size_t size, int n);
static Datum texts(TextOf of, int which, const void *items, size_t size, int n);
static int64 attempt_number(const void *item, int which);
static const char *attempt_text(const void *item, int which);
static int64 move_number(const void *item, int which);
static const char *move_text(const void *item, int which);
static int64 apply_number(const void *item, int which);
static const char *apply_text(const void *item, int which);

void
queue_attempt(const QueueAttempt *attempts, int n)
{
	run(&attempt, attempt_number, attempt_text, attempts, sizeof(QueueAttempt), n);
}

static int64
attempt_number(const void *item, int which)
{
	const QueueAttempt *one = item;

	switch (which)
	{
		case 0:
			return one->id;
		case 2:
			return one->result->requests;
		case 3:
			return one->result->status;
		default:
			return one->result->took_ms;
	}
}

static const char *
attempt_text(const void *item, int which)
{
	static const char *const purposes[] = {"look", "send", "read back", "test"};
	static const char *const outcomes[] = {
		"go", "taken", "taken by other", "wait", "held", "refused", "not ours",
	"not sent", "unknown", "look again", "no way A", "stop store", "ok"};
	const BcResult *result = ((const QueueAttempt *) item)->result;

	switch (which)
	{
		case 1:
			return purposes[result->purpose];
		case 5:
			return outcomes[result->verdict];
		default:
			return result->reason;
	}
}

void
queue_settle(QueueMove *moves, int n)
{
	run(&settle, move_number, move_text, moves, sizeof(QueueMove), n);
	for (int i = 0; i < n; i++)
		moves[i].moved = sqlcall_has_id(moves[i].id);
}

static int64
move_number(const void *item, int which)
{
	const QueueMove *move = item;

	switch (which)
	{
		case 0:
			return move->id;
		case 4:
			return move->delay_ms;
		default:
			return (move->failed ? FLAG_FAILED : 0) | (move->absent ? FLAG_ABSENT : 0) |
				(move->answered ? FLAG_ANSWERED : 0);
	}
}

static const char *
move_text(const void *item, int which)
{
	const QueueMove *move = item;

	switch (which)
	{
		case 1:
			return move->from_state;
		case 2:
			return move->to_state;
		case 3:
			return move->reason;
		case 6:
			return move->amount;
		case 7:
			return move->currency;
		case 8:
			return move->transaction_id;
		case 9:
			return move->captured_by;
		default:
			return move->warning;
	}
}

void
queue_applied(const QueueApply *orders, int n)
{
	run(&applied, apply_number, apply_text, orders, sizeof(QueueApply), n);
}

static int64
apply_number(const void *item, int which)
{
	const QueueApply *one = item;

	return which == 0 ? one->id : one->delay_ms;
}

static const char *
apply_text(const void *item, int which)
{
	const QueueApply *one = item;

	if (which == 1)
		return one->outcome;
	return one->detail == NULL ? NULL : sqlcall_utf8_of(one->detail);	/* the server's words */
}

/* An argument is an array with one thing of each item, by the argument's place. */
static void
run(SqlCall *call, NumberOf number, TextOf text, const void *items, size_t size, int n)
{
	Datum		values[SQLCALL_MAX_ARGS];

	if (n == 0)
		return;
	for (int i = 0; i < call->nargs; i++)
	{
		if (call->types[i] == INT8ARRAYOID)
			values[i] = numbers(number, i, items, size, n);
		else
			values[i] = texts(text, i, items, size, n);
	}
	sqlcall_run(call, values, NULL);
}

static Datum
numbers(NumberOf of, int which, const void *items, size_t size, int n)
{
	int64	   *values = palloc(sizeof(int64) * n);

	for (int i = 0; i < n; i++)
		values[i] = of((const char *) items + i * size, which);
	return PointerGetDatum(sqlcall_int8_array(values, n));
}

static Datum
texts(TextOf of, int which, const void *items, size_t size, int n)
{
	const char **values = palloc(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
		values[i] = of((const char *) items + i * size, which);
	return PointerGetDatum(sqlcall_text_array(values, n));
}
