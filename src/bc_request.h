/*-------------------------------------------------------------------------
 *
 * bc_request.h
 *	  What is said to a store: paths and bodies.
 *
 * Pure: libc and jansson.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_BC_REQUEST_H
#define BCPAID_BC_REQUEST_H

#include "bc_pure.h"

#include "bigcommerce.h"

#define BC_PATH_MAX 256

/* status_id of an order, as far as way B writes it */
#define BC_STATUS_COMPLETED 10
#define BC_STATUS_AWAITING_FULFILLMENT 11

/* May this go into a path, a header? */
extern bool bc_request_hash_is_valid(const char *hash);
extern bool bc_request_token_is_valid(const char *token);

extern void bc_request_order_path(char *path, const char *hash, int64 id);
extern void bc_request_store_path(char *path, const char *hash);

/* Page 1 is asked for without a number; page 0 is where captures are posted. */
extern void bc_request_transactions_path(char *path, const char *hash, int64 id, int page);

/* Way A, way B; malloc'ed, NULL when out of memory or the look is unusable. */
extern char *bc_request_capture_body(const BcOrder *order, const BcResult *look);
extern char *bc_request_status_body(const BcOrder *order, const BcResult *look);

/* Does this store mark orders by their status (way B)? */
extern bool bc_request_is_by_status(const BcStore *store);
extern bool bc_request_status_may_change(int status_id);
extern int	bc_request_status_wanted(const BcResult *look);

#endif							/* BCPAID_BC_REQUEST_H */
