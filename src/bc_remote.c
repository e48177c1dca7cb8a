/*-------------------------------------------------------------------------
 *
 * bc_remote.c
 *	  What a store says of an order and its transactions, as plain facts.
 *
 * A member may be null, {} or missing, amounts are text in v2 and numbers in
 * v3, order_id is text in v3: each is taken only in the type that the API
 * documents, and what is needed but unusable is named, not guessed.
 *
 *-------------------------------------------------------------------------
 */
#include "bc_remote.h"

#include "bc_json.h"
#include "bc_text.h"

/* The methods that merchants accept payments by that no gateway knows of. */
#define DEFAULT_METHODS \
	"Manual\nBank Deposit\nCash on Delivery\nCheck\nMoney Order\nPay in Store\nCash"

/* prototypes of private functions */
static void read_order(const json_t *body, const BcStore *store, const char *marker,
					   BcRemoteOrder *order);
static void read_payment_status(const json_t *body, const BcStore *store,
								BcRemoteOrder *order);
static void read_total(const json_t *body, BcRemoteOrder *order);
static void read_method(const json_t *body, const BcStore *store, BcRemoteOrder *order);
static bool is_part_paid(const json_t *body, const char *key);

/* The id is compared, because an answer to another question must not be judged. */
bool
bc_remote_order(const char *body, size_t length, int64 id, const BcStore *store,
				const char *marker, BcRemoteOrder *order)
{
	json_t	   *document = bc_json_load(body, length);
	int64		found;
	bool		ok;

	memset(order, 0, sizeof(*order));
	ok = bc_json_integer(document, "id", &found) == BC_PRESENT && found == id;
	if (ok)
		read_order(document, store, marker, order);
	json_decref(document);
	return ok;
}

/* Each reader names the member that it needs and cannot use; the last one named is told. */
static void
read_order(const json_t *body, const BcStore *store, const char *marker,
		   BcRemoteOrder *order)
{
	const char *provider_id;
	int64		status_id = -1;

	read_total(body, order);
	read_payment_status(body, store, order);
	read_method(body, store, order);
	if (bc_json_integer(body, "status_id", &status_id) != BC_PRESENT ||
		status_id < 0 || status_id > 10000)
		order->unreadable = "status_id";
	order->status_id = (int) status_id;
	if (bc_json_flag(body, "is_deleted", &order->deleted) == BC_WRONG_TYPE)
		order->unreadable = "is_deleted";
	bc_json_flag(body, "order_is_digital", &order->digital);
	order->part_paid = is_part_paid(body, "store_credit_amount") ||
		is_part_paid(body, "gift_certificate_amount");
	order->marked = bc_json_text(body, "payment_provider_id", &provider_id) == BC_PRESENT &&
		strcmp(provider_id, marker) == 0;
}

/* Also in default_currency_code: currency_code is what the shopper was shown. */
static void
read_total(const json_t *body, BcRemoteOrder *order)
{
	const char *total;
	const char *currency;

	if (bc_json_text(body, "total_inc_tax", &total) != BC_PRESENT ||
		!bc_amount_parse(total, &order->total))
		order->unreadable = "total_inc_tax";
	if (bc_json_text(body, "default_currency_code", &currency) != BC_PRESENT ||
		strlen(currency) != 3 ||
		strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		order->unreadable = "default_currency_code";
	else
		strcpy(order->currency, currency);
}

/* Absent and null are '': what a fresh offline order carries is undocumented. */
static void
read_payment_status(const json_t *body, const BcStore *store, BcRemoteOrder *order)
{
	const char *status = "";
	char		words[BC_PAYMENT_STATUS_MAX];
	char	   *c;

	if (bc_json_text(body, "payment_status", &status) == BC_WRONG_TYPE)
		order->unreadable = "payment_status";
	bc_text_clean(words, sizeof(words), status, strlen(status), store->token);
	for (c = words; *c != '\0'; c++)
	{
		if (*c == '_')
			*c = ' ';
		else if (*c >= 'A' && *c <= 'Z')
			*c = (char) (*c - 'A' + 'a');
	}
	/* Once more: now there may be two blanks, or the token in small letters. */
	bc_text_clean(order->payment_status, sizeof(order->payment_status),
				  words, strlen(words), store->token);
}

/* Compared as the store wrote it; the cleaned text is what we keep and send. */
static void
read_method(const json_t *body, const BcStore *store, BcRemoteOrder *order)
{
	const char *method = "";
	const char *listed = store->offline_methods;

	(void) bc_json_text(body, "payment_method", &method);
	bc_text_clean(order->method, sizeof(order->method), method, strlen(method),
				  store->token);
	order->method_listed = bc_text_listed(method, listed ? listed : DEFAULT_METHODS);
}

/* What cannot be read may be something: a person looks. */
static bool
is_part_paid(const json_t *body, const char *key)
{
	const char *text;
	int64		number;
	BcAmount	amount;

	if (bc_json_integer(body, key, &number) == BC_PRESENT)
		return number != 0;
	switch (bc_json_text(body, key, &text))
	{
		case BC_ABSENT:
			return false;
		case BC_PRESENT:
			return !bc_amount_parse(text, &amount) || bc_amount_sign(&amount) != 0;
		default:
			return true;
	}
}
