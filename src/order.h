/*-------------------------------------------------------------------------
 *
 * order.h
 *	  Set orders in Odoo to Captured.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BCPAID_ORDER_H
#define BCPAID_ORDER_H

/*
 * Set orders whose capture is settled and due, each in a transaction of its
 * own.  `in_haste`: not for long.  True if there are more.
 */
extern bool order_apply_due(bool in_haste);

#endif							/* BCPAID_ORDER_H */
