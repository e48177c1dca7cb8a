/*-------------------------------------------------------------------------
 *
 * queue_claim.c
 *	  The ledger, as the worker sees it: claims and intents.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "queue.h"
#include "sqlcall.h"
#include "work.h"

static SqlCall claim = SQLCALL("SELECT * FROM bcpaid.queue_claim($1, $2, $3, $4, $5)", 5,
							   INT4ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT4OID, INT4OID);
static SqlCall intend = SQLCALL("SELECT bcpaid.queue_intend($1, $2::numeric[], $3::numeric[], $4)", 4,
								INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID);
static SqlCall tests = {.text = "SELECT * FROM bcpaid.queue_tests()"};

/* prototypes of private functions */
static void read_claim(QueueClaim *into, HeapTuple row, TupleDesc desc);
static void read_address(QueueClaim *into, HeapTuple row, TupleDesc desc);
static ArrayType *int4_array(const QueueRoom *rooms, int n, bool take_store);
static BcStrategy strategy_of(const char *name);

int
queue_claim(const QueueRoom *rooms, int nrooms, const int64 *busy, int nbusy,
			int default_room, int at_most, QueueClaim **claims)
{
	Datum		values[5];
	int			n;

	values[0] = PointerGetDatum(int4_array(rooms, nrooms, true));
	values[1] = PointerGetDatum(int4_array(rooms, nrooms, false));
	values[2] = PointerGetDatum(sqlcall_int8_array(busy, nbusy));
	values[3] = Int32GetDatum(default_room);
	values[4] = Int32GetDatum(at_most);
	sqlcall_run(&claim, values, NULL);

	n = SPI_processed;
	*claims = MemoryContextAllocZero(work_context(), sizeof(QueueClaim) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_claim(&(*claims)[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	return n;
}

static void
read_claim(QueueClaim *into, HeapTuple row, TupleDesc desc)
{
	bool		is_null;
	Datum		sent_at = SPI_getbinval(row, desc, SPI_fnumber(desc, "sent_at"), &is_null);
	Datum		reserve;

	into->id = sqlcall_number_of(row, desc, "id");
	into->order_id = sqlcall_number_of(row, desc, "order_id");
	into->unknown = sqlcall_truth_of(row, desc, "unknown");
	into->absent_reads = sqlcall_number_of(row, desc, "absent_reads");
	into->failures = sqlcall_number_of(row, desc, "failures");
	into->sends = sqlcall_number_of(row, desc, "sends");
	into->sent_at = is_null ? 0 : DatumGetTimestampTz(sent_at);
	into->store_failures = sqlcall_number_of(row, desc, "store_failures");
	into->generation = sqlcall_number_of(row, desc, "generation");
	into->alone = sqlcall_truth_of(row, desc, "alone");
	into->read_back = sqlcall_truth_of(row, desc, "read_back");
	reserve = SPI_getbinval(row, desc, SPI_fnumber(desc, "quota_reserve"), &is_null);
	into->quota_reserve = DatumGetFloat4(reserve);

	into->store.id = sqlcall_number_of(row, desc, "store_id");
	read_address(into, row, desc);
	into->store.strategy = strategy_of(sqlcall_text_of(row, desc, "strategy"));
	into->store.no_transactions = sqlcall_truth_of(row, desc, "no_transactions");
	into->store.offline_methods = sqlcall_text_of(row, desc, "offline_methods");
	if (into->store.offline_methods != NULL)
		into->store.offline_methods = sqlcall_utf8_of(into->store.offline_methods);

	into->order.remote_order_id = sqlcall_number_of(row, desc, "remote_order_id");
	into->order.amount = sqlcall_text_of(row, desc, "amount");
	into->order.currency = sqlcall_text_of(row, desc, "currency");
	into->order.tolerance = sqlcall_text_of(row, desc, "tolerance");
	into->order.marker = sqlcall_text_of(row, desc, "marker");
	into->order.sent_before = into->sends > 0;
	into->answered = sqlcall_truth_of(row, desc, "answered");
	into->order.approved = sqlcall_text_of(row, desc, "approved");
	if (into->order.approved != NULL)
		into->order.approved = sqlcall_utf8_of(into->order.approved);
}

/* Whom to call, if it is fit to be put into a URL and a header. */
static void
read_address(QueueClaim *into, HeapTuple row, TupleDesc desc)
{
	const char *hash = sqlcall_text_of(row, desc, "store_hash");
	const char *token = sqlcall_text_of(row, desc, "token");

	into->has_token = hash != NULL && bigcommerce_hash_is_valid(hash) &&
		token != NULL && bigcommerce_token_is_valid(token);
	strlcpy(into->store.hash, hash ? hash : "", sizeof(into->store.hash));
	strlcpy(into->store.token, into->has_token ? token : "", sizeof(into->store.token));
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

int
queue_tests(QueueClaim **claims)
{
	int			n;

	sqlcall_run(&tests, NULL, NULL);
	n = SPI_processed;
	*claims = MemoryContextAllocZero(work_context(), sizeof(QueueClaim) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		(*claims)[i].store.id = sqlcall_number_of(row, desc, "store_id");
		read_address(&(*claims)[i], row, desc);
	}
	return n;
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
	}
	values[0] = PointerGetDatum(sqlcall_int8_array(ids, nwishes));
	for (int k = 0; k < 3; k++)
		values[k + 1] = PointerGetDatum(sqlcall_text_array(texts[k], nwishes));
	sqlcall_run(&intend, values, NULL);

	for (int i = 0; i < nwishes; i++)
		wishes[i].granted = sqlcall_has_id(wishes[i].id);
}

static ArrayType *
int4_array(const QueueRoom *rooms, int n, bool take_store)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(take_store ? rooms[i].store_id : rooms[i].room);
	return construct_array(elements, n, INT4OID, 4, true, TYPALIGN_INT);
}
