/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "guc.h"

bool		bcpaid_enabled = true;
bool		bcpaid_dry_run = false;
char	   *bcpaid_allowed_hosts = NULL;
char	   *bcpaid_ca_file = NULL;
char	   *bcpaid_proxy = NULL;
char	   *bcpaid_instance_file = NULL;
int			bcpaid_max_workers = 2;
int			bcpaid_max_databases = 1000;
int			bcpaid_connect_timeout = 5000;
int			bcpaid_request_timeout = 30000;
int			bcpaid_settle_time = 30000;
int			bcpaid_max_attempts = 10;
int			bcpaid_retry_base = 2000;
int			bcpaid_retry_cap = 900000;
int			bcpaid_sweep_interval = 900;
int			bcpaid_idle_timeout = 2000;
int			bcpaid_retention = 730;

/* prototypes of private functions */
static bool check_allowed_hosts(char **newval, void **extra, GucSource source);
static bool check_proxy(char **newval, void **extra, GucSource source);
static void define_string(const char *name, const char *description,
						  char **variable, const char *value,
						  GucStringCheckHook check);
static void define_int(const char *name, const char *description,
					   int *variable, int low, int high, int flags);

/*
 * Define all settings.
 *
 * A setting that only a restart can change cannot be defined in a session
 * that loads us late; such a session has no use for it either.
 */
void
guc_define(bool preloading)
{
	DefineCustomBoolVariable("bcpaid.enabled",
							 "Send captures to stores.",
							 "Off: payments are still noted and judged, nothing is sent.",
							 &bcpaid_enabled, true, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("bcpaid.dry_run",
							 "Look at stores, but never write to one.",
							 NULL, &bcpaid_dry_run, false, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	define_string("bcpaid.allowed_hosts",
				  "Hosts that may be called, host or host:port, separated by commas; the first is the API.",
				  &bcpaid_allowed_hosts, "api.bigcommerce.com", check_allowed_hosts);
	define_string("bcpaid.ca_file",
				  "File of certification authorities; empty means the system's.",
				  &bcpaid_ca_file, "", NULL);
	define_string("bcpaid.proxy",
				  "Proxy to reach stores through; empty means none.",
				  &bcpaid_proxy, "", check_proxy);
	define_string("bcpaid.instance_file",
				  "File outside the data directory that tells this server from a physical copy.",
				  &bcpaid_instance_file, "", NULL);

	if (preloading)
		DefineCustomIntVariable("bcpaid.max_databases",
								"Databases kept track of at the same time.",
								NULL, &bcpaid_max_databases,
								bcpaid_max_databases, 1, 10000,
								PGC_POSTMASTER, 0, NULL, NULL, NULL);
	define_int("bcpaid.max_workers", "Workers that may run at the same time.",
			   &bcpaid_max_workers, 1, 64, 0);
	define_int("bcpaid.connect_timeout", "Longest time to reach a store.",
			   &bcpaid_connect_timeout, 100, 60000, GUC_UNIT_MS);
	define_int("bcpaid.request_timeout", "Longest time for one request.",
			   &bcpaid_request_timeout, 200, 300000, GUC_UNIT_MS);
	define_int("bcpaid.settle_time", "Time in which a store's reads catch up with its writes.",
			   &bcpaid_settle_time, 0, 3600000, GUC_UNIT_MS);
	define_int("bcpaid.max_attempts", "Failures of one capture before a person is asked.",
			   &bcpaid_max_attempts, 1, 1000, 0);
	define_int("bcpaid.retry_base", "Wait after the first failure; doubles with each further one.",
			   &bcpaid_retry_base, 10, 3600000, GUC_UNIT_MS);
	define_int("bcpaid.retry_cap", "Longest wait between two tries.",
			   &bcpaid_retry_cap, 10, 86400000, GUC_UNIT_MS);
	define_int("bcpaid.sweep_interval", "Time between two sweeps for payments that no trigger noted.",
			   &bcpaid_sweep_interval, 1, 86400, GUC_UNIT_S);
	define_int("bcpaid.idle_timeout", "A worker without work leaves after this time.",
			   &bcpaid_idle_timeout, 0, 3600000, GUC_UNIT_MS);
	define_int("bcpaid.retention", "Days that history and attempts are kept; captures are kept for ever.",
			   &bcpaid_retention, 1, 36500, 0);

	MarkGUCPrefixReserved("bcpaid");
}

static void
define_string(const char *name, const char *description,
			  char **variable, const char *value, GucStringCheckHook check)
{
	DefineCustomStringVariable(name, description, NULL, variable, value,
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check, NULL, NULL);
}

static void
define_int(const char *name, const char *description,
		   int *variable, int low, int high, int flags)
{
	DefineCustomIntVariable(name, description, NULL, variable, *variable,
							low, high, PGC_SIGHUP, flags, NULL, NULL, NULL);
}

/* What goes into a URL may hold nothing that ends a host name there. */
static bool
check_allowed_hosts(char **newval, void **extra, GucSource source)
{
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:, []";

	if (**newval == '\0' || strspn(*newval, allowed) != strlen(*newval))
	{
		GUC_check_errdetail("A host is a name or an address with an optional port, such as \"api.bigcommerce.com\".");
		return false;
	}
	return true;
}

static bool
check_proxy(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || strncmp(*newval, "http://", 7) == 0 ||
		strncmp(*newval, "https://", 8) == 0)
		return true;

	GUC_check_errdetail("A proxy is given as http://host:port or https://host:port.");
	return false;
}
