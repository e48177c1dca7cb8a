"""A person at Odoo's web client: headless Chromium over WebDriver. Sees what is visible, presses what has a name.

Nothing here reloads a page or calls Odoo by itself: what is shown came there as it would for anybody.
"""

import base64
import contextlib
import pathlib
import tempfile

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.common.keys import Keys

from waiting import wait_for

# Without sandbox, because the folder has no user namespaces; the rest keeps Chromium from asking its maker for things.
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
           "--window-size=1280,860")

# In the console of every page of this Odoo: a file that Debian's package leaves out.
HARMLESS = ("selfie_segmentation.js",)

TIMEOUT_S = 20

# One question for all elements: each question to the driver takes as long as a hundred elements.
VISIBLE = """
    return Array.from(document.querySelectorAll(arguments[0]))
        .filter((one) => one.checkVisibility({visibilityProperty: true}) && one.getClientRects().length)
        .map((one) => [one, one.innerText])"""

# But for what turns for ever.
STANDS_STILL = """
    return document.getAnimations().every(
        (one) => one.playState !== "running" || one.effect.getTiming().iterations === Infinity)"""

# Milliseconds from the next click until these words can be read there, as the page itself sees both.
STOPWATCH = """
    const [css, words] = arguments;
    window.bcpaidTook = null;
    document.addEventListener("click", () => {
        const start = performance.now();
        const watch = () => Array.from(document.querySelectorAll(css)).some((one) => one.innerText.includes(words))
            ? (window.bcpaidTook = performance.now() - start) : requestAnimationFrame(watch);
        watch();
    }, {capture: true, once: true});"""


