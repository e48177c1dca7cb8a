/*-------------------------------------------------------------------------
 *
 * bigcommerce.c
 *	  Conversations with a store: look at an order, capture it, test a store.
 *
 * A conversation is a short chain of requests
 *
 *	  BC_LOOK, BC_READ_BACK:  order -> transactions, page by page
 *	  BC_SEND:                the one POST or PUT
 *	  BC_TEST:                the store's settings
 *
 * each started when the answer before it was judged (bc_verdict*.c).  It ends
 * with the first verdict, on a list where the worker finds it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/resowner.h"

#include "bc_request.h"
#include "bc_verdict.h"
#include "bigcommerce.h"
#include "http.h"

struct BcConversation
{
	dlist_node	node;			/* talking, or finished */
	void	   *tag;
	void	   *transfer;		/* the request under way, or NULL */
	BcStore		store;
	BcOrder		order;
	BcResult	look;
	BcInquiry	inquiry;
	BcResult	result;
	char	   *methods;		/* our copy of the store's list */
};

static dlist_head talking = DLIST_STATIC_INIT(talking);
static dlist_head finished = DLIST_STATIC_INIT(finished);

/* prototypes of private functions */
static BcConversation *conversation_new(BcPurpose purpose, const BcStore *store,
										const BcOrder *order, const BcResult *look);
static void conversation_free(BcConversation *c);
static void begin(BcConversation *c);
static void get(BcConversation *c, const char *path, HttpDone done);
static void get_transactions(BcConversation *c);
static void send_capture(BcConversation *c);
static void ask(BcConversation *c, const HttpRequest *request, HttpDone done);
static void on_order(void *arg, const HttpAnswer *answer);
static void on_transactions(void *arg, const HttpAnswer *answer);
static void on_write(void *arg, const HttpAnswer *answer);
static void on_store(void *arg, const HttpAnswer *answer);
static void account(BcConversation *c, const HttpAnswer *answer);
static void finish(BcConversation *c);
static void digest_of(const char *text, uint8 *digest);

bool
bigcommerce_hash_is_valid(const char *hash)
{
	return bc_request_hash_is_valid(hash);
}

bool
bigcommerce_token_is_valid(const char *token)
{
	return bc_request_token_is_valid(token);
}

BcConversation *
bigcommerce_start(BcPurpose purpose, const BcStore *store, const BcOrder *order,
				  const BcResult *look, void *tag)
{
	BcConversation *c = conversation_new(purpose, store, order, look);

	if (c == NULL)
		return NULL;
	c->tag = tag;
	dlist_push_tail(&talking, &c->node);
	begin(c);
	return c;
}

/* malloc, not palloc: it outlives rounds and transactions, and callbacks must not throw. */
static BcConversation *
conversation_new(BcPurpose purpose, const BcStore *store, const BcOrder *order,
				 const BcResult *look)
{
	BcConversation *c = calloc(1, sizeof(BcConversation));

	if (c == NULL)
		return NULL;
	c->store = *store;
	if (store->offline_methods != NULL)
	{
		c->methods = strdup(store->offline_methods);
		if (c->methods == NULL)
		{
			free(c);
			return NULL;
		}
		c->store.offline_methods = c->methods;
	}
	if (order != NULL)
		c->order = *order;
	if (look != NULL)
		c->look = *look;
	c->inquiry.purpose = purpose;
	c->inquiry.store = &c->store;
	c->inquiry.order = &c->order;
	c->inquiry.look = &c->look;
	c->result.purpose = purpose;
	return c;
}

/* The token goes with it: freed memory is found in core files. */
static void
conversation_free(BcConversation *c)
{
	free(c->methods);
	explicit_bzero(c->store.token, sizeof(c->store.token));
	free(c);
}

/* The last check before a hash gets into a path and a token into a header. */
static void
begin(BcConversation *c)
{
	char		path[BC_PATH_MAX];

	if (!bc_request_hash_is_valid(c->store.hash) || !bc_request_token_is_valid(c->store.token))
	{
		bc_verdict_set(&c->result, BC_STOP_STORE,
					   "the store's hash or token is missing or malformed");
		finish(c);
	}
	else if (c->inquiry.purpose == BC_TEST)
	{
		bc_request_store_path(path, c->store.hash);
		get(c, path, on_store);
	}
	else if (c->inquiry.purpose == BC_SEND)
		send_capture(c);
	else
	{
		bc_request_order_path(path, c->store.hash, c->order.remote_order_id);
		get(c, path, on_order);
	}
}

static void
get(BcConversation *c, const char *path, HttpDone done)
{
	HttpRequest request = {
		.method = "GET",
		.path = path,
		.token = c->store.token
	};

	ask(c, &request, done);
}

static void
get_transactions(BcConversation *c)
{
	char		path[BC_PATH_MAX];

	bc_request_transactions_path(path, c->store.hash, c->order.remote_order_id,
								 c->inquiry.seen.page + 1);
	get(c, path, on_transactions);
}

