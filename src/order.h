/*-------------------------------------------------------------------------
 *
 * order.h
 *	  Set orders in Odoo to Captured.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ORDER_H
#define BCPAID_ORDER_H

/* Set every order whose capture is settled and due; each in its own transaction. */
extern void order_apply_due(void);

#endif							/* BCPAID_ORDER_H */
