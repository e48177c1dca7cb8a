/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *	  One request and what came back: a libcurl easy handle with its limits.
 *
 * In shell, a request would be
 *
 *	  curl --proto =https --tlsv1.2 --http1.1 --cacert $ca --proxy "" -H @headers $url
 *
 * with one notable difference.  libcurl repeats a request by itself when a
 * connection that it re-used dies before the first byte of the answer; a
 * capture repeated is a customer charged twice.  So a write gets a connection
 * of its own, which is closed after it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "http_header.h"
#include "http_transfer.h"
#include "http_util.h"

#define HEADERS_MAX		(64 * 1024) /* all lines of one answer together */
#define BUFFER_SIZE		(16L * 1024)	/* bodies are small, handles are many */
#define CA_CACHE_S		3600L	/* a renewed file is read within the hour */

/* Names the option, and stops at the first failure: no request runs half configured. */
#define SETOPT(transfer, option, value) \
	do { \
		CURLcode	code_ = curl_easy_setopt((transfer)->easy, option, value); \
		if (code_ != CURLE_OK) \
		{ \
			snprintf((transfer)->errors, sizeof((transfer)->errors), \
					 "could not set %s: %s", #option, curl_easy_strerror(code_)); \
			return false; \
		} \
	} while (0)

/* prototypes of private functions */
static bool build(HttpTransfer *transfer, const HttpRequest *request, const HttpTarget *target);
static bool is_safe(const char *path, const char *token);
static bool set_security(HttpTransfer *transfer, const HttpTarget *target);
static bool set_limits(HttpTransfer *transfer);
static bool set_request(HttpTransfer *transfer, const HttpRequest *request,
						const HttpTarget *target);
static bool set_headers(HttpTransfer *transfer, const HttpRequest *request);
static bool add_header(HttpTransfer *transfer, const char *name, const char *value);
static size_t take_body(char *data, size_t size, size_t n, void *arg);
static size_t take_header(char *data, size_t size, size_t n, void *arg);
static bool is_not_sent(CURL *easy, CURLcode code);
static bool is_certificate(CURLcode code);

HttpTransfer *
transfer_new(const HttpRequest *request, const HttpTarget *target,
			 HttpDone done, void *arg)
{
	HttpTransfer *transfer = calloc(1, sizeof(HttpTransfer));
	sigset_t	before;
	bool		built;

	if (transfer == NULL)
		return NULL;
	transfer->done = done;
	transfer->arg = arg;
	http_header_reset(&transfer->answer);
	http_block_signals(&before);
	transfer->easy = curl_easy_init();
	built = transfer->easy != NULL && build(transfer, request, target);
	http_unblock_signals(&before);
	if (transfer->easy == NULL)
	{
		transfer_free(transfer);
		return NULL;
	}
	if (!built)
		transfer_fail(transfer, transfer->errors);
	return transfer;
}

void
transfer_free(HttpTransfer *transfer)
{
	sigset_t	before;

	http_block_signals(&before);
	if (transfer->easy != NULL)
		curl_easy_cleanup(transfer->easy);
	http_unblock_signals(&before);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->addresses);
	free(transfer->body);
	free(transfer->received);
	free(transfer);
}

/* A setting that is wrong is not the store's fault: it is waited for, until somebody mends it. */
static bool
build(HttpTransfer *transfer, const HttpRequest *request, const HttpTarget *target)
{
	if (target->error != NULL)
		strlcpy(transfer->errors, target->error, sizeof(transfer->errors));
	else if (!is_safe(request->path, request->token))
	{
		strlcpy(transfer->errors, "path or token is malformed", sizeof(transfer->errors));
		transfer->answer.refused = true;
	}
	else
		return set_security(transfer, target) && set_limits(transfer) &&
			set_request(transfer, request, target) && set_headers(transfer, request);
	return false;
}