/*
 * Way A or way B, as the look allows.
 *
 * A mistake of the caller's must not turn into money taken: without a look
 * that said so, nothing is sent.
 */
static void
send_capture(BcConversation *c)
{
	bool		by_status = bc_request_is_by_status(&c->store);
	char		path[BC_PATH_MAX];
	HttpRequest request = {.path = path,.token = c->store.token,.is_write = true};
	char	   *body = NULL;

	if (by_status)
		bc_request_order_path(path, c->store.hash, c->order.remote_order_id);
	else
		bc_request_transactions_path(path, c->store.hash, c->order.remote_order_id, 0);
	if (c->look.purpose == BC_LOOK && c->look.verdict == BC_GO)
		body = by_status ? bc_request_status_body(&c->order, &c->look) :
			bc_request_capture_body(&c->order, &c->look);
	request.method = by_status ? "PUT" : "POST";
	request.body = body;
	if (body != NULL)
		ask(c, &request, on_write);
	else
	{
		bc_verdict_set(&c->result, BC_LOOK_AGAIN, "no look at the store allows to send this");
		finish(c);
	}
	free(body);
}

/* Out of memory is an answer too: nothing was sent. */
static void
ask(BcConversation *c, const HttpRequest *request, HttpDone done)
{
	c->transfer = http_start(request, done, c);
	if (c->transfer != NULL)
		return;
	bc_verdict_set(&c->result, request->is_write ? BC_NOT_SENT : BC_WAIT, "out of memory");
	finish(c);
}

static void
on_order(void *arg, const HttpAnswer *answer)
{
	BcConversation *c = arg;

	account(c, answer);
	if (bc_verdict_order(&c->inquiry, answer, &c->result))
		finish(c);
	else
		get_transactions(c);
}

static void
on_transactions(void *arg, const HttpAnswer *answer)
{
	BcConversation *c = arg;

	account(c, answer);
	if (bc_verdict_transactions(&c->inquiry, answer, &c->result))
		finish(c);
	else
		get_transactions(c);
}

static void
on_write(void *arg, const HttpAnswer *answer)
{
	BcConversation *c = arg;

	account(c, answer);
	bc_verdict_write(&c->inquiry, answer, &c->result);
	finish(c);
}

static void
on_store(void *arg, const HttpAnswer *answer)
{
	BcConversation *c = arg;

	account(c, answer);
	bc_verdict_test(&c->inquiry, answer, &c->result);
	finish(c);
}

static void
account(BcConversation *c, const HttpAnswer *answer)
{
	c->transfer = NULL;			/* http.c frees it after the callback */
	bc_verdict_account(answer, &c->result);
}

/* The latch: a conversation that ends before its first request must not sleep. */
static void
finish(BcConversation *c)
{
	dlist_delete(&c->node);
	dlist_push_tail(&finished, &c->node);
	SetLatch(MyLatch);
}

int
bigcommerce_capacity(void)
{
	return http_capacity();
}

void
bigcommerce_push(void)
{
	http_push();
}

bool
bigcommerce_next(void **tag, BcResult *result)
{
	BcConversation *c;

	if (dlist_is_empty(&finished))
		return false;
	c = dlist_container(BcConversation, node, dlist_pop_head_node(&finished));
	*tag = c->tag;
	*result = c->result;
	conversation_free(c);
	return true;
}

/*
 * "bcpaid-" and the first half of SHA-256 of "hash/id": it depends on nothing
 * that a restore, a copy or another server could change.
 */
void
bigcommerce_marker(const char *hash, int64 remote_order_id, char *marker)
{
	char		text[BC_HASH_MAX + 32];
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	int			used;

	snprintf(text, sizeof(text), "%s/" INT64_FORMAT, hash, remote_order_id);
	digest_of(text, digest);
	used = snprintf(marker, BC_MARKER_LEN, "bcpaid-");
	for (int i = 0; i < 16; i++)
		used += snprintf(marker + used, BC_MARKER_LEN - used, "%02x", digest[i]);
}

/* With OpenSSL, PostgreSQL remembers the digest in a resource owner; outside of a transaction there is none. */
static void
digest_of(const char *text, uint8 *digest)
{
	ResourceOwner caller = CurrentResourceOwner;
	pg_cryptohash_ctx *context;
	bool		ok;

	if (caller == NULL)
		CurrentResourceOwner = ResourceOwnerCreate(NULL, "bcpaid marker");
	context = pg_cryptohash_create(PG_SHA256);
	ok = context != NULL && pg_cryptohash_init(context) >= 0 &&
		pg_cryptohash_update(context, (const uint8 *) text, strlen(text)) >= 0 &&
		pg_cryptohash_final(context, digest, PG_SHA256_DIGEST_LENGTH) >= 0;
	pg_cryptohash_free(context);
	if (caller == NULL)
	{
		ResourceOwnerDelete(CurrentResourceOwner);
		CurrentResourceOwner = NULL;
	}
	if (!ok)
		elog(ERROR, "could not compute SHA-256");
}
