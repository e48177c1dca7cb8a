/*-------------------------------------------------------------------------
 *
 * odoo_ask.c
 *	  One question about order after order: a query that stays open meanwhile.
 *
 * A list of orders calls bcpaid_can_mark() once a row.  Starting and ending a
 * query for each took two thirds of the time, so it is left open, as a cursor
 * that has not come to its end: it begins with
 *
 *	  SELECT $1 AS id, generate_series(1, 9223372036854775807)
 *
 * of which each fetch takes one more row, and with it $1 as it is then
 * (src/sql/31-judge.sql).  To the nodes below, the order's id is a parameter
 * that changes: they look it up as they would in any nested loop.
 *
 * It stays open only while one statement of the client's runs, and is asked
 * with that statement's snapshot.  What the statement runs inside (a function
 * that alters a table) could be in its way: so before every utility statement
 * all are closed.  Errors and subtransactions are PostgreSQL's, as for any
 * cursor; the name is random, for nobody else has business with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "elevate.h"
#include "odoo.h"
#include "odoo_plan.h"

typedef struct Question
{
	Portal		portal;			/* NULL if it is not open */
	SPIPlanPtr	plan;
	Oid			owner;
} Question;

typedef struct Receiver
{
	DestReceiver dest;
	OdooAnswer	answer;
} Receiver;

static Question questions[ODOO_QUERIES];
static Portal watched = NULL;	/* the statement that closes them by its end */
static ProcessUtility_hook_type previous_utility = NULL;
static bool hook_installed = false;

/* prototypes of private functions */
static OdooAnswer ask(OdooQuery query, int32 order_id, Oid owner, Elevation *elevation);
static OdooAnswer fetch(Portal portal, int32 order_id);
static bool receive(TupleTableSlot *slot, DestReceiver *self);
static Portal still_open(OdooQuery query, Oid owner);
static bool sees_the_same(Snapshot a, Snapshot b);
static bool same_ids(const TransactionId *a, int na, const TransactionId *b, int nb);
static bool is_asking(void);
static Portal open_cursor(OdooQuery query, Oid owner, Elevation *elevation, SPIPlanPtr *plan);
static void keep_open(OdooQuery query, Portal portal, SPIPlanPtr plan, Oid owner);
static void call_at_end(Portal portal, MemoryContextCallbackFunction what, void *arg);
static void at_end_of_question(void *arg);
static void at_end_of_statement(void *arg);
static void close_all(void);
static void close_one(Question *question);
static void before_utility(PlannedStmt *pstmt, const char *query, bool read_only,
						   ProcessUtilityContext context, ParamListInfo params,
						   QueryEnvironment *environment, DestReceiver *dest,
						   QueryCompletion *completion);

/*
 * The judge's query costs most, so these two come first: most orders are decided
 * by their own row and our ledger (cheap), most of the others by invoices in
 * which nothing is unusual (plain).
 */
void
odoo_ask(const int32 *order_ids, int n, OdooAnswer *answers)
{
	Oid			owner = odoo_owner(ODOO_CHEAP);
	Elevation	elevation;

	SPI_connect();
	elevate_down(&elevation, owner);
	for (int i = 0; i < n; i++)
	{
		answers[i] = ask(ODOO_CHEAP, order_ids[i], owner, &elevation);
		if (answers[i] == ODOO_NOT_DECIDED)
			answers[i] = ask(ODOO_PLAIN, order_ids[i], owner, &elevation);
	}
	elevate_end(&elevation);
	SPI_finish();
}

static OdooAnswer
ask(OdooQuery query, int32 order_id, Oid owner, Elevation *elevation)
{
	Portal		portal = still_open(query, owner);
	bool		stays_open = true;
	OdooAnswer	answer;

	if (portal == NULL)
	{
		SPIPlanPtr	plan;

		portal = open_cursor(query, owner, elevation, &plan);
		/* Planned, it may have run what asked, too, and was first. */
		stays_open = ActivePortal != NULL && !IsInParallelMode() && !is_asking() &&
			questions[query].portal == NULL;
		if (stays_open)
			keep_open(query, portal, plan, owner);
	}
	answer = fetch(portal, order_id);
	if (!stays_open)
		SPI_cursor_close(portal);
	return answer;
}

/* SPI_cursor_fetch() would put the row into a table in a memory context of its own: a twentieth of the time. */
static OdooAnswer
fetch(Portal portal, int32 order_id)
{
	Receiver	receiver = {.dest = *None_Receiver};

	receiver.dest.receiveSlot = receive;
	portal->queryDesc->params->params[0].value = Int32GetDatum(order_id);
	/* A text that a restore loaded need not be ours. */
	if (PortalRunFetch(portal, FETCH_FORWARD, 1, &receiver.dest) != 1)
		elog(ERROR, "a query about one order returned no row");
	return receiver.answer;
}

/* The second column: can it be marked, or NULL, which decides nothing. */
static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	OdooAnswer *answer = &((Receiver *) self)->answer;
	bool		no_order,
				no_value;
	Datum		value;

	(void) slot_getattr(slot, 1, &no_order);
	value = slot_getattr(slot, 2, &no_value);
	if (no_order)
		*answer = ODOO_NO_ORDER;
	else if (no_value)
		*answer = ODOO_NOT_DECIDED;
	else
		*answer = DatumGetBool(value) ? ODOO_CAN_MARK : ODOO_CANNOT_MARK;
	return true;
}

