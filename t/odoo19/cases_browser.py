"""The addon in Odoo, as a person sees it: headless Chromium at the web client, with a picture of each moment."""

from browsed import PASSWORD, SALESMAN, as_accountant, browsed, held_order, login_of, name_of, refused_orders
from cases_addon import CAPTURED_WITHIN_S, left_to_the_button, notes
from waiting import wait_for


@browsed
def browser_button(bench, person):
    """an accountant: an unpaid order has no button, and says why; a paid one has it; pressed, the form shows Captured within 2 s"""
    paid, unpaid = left_to_the_button(bench), bench.order(50)
    bench.shop.invoice(unpaid)
    as_accountant(bench, person)
    person.open_order(unpaid)
    person.press("Why not?")
    words = person.read("Invoices are paid", ".modal")
    assert "not_paid, 50.00 USD open" in words and "Linked to BigCommerce" in words, words
    person.picture("why-not")
    person.press("Close", ".modal")
    assert "Mark Order As Paid" not in person.page(), "the button is in the page of an unpaid order"

    person.open_order(paid)
    person.wait(lambda: person.button("Mark Order As Paid"), "the button")
    assert not person.button("Why not?"), "both buttons"
    person.read("Awaiting Payment", "[name=bcpaid_situation]")
    person.picture("order", height=560)
    took_ms = [press_and_watch(person)]
    person.wait_until_gone(".o_bcpaid_follow")
    assert not person.button("Mark Order As Paid"), "the button is still there"
    person.picture("captured", height=560)
    person.press("Captures", ".o-form-buttonbox")
    person.read("Done", ".o_form_view [name=state], .o_data_row")
    bench.expect_captured(paid, measured=False)

    assert len(notes(bench, paid)) == 1
    person.open_order(paid)
    words = person.read("Captured at BigCommerce", ".o-mail-Message")
    assert "100.00 USD" in words and "the button, Accountant" in words, words
    person.find(".o-mail-Message").location_once_scrolled_into_view
    person.picture("note")

    # On a machine with other things to do the first one may be slow: the quickest of three counts.
    while min(took_ms) > 1000 * CAPTURED_WITHIN_S and len(took_ms) < 3:
        person.open_order(left_to_the_button(bench))
        took_ms.append(press_and_watch(person))
    print(f"# from the press to Captured on the form: {', '.join(f'{ms:.0f}' for ms in took_ms)} ms")
    assert min(took_ms) <= 1000 * CAPTURED_WITHIN_S, f"Captured {min(took_ms):.0f} ms after the press"


def press_and_watch(person):
    """The milliseconds from the press to Captured on the form, which nobody reloads."""
    person.start_watch("Captured", "[name=bcpaid_status]")
    person.press("Mark Order As Paid")
    return person.watch()


@browsed
def browser_follow(bench, person):
    """a slow store: after the press a line shows what is under way, then the form shows Captured; what was typed meanwhile stays"""
    orders = [left_to_the_button(bench) for _ in range(2)]
    as_accountant(bench, person)
    bench.sandbox.misbehave(do="pass", latency_ms=600, times="forever", match={})
    try:
        person.open_order(orders[0])
        person.press("Mark Order As Paid")
        person.read("Being Captured", ".o_bcpaid_follow")
        person.picture("follow")
        person.read("Captured", "[name=bcpaid_status]")
        person.wait_until_gone(".o_bcpaid_follow")

        person.open_order(orders[1])
        person.press("Other Info")
        person.press("Mark Order As Paid")
        person.read("Being Captured", ".o_bcpaid_follow")
        person.write("client_order_ref", "typed meanwhile")
        person.wait(lambda: person.text(".o_bcpaid_follow").strip() == "Captured", "the line to say Captured")
        assert not person.visible(".o_bcpaid_follow .fa-spin"), "it turns on"
        assert "typed meanwhile" in person.page(), "what was typed is gone"
        person.press_icon(".o_form_button_save")
        person.read("Captured", "[name=bcpaid_status]")
        assert bench.odoo.read("sale.order", orders[1], "client_order_ref") == "typed meanwhile"
    finally:
        bench.sandbox.behave()
    for order in orders:
        bench.expect_captured(order, measured=False)


