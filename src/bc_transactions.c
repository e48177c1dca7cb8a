/*-------------------------------------------------------------------------
 *
 * bc_transactions.c
 *	  The transactions of an order at a store, counted by what they prove.
 *
 * The gateway's name is open-ended, and events and states may be added: what
 * is not understood is counted as what makes us the most careful.  A missing
 * status counts as success, because a capture overlooked is paid twice.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_remote.h"

#include <stdio.h>

#include "bc_json.h"
#include "bc_text.h"

/* What an offline payment is made through; anything else is a real gateway. */
#define OFFLINE_GATEWAYS "custom\nbankdeposit\ncheque\ncod\ninstore\nmoneyorder"
#define OFFLINE_METHODS "offline\ncustom"
#define PART_METHODS "store_credit\ngift_certificate"
#define CAPTURING_EVENTS "capture\npurchase\nsettled"

typedef struct Transaction
{
	const char *event;			/* "" where absent, as the others */
	const char *status;
	const char *gateway;
	const char *method;
	bool		ours;			/* carries our marker */
	bool		ok;				/* "ok", or nothing said */
	bool		failed;			/* "error" */
	bool		real;			/* through a real gateway */
} Transaction;

/* prototypes of private functions */
static bool read_pages(const json_t *document, size_t rows, BcSeen *seen);
static bool count_row(const json_t *row, int64 id, const BcStore *store,
					  const char *marker, BcSeen *seen);
static bool read_row(const json_t *row, int64 id, const char *marker, Transaction *t);
static bool is_of_order(const json_t *row, int64 id);
static bool is_real_gateway(const Transaction *t);
static bool is_capturing(const Transaction *t);
static void count_capturing(const Transaction *t, BcSeen *seen);
static void count_other(const Transaction *t, BcSeen *seen);
static void keep_id(const json_t *row, const BcStore *store, BcSeen *seen);

/* One row that is not understood spoils the page: it might be the capture. */
bool
bc_remote_transactions(const char *body, size_t length, int64 id,
					   const BcStore *store, const char *marker, BcSeen *seen)
{
	json_t	   *document = bc_json_load(body, length);
	const json_t *rows = json_object_get(document, "data");
	bool		ok = json_is_array(rows) && read_pages(document, json_array_size(rows), seen);
	size_t		i;

	for (i = 0; ok && i < json_array_size(rows); i++)
		ok = count_row(json_array_get(rows, i), id, store, marker, seen);
	json_decref(document);
	return ok;
}

/*
 * Is this the page that was asked for, and how many are there?
 *
 * A store that leaves out the pagination has said everything, unless the page
 * is full: then something may be missing, and nothing is known.
 */
static bool
read_pages(const json_t *document, size_t rows, BcSeen *seen)
{
	const json_t *pagination = json_object_get(json_object_get(document, "meta"), "pagination");
	int64		current = 1;
	int64		total = 1;
	BcMember	has_total = bc_json_integer(pagination, "total_pages", &total);

	seen->page++;
	if (has_total == BC_WRONG_TYPE ||
		bc_json_integer(pagination, "current_page", &current) == BC_WRONG_TYPE)
		return false;
	if (has_total == BC_ABSENT && rows >= BC_PAGE_SIZE)
		return false;
	total = total > BC_PAGES_MAX ? BC_PAGES_MAX + 1 : total < 1 ? 1 : total;
	if (total > seen->pages)
		seen->pages = (int) total;	/* once announced, a page is asked for */
	return seen->page == 1 ? current <= 1 : current == seen->page;
}

/* The answer to a POST shows one transaction, counted by the same rules as a list of them. */
bool
bc_remote_captured(const char *body, size_t length, int64 id, const BcStore *store,
				   const char *marker, bool *readable, BcSeen *seen)
{
	json_t	   *document = bc_json_load(body, length);

	memset(seen, 0, sizeof(*seen));
	*readable = document != NULL;
	(void) count_row(json_object_get(document, "data"), id, store, marker, seen);
	json_decref(document);
	return seen->ours == 1;
}

