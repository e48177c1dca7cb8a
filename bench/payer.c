/*-------------------------------------------------------------------------
 *
 * payer.c
 *	  Payments one after the other, and the moment at which each was committed.
 *
 *	  payer CONNECTION FIRST-ORDER COUNT PAUSE-MS
 *
 * Prints a line for each: the order, when COMMIT was sent, when it was done,
 * in microseconds by the system's clock.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * (int64_t) 1000000 + now.tv_nsec / 1000;
}

static void
run(PGconn *connection, const char *statement)
{
	PGresult   *result = PQexec(connection, statement);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(connection));
		exit(1);
	}
	PQclear(result);
}

int
main(int argc, char **argv)
{
	PGconn	   *connection;
	int			first,
				count;

	if (argc != 5)
	{
		fprintf(stderr, "usage: payer CONNECTION FIRST-ORDER COUNT PAUSE-MS\n");
		return 2;
	}
	connection = PQconnectdb(argv[1]);
	first = atoi(argv[2]);
	count = atoi(argv[3]);
	for (int order = first; order < first + count; order++)
	{
		char		pay[200];
		int64_t		sent;

		snprintf(pay, sizeof(pay), "UPDATE account_move SET payment_state = 'paid', amount_residual = 0 WHERE id = %d", order);
		run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
		run(connection, pay);
		sent = now_us();
		run(connection, "COMMIT");
		printf("%d %lld %lld\n", order, (long long) sent, (long long) now_us());
		fflush(stdout);
		usleep(atoi(argv[4]) * 1000);
	}
	PQfinish(connection);
	return 0;
}