/* The caller checked both; this is where a mistake of his would leave the machine. */
static bool
is_safe(const char *path, const char *token)
{
	const char *c;

	if (path[0] != '/' || strstr(path, "..") != NULL || strstr(path, "//") != NULL ||
		strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789/_?=&") != strlen(path))
		return false;
	for (c = token; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~')
			return false;
	}
	return true;
}

/*
 * Whom we talk to, and nobody else.
 *
 * No redirects: libcurl would take X-Auth-Token along to another host.  CAPATH
 * off: with it, libcurl cannot cache the parsed certificates and reads all of
 * them for each connection (26 ms instead of 0.8 ms).  No proxy, netrc or
 * cookies from an environment that is not ours.
 */
static bool
set_security(HttpTransfer *transfer, const HttpTarget *target)
{
	SETOPT(transfer, CURLOPT_PROTOCOLS_STR, "https");
	SETOPT(transfer, CURLOPT_FOLLOWLOCATION, 0L);
	SETOPT(transfer, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
	SETOPT(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
	SETOPT(transfer, CURLOPT_CAPATH, NULL);
	SETOPT(transfer, CURLOPT_CAINFO, target->ca_file);
	SETOPT(transfer, CURLOPT_PROXY_CAPATH, NULL);
	SETOPT(transfer, CURLOPT_PROXY_CAINFO, target->ca_file);
	SETOPT(transfer, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	SETOPT(transfer, CURLOPT_PROXY, target->proxy);
	SETOPT(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SETOPT(transfer, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SETOPT(transfer, CURLOPT_UNRESTRICTED_AUTH, 0L);
	return true;
}

static bool
set_limits(HttpTransfer *transfer)
{
	SETOPT(transfer, CURLOPT_NOSIGNAL, 1L);
	SETOPT(transfer, CURLOPT_ERRORBUFFER, transfer->errors);
	SETOPT(transfer, CURLOPT_PRIVATE, transfer);
	SETOPT(transfer, CURLOPT_CONNECTTIMEOUT_MS, (long) bcpaid_connect_timeout);
	SETOPT(transfer, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	SETOPT(transfer, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
	SETOPT(transfer, CURLOPT_WRITEFUNCTION, take_body);
	SETOPT(transfer, CURLOPT_WRITEDATA, transfer);
	SETOPT(transfer, CURLOPT_HEADERFUNCTION, take_header);
	SETOPT(transfer, CURLOPT_HEADERDATA, transfer);
	return true;
}

static bool
set_request(HttpTransfer *transfer, const HttpRequest *request, const HttpTarget *target)
{
	char		url[2048];

	if (snprintf(url, sizeof(url), "%s%s", target->base, request->path) >= sizeof(url))
	{
		strlcpy(transfer->errors, "path is too long", sizeof(transfer->errors));
		return false;
	}
	SETOPT(transfer, CURLOPT_URL, url);
	SETOPT(transfer, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SETOPT(transfer, CURLOPT_TCP_NODELAY, 1L);
	if (request->body != NULL)
	{
		transfer->body = strdup(request->body);
		SETOPT(transfer, CURLOPT_POSTFIELDSIZE, (long) strlen(request->body));
		SETOPT(transfer, CURLOPT_POSTFIELDS, transfer->body);
	}
	if (request->body != NULL || strcmp(request->method, "GET") != 0)
		SETOPT(transfer, CURLOPT_CUSTOMREQUEST, request->method);
	SETOPT(transfer, CURLOPT_FRESH_CONNECT, request->is_write ? 1L : 0L);
	SETOPT(transfer, CURLOPT_FORBID_REUSE, request->is_write ? 1L : 0L);
	return transfer->body != NULL || request->body == NULL;
}

/* "Expect:" keeps libcurl from asking first whether it may send the body. */
static bool
set_headers(HttpTransfer *transfer, const HttpRequest *request)
{
	if (!add_header(transfer, "X-Auth-Token", request->token) ||
		!add_header(transfer, "Accept", "application/json") ||
		!add_header(transfer, "User-Agent", "bcpaid/" BCPAID_VERSION " (PostgreSQL)") ||
		!add_header(transfer, "Expect", ""))
		return false;
	if (request->body != NULL && !add_header(transfer, "Content-Type", "application/json"))
		return false;
	SETOPT(transfer, CURLOPT_HTTPHEADER, transfer->headers);
	return true;
}

static bool
add_header(HttpTransfer *transfer, const char *name, const char *value)
{
	char		line[512];
	struct curl_slist *longer;

	snprintf(line, sizeof(line), "%s:%s%s", name, *value ? " " : "", value);
	longer = curl_slist_append(transfer->headers, line);
	if (longer == NULL)
	{
		strlcpy(transfer->errors, "out of memory", sizeof(transfer->errors));
		return false;
	}
	transfer->headers = longer;
	return true;
}

bool
transfer_prepare(HttpTransfer *transfer, const HttpTarget *target,
				 const char *addresses, long time_left_ms)
{
	SETOPT(transfer, CURLOPT_TIMEOUT_MS, time_left_ms);
	if (addresses != NULL)
	{
		char		entry[1024];

		snprintf(entry, sizeof(entry), "%s:%d:%s", target->name, target->port, addresses);
		transfer->addresses = curl_slist_append(NULL, entry);
		SETOPT(transfer, CURLOPT_RESOLVE, transfer->addresses);
	}
	return true;
}

/* libcurl's callback: no ereport here or below, a jump out of libcurl corrupts it. */
static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	HttpTransfer *transfer = arg;
	size_t		length = size * n;
	char	   *longer;

	if (transfer->received_length + length > HTTP_BODY_MAX)
	{
		transfer->too_long = "the answer is too long";
		return 0;
	}
	longer = realloc(transfer->received, transfer->received_length + length + 1);
	if (longer == NULL)
		return 0;
	memcpy(longer + transfer->received_length, data, length);
	transfer->received = longer;
	transfer->received_length += length;
	transfer->received[transfer->received_length] = '\0';
	return length;
}

/* libcurl's callback, see above. */
static size_t
take_header(char *data, size_t size, size_t n, void *arg)
{
	HttpTransfer *transfer = arg;
	size_t		length = size * n;

	transfer->header_length += length;
	if (transfer->header_length > HEADERS_MAX)
	{
		transfer->too_long = "the answer's header is too long";
		return 0;
	}
	http_header_take(&transfer->answer, data, length);
	return length;
}

void
transfer_fail(HttpTransfer *transfer, const char *error)
{
	transfer->answer.status = 0;
	transfer->answer.not_sent = true;
	if (error != transfer->errors)
		strlcpy(transfer->errors, error, sizeof(transfer->errors));
	transfer->answer.error = transfer->errors;
}

/*
 * A status is kept even if the rest did not come: 400 means refused, however
 * the text after it ended.  A body is kept only if it is whole.
 */
void
transfer_finish(HttpTransfer *transfer, CURLcode code)
{
	HttpAnswer *answer = &transfer->answer;
	long		status = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	answer->status = status >= 200 ? (int) status : 0;	/* 1xx is no answer */

	if (code != CURLE_OK)
	{
		if (transfer->too_long != NULL)
			strlcpy(transfer->errors, transfer->too_long, sizeof(transfer->errors));
		else if (transfer->errors[0] == '\0')
			strlcpy(transfer->errors, curl_easy_strerror(code), sizeof(transfer->errors));
		answer->error = transfer->errors;
		answer->not_sent = answer->status == 0 && is_not_sent(transfer->easy, code);
		answer->refused = is_certificate(code);
	}
	else if (answer->status >= 300 && answer->status < 400)
	{
		answer->error = "the answer is a redirect, which is not followed";
		answer->refused = true;
	}
	else
	{
		answer->body = transfer->received;
		answer->body_length = transfer->received_length;
	}
}

/*
 * Only what fails before the first byte of the request is not sent.
 *
 * The size of the request counts what was handed to the connection, so zero
 * also covers a time-out while connecting.
 */
static bool
is_not_sent(CURL *easy, CURLcode code)
{
	long		request_size = -1;

	if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
		code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
		code == CURLE_SSL_CACERT_BADFILE || is_certificate(code))
		return true;
	return curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_size) == CURLE_OK &&
		request_size == 0;
}

/* The other side is not who it should be: that does not pass by itself. */
static bool
is_certificate(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR ||
		code == CURLE_SSL_INVALIDCERTSTATUS;
}
