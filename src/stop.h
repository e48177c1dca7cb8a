/*-------------------------------------------------------------------------
 *
 * stop.h
 *	  Points at which a test may stop a process, and end it there.
 *
 * Nothing is left of them unless compiled with -DBCPAID_STOP_POINTS.  A file
 * bcpaid_stop in the database's directory names a point; the process that
 * comes there renames the file to bcpaid_stopped.PID and waits until that is
 * gone.  So a point stops once, also over a restart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_STOP_H
#define BCPAID_STOP_H

#ifndef BCPAID_STOP_POINTS
#define stop_point(name) ((void) 0)
#else
#include <unistd.h>

#include "miscadmin.h"
#include "storage/pmsignal.h"
#include "utils/timeout.h"

/* Never inside of libcurl: who is terminated here exits here.  The latch is left alone. */
static inline void
stop_point(const char *name)
{
	char	   *wish = psprintf("%s/bcpaid_stop", DatabasePath);
	char	   *stopped = psprintf("%s/bcpaid_stopped.%d", DatabasePath, MyProcPid);
	char		point[64] = "";
	FILE	   *file = fopen(wish, "r");

	if (file != NULL && fscanf(file, "%63s", point) == 1 && strcmp(point, name) == 0)
	{
		(void) rename(wish, stopped);
		disable_timeout(STATEMENT_TIMEOUT, false);
		while (access(stopped, F_OK) == 0 && PostmasterIsAlive())
		{
			pg_usleep(5000);
			CHECK_FOR_INTERRUPTS();
		}
	}
	if (file != NULL)
		fclose(file);
}
#endif

#endif							/* BCPAID_STOP_H */
