/*-------------------------------------------------------------------------
 *
 * http_options.c
 *	  What libcurl is told about a request.
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
#include "http_options.h"

#define READ_BUFFER_SIZE	(8L * 1024) /* bodies are small, handles are many */
#define WRITE_BUFFER_SIZE	(16L * 1024)	/* libcurl's least */
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
static bool is_safe(const char *path, const char *token);
static bool set_security(HttpTransfer *transfer, const HttpTarget *target);
static bool set_limits(HttpTransfer *transfer);
static bool set_request(HttpTransfer *transfer, const HttpRequest *request,
						const HttpTarget *target);
static bool set_headers(HttpTransfer *transfer, const HttpRequest *request);
static bool add_header(HttpTransfer *transfer, const char *name, const char *value);

/* A setting that is wrong is not the store's fault: it is waited for, until somebody mends it. */
bool
options_set(HttpTransfer *transfer, const HttpRequest *request, const HttpTarget *target)
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
 * them for each connection (26 ms instead of 0.8 ms).  No proxy or netrc from
 * an environment that is not ours; and a proxy that is ours gets none of our
 * headers, the token is for the store alone.
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
	SETOPT(transfer, CURLOPT_NOPROXY, "");
	SETOPT(transfer, CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	SETOPT(transfer, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SETOPT(transfer, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SETOPT(transfer, CURLOPT_UNRESTRICTED_AUTH, 0L);
	return true;
}

/* Each request is bounded in time and size, whatever the store does. */
static bool
set_limits(HttpTransfer *transfer)
{
	SETOPT(transfer, CURLOPT_NOSIGNAL, 1L);
	SETOPT(transfer, CURLOPT_ERRORBUFFER, transfer->errors);
	SETOPT(transfer, CURLOPT_PRIVATE, transfer);
	SETOPT(transfer, CURLOPT_CONNECTTIMEOUT_MS, (long) bcpaid_connect_timeout);
	SETOPT(transfer, CURLOPT_BUFFERSIZE, READ_BUFFER_SIZE);
	SETOPT(transfer, CURLOPT_UPLOAD_BUFFERSIZE, WRITE_BUFFER_SIZE);
	SETOPT(transfer, CURLOPT_WRITEFUNCTION, transfer_take_body);
	SETOPT(transfer, CURLOPT_WRITEDATA, transfer);
	SETOPT(transfer, CURLOPT_HEADERFUNCTION, transfer_take_header);
	SETOPT(transfer, CURLOPT_HEADERDATA, transfer);
	return true;
}

/* HTTP/1.1: with HTTP/2, requests would share a connection, and its death. */
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

/* A line "Name:" without a value takes the header out. */
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

/* libcurl is given the addresses, so that its own resolver has nothing left to do. */
bool
options_set_last(HttpTransfer *transfer, const HttpTarget *target,
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
