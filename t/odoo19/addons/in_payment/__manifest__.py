{
    "name": "In payment, as in Odoo Enterprise",
    "summary": "For the cases of script/odoo19: lets a setting switch on what Odoo Enterprise does with payments.",
    "version": "19.0.1.0",
    "author": "bcpaid",
    "license": "Other OSI approved licence",
    "depends": ["account"],
}
