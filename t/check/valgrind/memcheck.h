/*
 * memcheck.h
 *	  What PostgreSQL tells valgrind of its memory, told to AddressSanitizer, too.
 *
 * PostgreSQL built with USE_VALGRIND includes <valgrind/memcheck.h>, and with
 * script/check this file in its place.  To AddressSanitizer a memory context
 * is one big block of malloc's: it would not see that a piece of it was freed
 * with pfree, or that somebody wrote past its end.  So whatever PostgreSQL
 * calls inaccessible is poisoned, and what it hands out is not.  Without
 * AddressSanitizer in the process its two functions do not exist.
 */
#ifndef BCPAID_CHECK_MEMCHECK_H
#define BCPAID_CHECK_MEMCHECK_H

#include_next <valgrind/memcheck.h>
#include <stddef.h>

extern void __asan_poison_memory_region(const volatile void *start, size_t size) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *start, size_t size) __attribute__((weak));

static inline void
bcpaid_noaccess(const volatile void *start, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(start, size);
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(start, size);
}

static inline void
bcpaid_unpoison(const volatile void *start, size_t size)
{
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(start, size);
}

static inline void
bcpaid_undefined(const volatile void *start, size_t size)
{
	VALGRIND_MAKE_MEM_UNDEFINED(start, size);
	bcpaid_unpoison(start, size);
}

static inline void
bcpaid_defined(const volatile void *start, size_t size)
{
	VALGRIND_MAKE_MEM_DEFINED(start, size);
	bcpaid_unpoison(start, size);
}

static inline void
bcpaid_allocated(const void *pool, const volatile void *start, size_t size)
{
	VALGRIND_MEMPOOL_ALLOC(pool, start, size);
	bcpaid_unpoison(start, size);
}

#undef VALGRIND_MAKE_MEM_NOACCESS
#undef VALGRIND_MAKE_MEM_UNDEFINED
#undef VALGRIND_MAKE_MEM_DEFINED
#undef VALGRIND_MEMPOOL_ALLOC
#define VALGRIND_MAKE_MEM_NOACCESS(start, size) bcpaid_noaccess(start, size)
#define VALGRIND_MAKE_MEM_UNDEFINED(start, size) bcpaid_undefined(start, size)
#define VALGRIND_MAKE_MEM_DEFINED(start, size) bcpaid_defined(start, size)
#define VALGRIND_MEMPOOL_ALLOC(pool, start, size) bcpaid_allocated(pool, start, size)

#endif							/* BCPAID_CHECK_MEMCHECK_H */
