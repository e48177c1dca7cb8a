/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings, all named bcpaid.*, all set in the server's configuration.
 *
 * None can be set by a session, a role or a database: a database's owner must
 * not be able to point the server at another host, or to switch sending on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_GUC_H
#define BCPAID_GUC_H

#ifndef BCPAID_VERSION
#define BCPAID_VERSION "1.0"
#endif

extern bool bcpaid_enabled;
extern bool bcpaid_dry_run;
extern char *bcpaid_allowed_hosts;	/* host[:port], comma separated; requests
									 * go to the first */
extern char *bcpaid_ca_file;
extern char *bcpaid_proxy;
extern char *bcpaid_instance_file;
extern int	bcpaid_max_workers;
extern int	bcpaid_max_databases;
extern int	bcpaid_connect_timeout; /* ms */
extern int	bcpaid_request_timeout; /* ms */
extern int	bcpaid_settle_time; /* ms */
extern int	bcpaid_max_attempts;
extern int	bcpaid_retry_base;	/* ms */
extern int	bcpaid_retry_cap;	/* ms */
extern int	bcpaid_sweep_interval;	/* s */
extern int	bcpaid_idle_timeout;	/* ms */
extern int	bcpaid_retention;	/* days */

extern void guc_define(bool preloading);

#endif							/* BCPAID_GUC_H */
