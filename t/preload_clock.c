/*
 * preload_clock.c: a system clock that a test can set.
 *
 * Preloaded into a server, it adds to gettimeofday(), where PostgreSQL has the
 * time from, the seconds that stand in the file that TEST_CLOCK names: an
 * int64, mapped, so that it is the same for all processes at once.  Monotonic
 * clocks go on as they are, as those of a machine whose clock is set.  (Debian's
 * libfaketime does not fake while select() waits, and PostgreSQL 15 forks
 * then.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void
map_file(void)
{
	const char *path = getenv("TEST_CLOCK");
	int			file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void	   *map = file >= 0 ? mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;

	if (file >= 0)
		close(file);
	if (map != MAP_FAILED)
		ahead = map;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int			result = (int) syscall(SYS_gettimeofday, now, zone);

	if (result == 0 && now != NULL && ahead != NULL)
		now->tv_sec += *ahead;
	return result;
}
