/*-------------------------------------------------------------------------
 *
 * http_target.h
 *	  Where requests go and whom we trust there, taken from the settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_HTTP_TARGET_H
#define BCPAID_HTTP_TARGET_H

#define HTTP_HOST_MAX	255

typedef struct HttpTarget
{
	const char *error;			/* why no request can be made, or NULL */
	char		base[HTTP_HOST_MAX + 16];	/* https://host[:port] */
	char		proxy[512];		/* or empty */
	char		ca_file[1024];
	/* what has to be resolved: the host, or the proxy that resolves it itself */
	char		name[HTTP_HOST_MAX + 1];	/* empty: an address already */
	int			port;
} HttpTarget;

/* Read the settings anew; what is wrong with them is left in `error`. */
extern void http_target_set(HttpTarget *target);

#endif							/* BCPAID_HTTP_TARGET_H */
