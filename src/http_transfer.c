/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *	  One request and what came back.
 *
 * What comes back is collected by callbacks under limits, and turned into an
 * HttpAnswer that says as much as is certain: most of all, whether the
 * request can have reached the store.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "http_header.h"
#include "http_options.h"
#include "http_transfer.h"
#include "http_util.h"

#define HEADERS_MAX		(64 * 1024) /* all lines of one answer together */
#define HANDLES_MAX		1024	/* kept for the next requests */
#define HANDLES_MS		3600000 /* a certificate is checked anew within the
								 * hour */

/* Not in use now: the last one given back goes first. */
static CURL *handles[HANDLES_MAX];
static int	nhandles;
static int64 handles_since;
static int	handles_generation; /* raised when they are forgotten, those in
								 * use too */

/* prototypes of private functions */
static CURL *take_handle(void);
static void give_back(HttpTransfer *transfer);
static bool is_not_sent(CURL *easy, CURLcode code);
static bool is_certificate(CURLcode code);

/* A transfer that cannot run is one all the same: its callback tells why. */
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
	transfer->easy = take_handle();
	transfer->generation = handles_generation;
	built = transfer->easy != NULL && options_set(transfer, request, target);
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
		give_back(transfer);
	http_unblock_signals(&before);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->addresses);
	free(transfer->body);
	free(transfer->received);
	free(transfer);
}

/*
 * A handle remembers the TLS session of the last connection that it made, so a
 * write, whose connection is always new, resumes one: that costs half of what
 * a whole handshake does.  One shared by all handles would not: OpenSSL lets
 * each session be resumed once.
 */
static CURL *
take_handle(void)
{
	if (http_now_ms() - handles_since > HANDLES_MS)
	{
		transfer_forget_handles();
		handles_since = http_now_ms();
	}
	return nhandles > 0 ? handles[--nhandles] : curl_easy_init();
}

/* Without anything of the request: the token, above all. */
static void
give_back(HttpTransfer *transfer)
{
	CURL	   *easy = transfer->easy;

	/* Those that libcurl has not taken over would survive the reset. */
	(void) curl_easy_setopt(easy, CURLOPT_RESOLVE, NULL);
	curl_easy_reset(easy);
	if (nhandles < HANDLES_MAX && transfer->generation == handles_generation)
		handles[nhandles++] = easy;
	else
		curl_easy_cleanup(easy);
}

void
transfer_forget_handles(void)
{
	handles_generation++;
	while (nhandles > 0)
		curl_easy_cleanup(handles[--nhandles]);
}

/* libcurl's callback: no ereport here or below, a jump out of libcurl corrupts it. */
size_t
transfer_take_body(char *data, size_t size, size_t n, void *arg)
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
size_t
transfer_take_header(char *data, size_t size, size_t n, void *arg)
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

/* Nothing was handed to libcurl, so nothing was sent: the one case that is certain. */
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