@browsed
def browser_late(bench, person):
    """a store that takes longer than the 30 s for which the form follows: it says so, and where to look"""
    order = left_to_the_button(bench)
    as_accountant(bench, person)
    bench.sandbox.misbehave(do="pass", latency_ms=3000, times="forever", match={})
    try:
        person.open_order(order)
        person.press("Mark Order As Paid")
        person.read("Being Captured", ".o_bcpaid_follow")
        person.driver.execute_script("const now = Date.now; Date.now = () => now() + 31000")
        person.read("takes longer than usual", ".o_bcpaid_follow")
    finally:
        bench.sandbox.behave()
    bench.expect_captured(order, measured=False)


@browsed
def browser_list(bench, person):
    """in the list: status and filters; of three selected orders the one that may be marked is captured, the others say why not"""
    orders = paid, unpaid, unlinked = left_to_the_button(bench), bench.order(50), bench.shop.order(30)
    names = [name_of(bench, order) for order in orders]
    as_accountant(bench, person)
    person.open("orders")
    person.filter("Can Be Marked As Paid")
    person.wait_for_rows(names[:1], among=names)
    person.open("orders")
    person.tick(*names)
    person.press("Mark Order As Paid", ".o_control_panel")
    words = person.read("1 of 3 orders are being captured", ".modal")
    assert "invoice status is" in words and "no store" in words, words
    person.picture("list-answer")
    bench.expect_captured(paid, measured=False)
    person.press("Close", ".modal")
    for name, found in (("Captured", names[:1]), ("Awaiting Payment at BigCommerce", names[1:2]), ("Failed or Held", [])):
        person.filter(name)
        person.wait_for_rows(found, among=names)
    person.open("orders")
    person.read("Captured", ".o_data_row")
    person.picture("list")


@browsed
def browser_failed(bench, person):
    """what was refused or held is in its list with the reason; retried or approved in the form, or in the list: all captured"""
    orders = [*refused_orders(bench, 3), held_order(bench)]
    names = [name_of(bench, order) for order in orders]
    as_accountant(bench, person)
    person.open_order(orders[0])
    person.read("HTTP 422", ".alert-danger")
    person.picture("refused-order")
    person.choose("Sales", "BigCommerce Payments", "Refused or Held")
    rows = person.wait_for_rows(names, among=names)
    assert all("no captures yet" in rows[name] for name in names[:3]) and "the store wants 75" in rows[names[3]], rows
    person.picture("captures", height=450)
    person.open_row(names[0])
    person.picture("capture")
    person.press("Retry", ".o_form_statusbar")
    person.read("Done", ".o_form_statusbar [name=state]")
    person.picture("capture-done")

    person.press("Refused or Held", ".o_breadcrumb")
    person.open_row(names[3])
    person.press("Approve", ".o_form_statusbar")
    person.confirm()
    person.read("Done", ".o_form_statusbar [name=state]")
    person.press("Refused or Held", ".o_breadcrumb")
    person.tick(*names[1:3])
    person.press("Retry", ".o_control_panel")
    person.wait_for_rows([], among=names)
    for order in orders:
        bench.expect_captured(order, measured=False)


@browsed
def browser_store(bench, person):
    """an administrator: a new store, its token never shown again; the test tells a wrong token from a right one; pause and resume"""
    person.log_in("admin", "admin")
    person.choose("Sales", "BigCommerce Payments", "Stores")
    person.press("New")
    person.write("name", "Store of the browser")
    person.write("hash", bench.sandbox.store)
    person.find("[name=mark_order_as_paid] input").click()
    token_goes_in(person, "a-wrong-token")
    person.press("Test Connection")
    person.read("401", "[name=test_result]")
    person.picture("store-wrong-token")

    token_goes_in(person, bench.sandbox.token)
    person.press("Test Connection")
    person.read("plan", "[name=test_result]")
    person.wait_until_gone(".alert-warning")
    assert person.find("[name=test_ok] input").is_selected(), "the test did not pass"
    person.picture("store")
    stopped_and_mended(bench, person)

    person.press("Pause")
    person.read("paused", ".alert-warning")
    assert not person.button("Pause"), "a paused store can be paused"
    person.press("Stores", ".o_breadcrumb")
    person.read("paused", ".o_bcpaid_banner")
    person.picture("stores")
    person.open_row("Store of the browser")
    person.press("Resume")
    person.wait(lambda: person.button("Pause"), "the store to go on")
    person.wait_until_gone(".alert-warning")


