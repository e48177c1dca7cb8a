/*-------------------------------------------------------------------------
 *
 * store_state.c
 *	  What the fast sandbox store knows: orders, quotas, and what it counted.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "store_state.h"

#define MARKER_MAX		64
#define STORES_MAX		2048
#define UNLIMITED		100000000L	/* a client need not believe in more digits */
#define WINDOW_MS		30000

typedef struct Order
{
	uint64_t	key;			/* 0: free */
	int64_t		arrived_us;
	int			posts;
	char		marker[MARKER_MAX];
} Order;

typedef struct Quota
{
	uint64_t	key;
	int64_t		started_us;		/* 0: no window has begun */
	long		used;
} Quota;

State		state;

static Order *orders;
static size_t size_of_orders,
			known_orders;
static Quota quotas[STORES_MAX];
static int	known_stores;
static long quota_requests = UNLIMITED;
static long told_left;			/* whatever is left, this is told: a client goes
								 * by it, and has so many requests in flight; 0:
								 * the truth */
static int64_t window_us = WINDOW_MS * 1000L;

static void reset(void);
static void report(void);
static int64_t arrived_us(const char *store, long id);
static uint64_t key_of(const char *store, long id);
static Order *find(const char *store, long id);
static Order *slot(Order *among, size_t size, uint64_t key);
static void grow(void);
static void transaction_of(const Order *order, long id, char *text, size_t size);

int64_t
state_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * (int64_t) 1000000 + now.tv_nsec / 1000;
}

void
state_command(const char *line)
{
	char		store[65];
	long		a,
				b;

	if (strcmp(line, "report") == 0)
		report();
	else if (sscanf(line, "arrived %64s %ld", store, &a) == 2)
		printf("%lld\n", (long long) arrived_us(store, a));
	else
	{
		if (strcmp(line, "reset") == 0)
			reset();
		else if (sscanf(line, "quota %ld %ld", &a, &b) == 2)
		{
			quota_requests = a > 0 ? a : UNLIMITED;
			window_us = b * 1000;
			known_stores = 0;
		}
		else if (sscanf(line, "tell %ld", &a) == 1)
			told_left = a;
		printf("ok\n");
	}
}

static void
reset(void)
{
	long		open = state.open,
				pending = state.pending;

	memset(&state, 0, sizeof(state));
	state.open = open;
	state.pending = pending;
	free(orders);
	orders = NULL;
	size_of_orders = known_orders = 0;
	known_stores = 0;
}

