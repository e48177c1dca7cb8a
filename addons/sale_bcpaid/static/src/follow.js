/** @odoo-module **/

import { Component, useEffect, useState } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

const LIMIT_MS = 30000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

/**
 * Follows what the worker does after a button was pressed, and reads the form again when it is done.
 * Each question is a request of its own: a transaction of Odoo's sees nothing that commits after it began.
 */
export class BcpaidFollow extends Component {
    static template = "sale_bcpaid.Follow";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.state = useState({ text: "", isFollowing: true, isLate: false });
        useEffect(
            () => {
                const turn = { isOver: false };
                this.follow(turn);
                return () => {
                    turn.isOver = true;
                };
            },
            () => [this.props.record.resId]
        );
    }

    async follow(turn) {
        const { record } = this.props;
        const until = Date.now() + LIMIT_MS;
        let pause = FIRST_PAUSE_MS;
        Object.assign(this.state, { isFollowing: true, isLate: false });
        while (!turn.isOver && Date.now() < until) {
            const answer = await this.orm.silent.call(record.resModel, "bcpaid_follow", [[record.resId]]);
            this.state.text = answer.text;
            if (answer.done) {
                this.state.isFollowing = false;
                return this.refresh(turn, record);
            }
            await new Promise((resolve) => setTimeout(resolve, pause));
            pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
        }
        if (!turn.isOver) {
            Object.assign(this.state, { isFollowing: false, isLate: true });
        }
    }

    /** What somebody has typed since is worth more than what we could show. */
    async refresh(turn, record) {
        if (!turn.isOver && !(await record.isDirty())) {
            await record.load();
        }
    }
}

registry.category("view_widgets").add("bcpaid_follow", { component: BcpaidFollow });
