/** @odoo-module **/

import { onWillStart } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { listView } from "@web/views/list/list_view";

/** A list of the menu BigCommerce Payments: above it stands what keeps captures from being sent, where something does. */
export class BcpaidListController extends listView.Controller {
    static template = "sale_bcpaid.ListView";

    setup() {
        super.setup();
        const orm = useService("orm");
        onWillStart(async () => {
            this.bcpaidBanner = await orm.call("bcpaid.check", "banner", []);
        });
    }
}

registry.category("views").add("bcpaid_list", { ...listView, Controller: BcpaidListController });