static void
report(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	printf("{\"reads\": %ld, \"writes\": %ld, \"captured\": %ld, \"doubles\": %ld, \"throttled\": %ld,"
		   " \"unknown\": %ld, \"connections\": %ld, \"resumed\": %ld, \"open\": %ld, \"pending\": %ld, \"most_pending\": %ld,"
		   " \"first_us\": %lld, \"last_us\": %lld, \"cpu_s\": %.6f}\n",
		   state.reads, state.writes, state.captured, state.doubles, state.throttled, state.unknown,
		   state.connections, state.resumed, state.open, state.pending, state.most_pending,
		   (long long) state.first_us, (long long) state.last_us,
		   used.ru_utime.tv_sec + used.ru_stime.tv_sec +
		   (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

/* ---- quota: a window begins with its first request ---- */

bool
state_take(const char *store, char *headers, size_t size)
{
	uint64_t	key = key_of(store, 0);
	int64_t		now = state_now_us();
	Quota	   *quota = quotas;
	bool		allowed;

	while (quota < quotas + known_stores && quota->key != key)
		quota++;
	if (quota == quotas + known_stores && known_stores < STORES_MAX)
	{
		*quota = (Quota) {.key = key};
		known_stores++;
	}
	if (quota->started_us == 0 || now >= quota->started_us + window_us)
	{
		quota->started_us = now;
		quota->used = 0;
	}
	allowed = quota->used < quota_requests;
	if (allowed)
		quota->used++;
	else
		state.throttled++;
	if (state.first_us == 0)
		state.first_us = now;
	state.last_us = now;
	snprintf(headers, size, "X-Rate-Limit-Requests-Left: %ld\r\nX-Rate-Limit-Requests-Quota: %ld\r\n"
			 "X-Rate-Limit-Time-Window-Ms: %ld\r\nX-Rate-Limit-Time-Reset-Ms: %ld\r\n",
			 told_left > 0 ? told_left : quota_requests - quota->used, told_left > 0 ? told_left : quota_requests, (long) window_us / 1000,
			 (long) ((quota->started_us + window_us - now) / 1000) + 1);
	return allowed;
}

/* ---- orders: a table with open addressing, at most half full ---- */

/* FNV-1a; two orders of one key are not to be feared in a benchmark. */
static uint64_t
key_of(const char *store, long id)
{
	uint64_t	key = 14695981039346656037u;

	for (; *store != '\0'; store++)
		key = (key ^ (unsigned char) *store) * 1099511628211u;
	for (int i = 0; i < 8; i++)
		key = (key ^ ((id >> (8 * i)) & 255)) * 1099511628211u;
	return key == 0 ? 1 : key;
}

static Order *
find(const char *store, long id)
{
	uint64_t	key = key_of(store, id);
	Order	   *order;

	if (known_orders * 2 >= size_of_orders)
		grow();
	order = slot(orders, size_of_orders, key);
	if (order->key == 0)
	{
		order->key = key;
		order->arrived_us = state_now_us();
		known_orders++;
	}
	return order;
}

static Order *
slot(Order *among, size_t size, uint64_t key)
{
	size_t		i = key % size;

	while (among[i].key != 0 && among[i].key != key)
		i = (i + 1) % size;
	return &among[i];
}

static void
grow(void)
{
	size_t		size = size_of_orders == 0 ? 16384 : size_of_orders * 4;
	Order	   *larger = calloc(size, sizeof(Order));

	for (size_t i = 0; i < size_of_orders; i++)
	{
		if (orders[i].key != 0)
			*slot(larger, size, orders[i].key) = orders[i];
	}
	free(orders);
	orders = larger;
	size_of_orders = size;
}

/* When an order was first asked for, by the system's clock; 0: never. */
static int64_t
arrived_us(const char *store, long id)
{
	uint64_t	key = key_of(store, id);
	Order	   *order = size_of_orders == 0 ? NULL : slot(orders, size_of_orders, key);

	return order == NULL || order->key == 0 ? 0 : order->arrived_us;
}

/* ---- answers, with the members and the size of the documented ones ---- */

void
state_order(const char *store, long id, char *body, size_t size)
{
	Order	   *order = find(store, id);

	state.reads++;
	snprintf(body, size, "{\"id\": %ld, \"customer_id\": 1, \"date_created\": \"Tue, 07 Apr 2026 09:00:00 +0000\","
			 " \"date_modified\": \"Tue, 07 Apr 2026 09:00:00 +0000\", \"date_shipped\": \"\", \"status_id\": 7,"
			 " \"status\": \"Awaiting Payment\", \"subtotal_ex_tax\": \"8.4000\", \"subtotal_inc_tax\": \"10.0000\","
			 " \"subtotal_tax\": \"1.6000\", \"total_ex_tax\": \"8.4000\", \"total_inc_tax\": \"10.0000\","
			 " \"total_tax\": \"1.6000\", \"items_total\": 1, \"items_shipped\": 0,"
			 " \"payment_method\": \"Bank Deposit\", \"payment_provider_id\": null, \"payment_status\": \"%s\","
			 " \"refunded_amount\": \"0.0000\", \"order_is_digital\": false, \"store_credit_amount\": \"0.0000\","
			 " \"gift_certificate_amount\": \"0.0000\", \"ip_address\": \"192.0.2.1\", \"currency_id\": 1,"
			 " \"currency_code\": \"USD\", \"currency_exchange_rate\": \"1.0000000000\","
			 " \"default_currency_id\": 1, \"default_currency_code\": \"USD\", \"staff_notes\": \"\","
			 " \"customer_message\": \"\", \"discount_amount\": \"0.0000\", \"coupon_discount\": \"0.0000\","
			 " \"is_deleted\": false, \"channel_id\": 1, \"external_id\": null, \"external_source\": null,"
			 " \"order_source\": \"www\", \"billing_address\": {\"first_name\": \"Zo\\u00eb\","
			 " \"last_name\": \"Example\", \"email\": \"zoe@shop.example\", \"street_1\": \"1 Example Street\","
			 " \"city\": \"Example\", \"country_iso2\": \"US\"}}",
			 id, order->posts > 0 ? "captured" : "");
}

void
state_transactions(const char *store, long id, char *body, size_t size)
{
	Order	   *order = find(store, id);
	char		one[1024] = "";
	int			n = order->posts > 0;

	state.reads++;
	if (n > 0)
		transaction_of(order, id, one, sizeof(one));
	snprintf(body, size, "{\"data\": [%s], \"meta\": {\"pagination\": {\"total\": %d, \"count\": %d,"
			 " \"per_page\": 50, \"current_page\": 1, \"total_pages\": 1,"
			 " \"links\": {\"current\": \"?page=1&limit=50\"}}}}", one, n, n);
}

void
state_capture(const char *store, long id, const char *request, char *body, size_t size)
{
	Order	   *order = find(store, id);
	const char *marker = strstr(request, "\"gateway_transaction_id\":");
	char		one[1024];

	state.writes++;
	if (order->posts++ > 0)
		state.doubles++;
	else
		state.captured++;
	if (marker != NULL)
		sscanf(marker, "\"gateway_transaction_id\":%*[ ]\"%63[^\"]", order->marker);
	if (marker != NULL && order->marker[0] == '\0')
		sscanf(marker, "\"gateway_transaction_id\":\"%63[^\"]", order->marker);
	transaction_of(order, id, one, sizeof(one));
	snprintf(body, size, "{\"data\": %s, \"meta\": {}}", one);
}

static void
transaction_of(const Order *order, long id, char *text, size_t size)
{
	snprintf(text, size, "{\"id\": %ld, \"order_id\": \"%ld\", \"event\": \"capture\", \"method\": \"offline\","
			 " \"gateway\": \"custom\", \"gateway_transaction_id\": \"%s\", \"status\": \"ok\","
			 " \"amount\": 10, \"currency\": \"USD\", \"test\": false, \"fraud_review\": false,"
			 " \"reference_transaction_id\": null, \"offline\": {\"display_name\": \"Bank Deposit\"},"
			 " \"custom\": null, \"date_created\": \"2026-04-07T09:00:00+00:00\"}",
			 9007199254740993L + id, id, order->marker);
}
