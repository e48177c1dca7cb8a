{
    "name": "BigCommerce: Mark Order As Paid",
    "summary": "The button, the lists and the repairs for bcpaid, the extension in Odoo's database",
    "version": "1.0",
    "category": "Sales/Sales",
    "author": "bcpaid contributors",
    "license": "Other OSI approved licence",
    "depends": ["sale", "account"],
    "data": [
        "security/sale_bcpaid_security.xml",
        "security/ir.model.access.csv",
        "data/ir_cron.xml",
        "views/bcpaid_answer_views.xml",
        "views/bcpaid_capture_views.xml",
        "views/bcpaid_store_views.xml",
        "views/sale_order_views.xml",
        "views/bcpaid_menus.xml",
    ],
    "assets": {
        "web.assets_backend": ["sale_bcpaid/static/src/**/*"],
    },
    "post_init_hook": "post_init_hook",
}
