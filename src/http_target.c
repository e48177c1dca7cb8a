/*-------------------------------------------------------------------------
 *
 * http_target.c
 *	  Where requests go and whom we trust there, taken from the settings.
 *
 * There is one host, the first of bcpaid.allowed_hosts: no row of a table and
 * no answer of a store can name another one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "guc.h"
#include "http_target.h"

#define HTTPS_PORT	443
#define PROXY_PORT	1080		/* libcurl's default */

/* prototypes of private functions */
static bool set_host(HttpTarget *target);
static bool set_proxy(HttpTarget *target);
static bool split(const char *text, size_t length, int default_port, char *name, int *port);
static bool is_address(const char *name);
static void set_ca_file(HttpTarget *target);

/* A mistake here fails each request with these words, until a reload mends it. */
void
http_target_set(HttpTarget *target)
{
	memset(target, 0, sizeof(*target));
	set_ca_file(target);
	if (!set_host(target))
		target->error = "bcpaid.allowed_hosts does not begin with a host name";
	else if (!set_proxy(target))
		target->error = "bcpaid.proxy is not a URL of a proxy";
	else if (target->ca_file[0] == '\0')
		target->error = "no file with certificates of authorities was found, set bcpaid.ca_file";
	else if (is_address(target->name))
		target->name[0] = '\0';
}

/* The first entry, and nothing in it that could end a URL's host early. */
static bool
set_host(HttpTarget *target)
{
	const char *hosts = bcpaid_allowed_hosts ? bcpaid_allowed_hosts : "";
	size_t		length;

	hosts += strspn(hosts, " \t");
	length = strcspn(hosts, ", \t");
	snprintf(target->base, sizeof(target->base), "https://%.*s", (int) length, hosts);
	return length <= HTTP_HOST_MAX &&
		split(hosts, length, HTTPS_PORT, target->name, &target->port);
}

/* [scheme://][user:password@]host[:port]; libcurl takes the whole, we need its name. */
static bool
set_proxy(HttpTarget *target)
{
	const char *proxy = bcpaid_proxy ? bcpaid_proxy : "";
	const char *host = strstr(proxy, "://");
	const char *at;

	if (*proxy == '\0')
		return true;
	if (strlcpy(target->proxy, proxy, sizeof(target->proxy)) >= sizeof(target->proxy))
		return false;
	host = host ? host + 3 : proxy;
	at = strrchr(host, '@');
	host = at ? at + 1 : host;
	return split(host, strcspn(host, "/"),
				 strncmp(proxy, "https://", 8) == 0 ? HTTPS_PORT : PROXY_PORT,
				 target->name, &target->port);
}

/* host, host:port, [::1]:port; the brackets stay, no other byte gets into a URL. */
static bool
split(const char *text, size_t length, int default_port, char *name, int *port)
{
	const char *end = text + length;
	const char *bracket = (length > 0 && *text == '[') ? memchr(text, ']', length) : NULL;
	const char *colon = bracket ? bracket + 1 : memchr(text, ':', length);
	size_t		name_length = colon ? (size_t) (colon - text) : length;

	if (name_length == 0 || name_length > HTTP_HOST_MAX)
		return false;
	memcpy(name, text, name_length);
	name[name_length] = '\0';
	if (strspn(name, bracket ? "0123456789abcdefABCDEF:.[]" :
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != name_length)
		return false;

	*port = default_port;
	if (colon == NULL || colon == end)
		return true;
	length = strspn(colon + 1, "0123456789");
	*port = atoi(colon + 1);
	return *colon == ':' && length > 0 && length <= 5 && colon + 1 + length == end &&
		*port > 0 && *port <= 65535;
}

static bool
is_address(const char *name)
{
	struct in_addr v4;

	return name[0] == '[' || inet_pton(AF_INET, name, &v4) == 1;
}

/* Where Debian, Fedora, Alpine and SUSE keep them; what libcurl was built with may not exist here. */
static void
set_ca_file(HttpTarget *target)
{
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
		"/etc/ssl/ca-bundle.pem"
	};

	if (bcpaid_ca_file != NULL && *bcpaid_ca_file != '\0')
	{
		strlcpy(target->ca_file, bcpaid_ca_file, sizeof(target->ca_file));
		return;
	}
	for (size_t i = 0; i < lengthof(usual); i++)
	{
		if (access(usual[i], R_OK) != 0)
			continue;
		strlcpy(target->ca_file, usual[i], sizeof(target->ca_file));
		return;
	}
}