class Person:
    def __init__(self, url, screenshots=None):
        self.url = url
        self.screenshots = screenshots and pathlib.Path(screenshots)
        self._profile = tempfile.TemporaryDirectory(prefix="chromium.")
        options = webdriver.ChromeOptions()
        for option in (*OPTIONS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))

    def leave(self):
        """The session first: a driver that is killed leaves its Chromium behind."""
        self.driver.quit()
        self._profile.cleanup()

    # --- Going somewhere ----------------------------------------------------------------------

    def log_in(self, login, password):
        """By the form, as somebody else than before."""
        self.driver.delete_all_cookies()
        self.driver.get(f"{self.url}/web/login")
        self.wait(lambda: self.visible("input[name=login]") or self.button("Use another user"), "the login form")
        if self.button("Use another user"):         # Odoo remembers who was here
            self.press("Use another user")
        self.find("input[name=login]").send_keys(login)
        self.find("input[name=password]").send_keys(password, Keys.ENTER)
        self.find(".o_main_navbar")

    def open(self, path):
        """A link that somebody kept: /odoo/..."""
        self.driver.get(f"{self.url}/odoo/{path}")
        self.find(".o_action_manager .o_action, .o_action_manager .o_view_controller")

    def open_order(self, order):
        self.open(f"sale.order/{order}")
        self.find(".o_form_view [name=name]")

    def choose(self, app, *menu):
        """The app, then its menu level by level: choose("Sales", "BigCommerce Payments", "Stores")."""
        self.press_icon(".o_navbar_apps_menu button")
        self.press(app, ".o-dropdown--menu")
        self.read(app, ".o_menu_brand")
        for name in menu:
            self.press(name, ".o_menu_sections, .o-dropdown--menu")

    # --- Seeing -------------------------------------------------------------------------------

    def visible(self, css):
        return [one for one, _text in self.driver.execute_script(VISIBLE, css)]

    def find(self, css, timeout_s=TIMEOUT_S):
        """The first visible one; waits for it."""
        return self.wait(lambda: self.visible(css), css, timeout_s)[0]

    def text(self, css="body"):
        """What can be read there, empty if nothing is visible."""
        return "\n".join(text for _one, text in self.driver.execute_script(VISIBLE, css))

    def read(self, words, css="body", timeout_s=TIMEOUT_S):
        """Waits until these words can be read there. Returns all that can."""
        return self.wait(lambda: (lambda text: text if words in text else None)(self.text(css)), f"{words!r} in {css}", timeout_s)

    def wait_until_gone(self, css, timeout_s=TIMEOUT_S):
        self.wait(lambda: not self.visible(css), f"{css} to go", timeout_s)

    def button(self, name, css="body"):
        """The visible button or link with that name, None if there is none."""
        found = self.driver.execute_script(VISIBLE, f":is({css}) :is(button, a, [role^=menuitem])")
        return next((one for one, text in found if name in map(str.strip, text.split("\n"))), None)

    def wait(self, condition, what, timeout_s=TIMEOUT_S):
        """The page changes while it is looked at: what went away, or is covered by a tooltip, is looked for again."""
        def look():
            with contextlib.suppress(StaleElementReferenceException, ElementClickInterceptedException):
                return condition()
        return wait_for(look, what, timeout_s, interval_s=0.02)

    def page(self):
        """The whole page as it is now, what nobody sees included, with what fields hold."""
        return self.driver.execute_script(
            "return document.documentElement.outerHTML +"
            " Array.from(document.querySelectorAll('input, textarea'), (field) => field.value).join('\\n')")

    def start_watch(self, words, css):
        """From the next click on."""
        self.driver.execute_script(STOPWATCH, css, words)

    def watch(self):
        """The milliseconds until the words were there; waits for them."""
        return self.wait(lambda: self.driver.execute_script("return window.bcpaidTook"), "what the stopwatch is to see")

    # --- Doing --------------------------------------------------------------------------------

    def press(self, name, css="body"):
        """Presses the button or link, once it is there."""
        def pressed():
            found = self.button(name, css)
            if found:
                found.click()
            return found
        self.wait(pressed, f"the button {name!r}")

    def press_icon(self, css):
        """What has no name but a sign."""
        self.wait(lambda: self.find(css).click() is None, css)

    def write(self, field, text):
        """Types into a field of the form or dialog, in place of what is there."""
        box = self.find(f".o_field_widget[name={field}] :is(input, textarea)")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(text, Keys.TAB)

    def confirm(self):
        """Says yes to the question that is asked."""
        self.find(".modal-footer .btn-primary").click()
        self.wait_until_gone(".modal")

    # --- Lists --------------------------------------------------------------------------------

    def wait_for_rows(self, names, among):
        """Waits until of the rows `among` just these are in the list. Returns the text of each."""
        def rows():
            found = self.driver.execute_script(VISIBLE, ".o_list_view .o_data_row")
            shown = {name: text for _row, text in found for name in among if name in text.split()}
            return (set(shown) == set(names)) and (shown or True)
        return self.wait(rows, f"{names} in the list, of {among}")

    def tick(self, *names):
        """Selects the rows with these words in them."""
        for name in names:
            def ticked(name=name):
                found = self.driver.execute_script(VISIBLE, ".o_data_row")
                row = next((row for row, text in found if name in text.split()), None)
                if row:
                    row.find_element("css selector", ".o_list_record_selector input").click()
                return row
            self.wait(ticked, f"a row with {name!r}")

    def open_row(self, name):
        def opened():
            found = self.driver.execute_script(VISIBLE, ".o_data_cell")
            cell = next((cell for cell, text in found if text.strip() == name), None)
            if cell:
                cell.click()
            return cell
        self.wait(opened, f"a row with {name!r}")
        self.find(".o_form_view")

    def filter(self, name):
        """Shows only what this filter of the list finds, in place of what was filtered before."""
        def cleared():
            facets = self.visible(".o_searchview .o_facet_remove")
            return not facets or facets[0].click()
        self.wait(cleared, "the filters to go")
        self.find(".o_searchview_dropdown_toggler").click()
        self.press(name, ".o_filter_menu")
        self.read(name, ".o_searchview_facet")
        self.find(".o_searchview_dropdown_toggler").click()

    # --- Keeping ------------------------------------------------------------------------------

    def picture(self, name, height=None):
        """What the window shows once nothing moves in it, down to that height, for people to look at."""
        if not self.screenshots:
            return
        self.wait(lambda: self.driver.execute_script(STANDS_STILL), "the page to stand still")
        width, all_of_it = self.driver.execute_script("return [innerWidth, innerHeight]")
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "clip": {"x": 0, "y": 0, "width": width, "height": height or all_of_it, "scale": 1}})
        (self.screenshots / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))

    def complaints(self):
        """Errors in the browser's console since it was last asked."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] == "SEVERE" and not any(known in line["message"] for known in HARMLESS)]