def stopped_and_mended(bench, person):
    """The store takes the token no more: the form says so, and a new token lets what is due go on."""
    store = bench.database.value("SELECT id FROM bcpaid.stores WHERE name = 'Store of the browser'")
    bench.sandbox.misbehave(do="answer", status=401, match={})
    order = bench.order(100, store=store)
    bench.shop.register([bench.shop.invoice(order)])
    wait_for(lambda: bench.database.value("SELECT stopped_reason FROM bcpaid.stores WHERE id = :store", store=store),
             "the store to be stopped")
    person.choose("Sales", "BigCommerce Payments", "Stores")
    person.read("stopped", ".o_bcpaid_banner")
    person.open_row("Store of the browser")
    person.read("stopped", ".alert-warning")
    person.picture("store-stopped")
    token_goes_in(person, bench.sandbox.token)
    bench.expect_captured(order, measured=False)
    person.press("Stores", ".o_breadcrumb")
    person.open_row("Store of the browser")
    person.wait_until_gone(".alert-warning")


def token_goes_in(person, token):
    """Typed and saved, it is nowhere in the page any more."""
    person.write("token", token)
    assert token in person.page(), "nothing was typed"
    person.press_icon(".o_form_button_save")
    person.wait(lambda: token not in person.page(), "the token to go")
    assert person.find("[name=has_token] input").is_selected(), "no token was kept"


@browsed
def browser_copy(bench, person):
    """a database that may be a copy: orders, lists and stores say so, nothing is sent until an administrator confirms it"""
    order = left_to_the_button(bench)
    person.log_in("admin", "admin")
    bench.database.run("UPDATE ir_config_parameter SET value = 'of another database' WHERE key = 'database.uuid'")
    person.open_order(order)
    person.read("until its environment is confirmed", ".alert-warning")
    person.picture("copy-order")
    person.choose("Sales", "BigCommerce Payments", "Captures")
    person.read("environment", ".o_bcpaid_banner")
    person.picture("copy-captures")
    person.choose("Sales", "BigCommerce Payments", "Stores")
    person.open_row("Store of the cases")
    person.read("environment", ".alert-warning")
    person.press("Confirm the Environment")
    person.confirm()
    person.wait_until_gone(".alert-warning")
    person.open_order(order)
    person.press("Mark Order As Paid")
    person.read("Captured", "[name=bcpaid_status]")
    bench.expect_captured(order, measured=False)


@browsed
def browser_roles(bench, person):
    """a salesman sees the status and no button, menu or action; an accountant sees stores and changes nothing in them"""
    order, refused = left_to_the_button(bench), refused_orders(bench, 1)[0]
    person.log_in(login_of(bench, "salesman", SALESMAN), PASSWORD)
    person.open_order(order)
    person.read("Awaiting Payment", "[name=bcpaid_situation]")
    person.open_order(refused)
    person.read("Failed or Held", "[name=bcpaid_situation]")
    for words in ("action_bcpaid_mark", "Why not?", "action_bcpaid_captures", "HTTP 422"):
        assert words not in person.page(), f"a salesman has {words!r} in his page"
    person.open("orders")
    person.tick(name_of(bench, order))
    person.find(".o_selection_box")
    assert not person.button("Mark Order As Paid"), "a salesman can mark in the list"
    assert "BigCommerce Payments" not in person.page(), "a salesman has the menu"
    person.picture("salesman")

    as_accountant(bench, person)
    person.choose("Sales", "BigCommerce Payments")
    assert not person.button("Checks", ".o-dropdown--menu"), "an accountant has the checks of the server"
    person.press("Stores", ".o-dropdown--menu")
    person.open_row("Store of the cases")
    assert not person.visible("[name=token]") and not person.visible(".o_form_view .o_field_widget :is(input:enabled, textarea)")
    for name in ("New", "Test Connection", "Pause", "Retry All"):
        assert not person.button(name), f"an accountant has {name!r}"
    person.picture("accountant-store")

    for one in (order, refused):
        person.open_order(one)
        person.press("Mark Order As Paid")
        person.read("Captured", "[name=bcpaid_status]")
        bench.expect_captured(one, measured=False)