/* False if this is no transaction of this order. */
static bool
count_row(const json_t *row, int64 id, const BcStore *store, const char *marker,
		  BcSeen *seen)
{
	Transaction t;

	if (!json_is_object(row) || !read_row(row, id, marker, &t))
		return false;
	if (bc_text_same(t.event, "refund"))
		seen->refunds += t.failed ? 0 : 1;
	else if (bc_text_listed(t.method, PART_METHODS))
		seen->part_payments += t.failed ? 0 : 1;
	else if (is_capturing(&t))
		count_capturing(&t, seen);
	else
		count_other(&t, seen);

	if (is_capturing(&t) && t.ok && (t.ours || seen->ours == 0))
		keep_id(row, store, seen);
	if (t.real)
		bc_text_clean(seen->gateway, sizeof(seen->gateway), t.gateway,
					  strlen(t.gateway), store->token);
	return true;
}

/* A member of the wrong type is not "absent": it is an answer that we do not know how to read. */
static bool
read_row(const json_t *row, int64 id, const char *marker, Transaction *t)
{
	const char *text = "";

	t->event = t->status = t->gateway = t->method = "";
	if (!is_of_order(row, id) ||
		bc_json_text(row, "event", &t->event) == BC_WRONG_TYPE ||
		bc_json_text(row, "status", &t->status) == BC_WRONG_TYPE ||
		bc_json_text(row, "gateway", &t->gateway) == BC_WRONG_TYPE ||
		bc_json_text(row, "method", &t->method) == BC_WRONG_TYPE)
		return false;
	(void) bc_json_text(row, "gateway_transaction_id", &text);
	t->ours = strcmp(text, marker) == 0;
	t->ok = *t->status == '\0' || bc_text_same(t->status, "ok");
	t->failed = bc_text_same(t->status, "error");
	t->real = is_real_gateway(t);
	return true;
}

/* order_id is documented as text; a number would do as well. */
static bool
is_of_order(const json_t *row, int64 id)
{
	const char *text;
	char		expected[24];
	int64		number = id;

	if (bc_json_integer(row, "order_id", &number) != BC_WRONG_TYPE)
		return number == id;
	snprintf(expected, sizeof(expected), "%lld", (long long) id);
	return bc_json_text(row, "order_id", &text) == BC_PRESENT &&
		strcmp(text, expected) == 0;
}

/* Without a gateway's name, the method tells. */
static bool
is_real_gateway(const Transaction *t)
{
	if (*t->gateway != '\0')
		return !bc_text_listed(t->gateway, OFFLINE_GATEWAYS);
	return *t->method != '\0' && !bc_text_listed(t->method, OFFLINE_METHODS);
}

static bool
is_capturing(const Transaction *t)
{
	return *t->event != '\0' && bc_text_listed(t->event, CAPTURING_EVENTS);
}

/* "settled" follows the capture of the same money: never counted beside it. */
static void
count_capturing(const Transaction *t, BcSeen *seen)
{
	bool		settled = bc_text_same(t->event, "settled");

	if (t->ours && t->ok)
		seen->ours += (settled && seen->ours > 0) ? 0 : 1;
	else if (t->ours)
		seen->ours_not_ok++;
	else if (t->ok && settled)
		seen->settled++;
	else if (t->ok)
		seen->captures++;
	else if (!t->failed)
		seen->unclear++;
	else if (t->real)
		seen->declined++;
}

/* Authorizations, voids, and whatever else a gateway may have done. */
static void
count_other(const Transaction *t, BcSeen *seen)
{
	bool		voids = bc_text_same(t->event, "void");

	if (voids && !t->failed)
		*(t->real ? &seen->voided : &seen->voided_offline) += 1;
	else if (t->ours && !voids)
		seen->ours_not_ok++;
	else if (t->real && t->failed)
		seen->declined++;
	else if (t->real)
		seen->authorized++;
	else if (*t->event == '\0')
		seen->unclear++;
}

/* For the audit: a person finds the transaction by it in the control panel. */
static void
keep_id(const json_t *row, const BcStore *store, BcSeen *seen)
{
	const char *text;
	int64		number;

	if (bc_json_integer(row, "id", &number) == BC_PRESENT)
		snprintf(seen->id, sizeof(seen->id), "%lld", (long long) number);
	else if (bc_json_text(row, "id", &text) == BC_PRESENT)
		bc_text_clean(seen->id, sizeof(seen->id), text, strlen(text), store->token);
}