/*
 * The cursor if it would answer what a new one would; else it is closed, unless
 * it runs.  No plan is made here, for that would bind names: see open_cursor().
 */
static Portal
still_open(OdooQuery query, Oid owner)
{
	Question   *question = &questions[query];
	Portal		portal = question->portal;

	if (portal == NULL || portal->status == PORTAL_ACTIVE)
		return NULL;
	if (portal->status == PORTAL_READY && question->owner == owner &&
		question->plan == attachment_plan(query) &&
		sees_the_same(portal->queryDesc->snapshot, GetActiveSnapshot()))
		return portal;
	close_one(question);
	return NULL;
}

static bool
sees_the_same(Snapshot a, Snapshot b)
{
	return a->xmin == b->xmin && a->xmax == b->xmax && a->curcid == b->curcid &&
		a->suboverflowed == b->suboverflowed && a->takenDuringRecovery == b->takenDuringRecovery &&
		same_ids(a->xip, a->xcnt, b->xip, b->xcnt) &&
		same_ids(a->subxip, a->subxcnt, b->subxip, b->subxcnt);
}

/* Copies of a snapshot leave out an array that says nothing. */
static bool
same_ids(const TransactionId *a, int na, const TransactionId *b, int nb)
{
	return na == nb &&
		(a == NULL || b == NULL || memcmp(a, b, na * sizeof(TransactionId)) == 0);
}

/* Does one of the questions run just now, and asks through what it runs? */
static bool
is_asking(void)
{
	for (int i = 0; i < ODOO_QUERIES; i++)
	{
		if (questions[i].portal != NULL && questions[i].portal->status == PORTAL_ACTIVE)
			return true;
	}
	return false;
}

/*
 * In a section that begins here: what is planted on Odoo's tables ran in this
 * one, and may have left settings behind.  A cursor that is open binds no more
 * names; the next one must not bind its own by a planted search_path.
 */
static Portal
open_cursor(OdooQuery query, Oid owner, Elevation *elevation, SPIPlanPtr *plan)
{
	ParamListInfo parameters = makeParamList(1);
	char		name[NAMEDATALEN];
	uint64		random[2];
	Portal		portal;

	/* Not PARAM_FLAG_CONST: no plan of any kind may take its value for good. */
	parameters->params[0].ptype = INT4OID;
	parameters->params[0].pflags = 0;
	parameters->params[0].isnull = false;
	parameters->params[0].value = Int32GetDatum(0);
	if (!pg_strong_random(random, sizeof(random)))
		elog(ERROR, "could not make a name for a cursor");
	snprintf(name, sizeof(name), "bcpaid " UINT64_FORMAT " " UINT64_FORMAT, random[0], random[1]);
	elevate_end(elevation);
	elevate_down(elevation, owner);
	elevate_set("jit", "off");
	/* Tables grow while a plan is kept. */
	elevate_set("enable_seqscan", "off");
	*plan = odoo_plan(query);
	/* A copy: the statements that a rule makes of one move their own on. */
	PushCopiedSnapshot(GetActiveSnapshot());
	portal = SPI_cursor_open_with_paramlist(name, *plan, parameters, true);
	PopActiveSnapshot();
	portal->visible = false;
	odoo_check_result(query, portal->tupDesc);
	return portal;
}

static void
keep_open(OdooQuery query, Portal portal, SPIPlanPtr plan, Oid owner)
{
	Question   *question = &questions[query];

	if (!hook_installed)
	{
		previous_utility = ProcessUtility_hook;
		ProcessUtility_hook = before_utility;
		hook_installed = true;
	}
	if (watched != ActivePortal)
	{
		call_at_end(ActivePortal, at_end_of_statement, ActivePortal);
		watched = ActivePortal;
	}
	call_at_end(portal, at_end_of_question, question);
	question->portal = portal;
	question->plan = plan;
	question->owner = owner;
}

/* However a portal ends, its memory goes: no pointer to it outlives it. */
static void
call_at_end(Portal portal, MemoryContextCallbackFunction what, void *arg)
{
	MemoryContextCallback *callback;

	callback = MemoryContextAlloc(portal->portalContext, sizeof(MemoryContextCallback));
	callback->func = what;
	callback->arg = arg;
	MemoryContextRegisterResetCallback(portal->portalContext, callback);
}

static void
at_end_of_question(void *arg)
{
	((Question *) arg)->portal = NULL;
}

/* After an error there is nothing to do: the abort ends all portals. */
static void
at_end_of_statement(void *arg)
{
	if (watched == arg)
		watched = NULL;
	if (IsTransactionState())
		close_all();
}

static void
close_all(void)
{
	for (int i = 0; i < ODOO_QUERIES; i++)
	{
		if (questions[i].portal != NULL && questions[i].portal->status != PORTAL_ACTIVE)
			close_one(&questions[i]);
	}
}

/* Forgotten before it goes: its end may be that of a statement, which closes all. */
static void
close_one(Question *question)
{
	Portal		portal = question->portal;

	question->portal = NULL;
	PortalDrop(portal, false);
}

static void
before_utility(PlannedStmt *pstmt, const char *query, bool read_only,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *environment, DestReceiver *dest,
			   QueryCompletion *completion)
{
	if (IsTransactionState())
		close_all();
	if (previous_utility)
		previous_utility(pstmt, query, read_only, context, params, environment,
						 dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params,
								environment, dest, completion);
}
