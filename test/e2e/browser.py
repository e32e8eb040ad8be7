"""A person at the page: Chromium, driven by what is seen and by what a screen reader is told.

A test file says `from browser import open_page` for the fixture, and what it calls besides."""
import base64
import contextlib
import json
import os
import pathlib
import re
import subprocess

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from network import until

AXE = "4.10.2"
PASSWORD = "correct horse battery staple"
NPM = pathlib.Path(__file__).resolve().parents[2] / "build-check" / "npm"
SHOTS = os.environ.get("SHOTS")  # a folder for pictures of what the tests see


def axe_source():
    """axe-core as npm has it, fetched once; None where there is no way to it."""
    script = NPM / "package" / "axe.min.js"
    if not script.exists():
        NPM.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            packed = subprocess.run(["npm", "pack", "--silent", f"axe-core@{AXE}"], cwd=NPM, text=True,
                                    capture_output=True, timeout=60, check=True).stdout.split()[-1]
            subprocess.run(["tar", "-xzf", packed], cwd=NPM, check=True)
    return script.read_text() if script.exists() else None


def start_chromium(folder, width, height, dark, insecure):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 f"--window-size={width},{height}", f"--user-data-dir={folder}/chromium",
                 "--lang=en-GB", *(["--force-dark-mode"] if dark else [])):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.accept_insecure_certs = insecure
    service = webdriver.chrome.service.Service("/usr/bin/chromedriver")
    return webdriver.Chrome(service=service, options=options)


class Browser:
    """One window. What it complains of (an error in a script, a report of the CSP, a request to
    elsewhere) fails the test at its end, but for what `expect_error` has announced."""
    name = "browser"

    def __init__(self, folder, origin, width=1440, height=1000, dark=False, insecure=False, media=()):
        """`media`: features beyond light or dark, such as {"forced-colors": "active"}."""
        self.origin, self.expected, self.folder = origin, [], folder
        self.driver = start_chromium(folder, width, height, dark, insecure)
        self.complaints = []
        self.look(width, height, dark, media)

    def look(self, width=1440, height=1000, dark=False, media=()):
        """From now on the window is so wide, and the person so minded."""
        features = {"prefers-color-scheme": "dark" if dark else "light",
                    "prefers-reduced-motion": "reduce", "forced-colors": "none", **dict(media)}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": name, "value": value} for name, value in features.items()]})
        self.size = width, height
        self.resize(width, height)
        # A finger is a coarse pointer.
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": width < 600})
        return self

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def pretend(self, change):
        """The API says what `change`, a function's body in JavaScript, makes of each certificate `c` and
        its site `s`: for states that no server gets into within a test."""
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
            const ask = window.fetch, change = (s, c) => { CHANGE };
            const each = value => {
                if (value?.certificate?.not_after)
                    change(value, value.certificate);
                if (value && typeof value === 'object')
                    Object.values(value).forEach(each);
            };
            window.fetch = async (...given) => {
                const answer = await ask(...given);
                if (!answer.headers.get('content-type')?.includes('json'))
                    return answer;
                const body = await answer.json();
                each(body);
                return new Response(JSON.stringify(body), {status: answer.status, headers: answer.headers});
            };""".replace("CHANGE", change)})
        self.driver.refresh()
        return self

    def stop(self):
        with contextlib.suppress(Exception):
            self.collect()
        self.driver.quit()
        bad = [c for c in self.complaints if not any(re.search(e, c) for e in self.expected)]
        assert not bad, bad

    def collect(self):
        for entry in self.driver.get_log("browser"):
            if entry["level"] in ("SEVERE", "WARNING"):
                self.complaints.append(entry["message"])

    def expect_error(self, pattern):
        """The browser itself reports each answer of 4xx and 5xx, also one that is meant to come."""
        self.expected.append(pattern)

    # ---- going and looking ----

    def open(self, path="/"):
        self.driver.get(self.origin + path if path.startswith("/") else path)
        return self

    def go(self, fragment):
        self.driver.execute_script("location.hash = arguments[0]", fragment)
        return self

    def visit(self, path, heading):
        """Goes there, and waits until that view is drawn and has loaded: the one before may look alike."""
        self.go(path)
        until(lambda: f"{path} has its heading: {self.text[:500]}", lambda: self.driver.execute_script(
            "const h = document.querySelector('h1'); return h && new RegExp(arguments[0]).test(h.innerText)",
            heading), 30)
        until(f"{path} has loaded", lambda: not re.search(r"Loading ", self.text), 30)
        return self

    @property
    def text(self):
        return self.driver.execute_script("return document.body.innerText")

    def sees(self, pattern, seconds=15):
        """Waits until the words are seen."""
        return until(lambda: f"{pattern!r} on the page:\n{self.text[:3000]}\n{self.log_of_browser()}",
                     lambda: re.search(pattern, self.text), seconds)

    def log_of_browser(self):
        self.collect()
        return "\n".join(self.complaints[-5:])

    def title(self, pattern, seconds=10):
        return until(lambda: f"{pattern!r} is the title: {self.driver.title!r}",
                     lambda: re.search(pattern, self.driver.title), seconds)

    def path(self):
        return self.driver.execute_script("return location.hash")

    # ---- by role and name, as a screen reader finds things ----

    def by_role(self, role, name, seconds=10):
        """The visible element of that accessible role whose accessible name matches; behind a dialog
        nothing is within reach."""
        selectors = {"button": "button, [role=button], summary", "link": "a[href]", "switch": "[role=switch]",
                     "checkbox": "input[type=checkbox]", "textbox": "input, textarea",
                     "combobox": "select", "heading": "h1, h2, h3", "dialog": "dialog[open]"}

        def find():
            with contextlib.suppress(StaleElementReferenceException):
                dialogs = [] if role == "dialog" else self.driver.find_elements(By.CSS_SELECTOR, "dialog[open]")
                within = dialogs[-1] if dialogs else self.driver
                for element in within.find_elements(By.CSS_SELECTOR, selectors[role]):
                    if element.is_displayed() and re.search(name, element.accessible_name or element.text):
                        return element
        return until(lambda: f"a {role} called {name!r} on the page:\n{self.text[:3000]}", find, seconds)

    def press(self, name, role="button"):
        for _ in range(20):
            with contextlib.suppress(StaleElementReferenceException):
                element = self.by_role(role, name)
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
                element.click()
                return self
        raise AssertionError(f"{name} goes away each time it is pressed")

    def fill(self, name, text):
        field = self.by_role("textbox", name)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.BACKSPACE)
        field.send_keys(text)
        return self

    def tick(self, name, role="checkbox"):
        self.by_role(role, name).click()
        return self

    def focused(self):
        return self.driver.switch_to.active_element

    def keys(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()
        return self

    # ---- judging ----

    def violations(self):
        """What axe-core has against the page as it is now: rule, and where."""
        source = axe_source()
        if source is None:
            return None
        self.driver.execute_script(source)
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']}).then((r) => done(JSON.stringify("
            "r.violations.map((v) => [v.id, v.help, v.nodes.map((n) => n.html + ' ' + n.failureSummary)]))),"
            "(e) => done(JSON.stringify([['axe', String(e), []]])))")
        return json.loads(found)

    def overflow(self):
        """How far the page is wider than the window."""
        return self.driver.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def scrolled(self):
        """How far the page is higher than the window."""
        return self.driver.execute_script(
            "return document.documentElement.scrollHeight - document.documentElement.clientHeight")

    def gaps(self, most=100):
        """Where nothing stands within a part that is higher than what is in it, by more than that."""
        return self.driver.execute_script("""
            document.querySelectorAll('main details').forEach(d => { d.open = true; });
            const end = e => {
                const r = document.createRange();
                r.selectNodeContents(e);
                return r.getBoundingClientRect().bottom;
            };
            return [...document.querySelectorAll('main p, main details > *, main section, main form')]
                .filter(e => e.checkVisibility() && e.getBoundingClientRect().bottom - end(e) > arguments[0])
                .map(e => `${e.outerHTML.slice(0, 120)} ${e.getBoundingClientRect().height}`)""", most)

    def small_targets(self, least=44):
        """What a finger could miss: controls less high than that. A link within a sentence may be."""
        return self.driver.execute_script("""
            const parts = 'button, select, summary, input:not([type=hidden]), a.button, nav a, .menu-list a, .brand';
            const high = e => e.matches('input[type=checkbox], input[type=radio]')
                ? Math.max(e.offsetHeight, parseFloat(getComputedStyle(e, '::before').height) || 0,
                    e.closest('label')?.offsetHeight ?? 0)
                : e.getBoundingClientRect().height;
            const clipped = e => getComputedStyle(e.closest('thead') ?? e).clipPath !== 'none';
            return [...document.querySelectorAll(parts)].filter(e => e.checkVisibility() && !clipped(e)
                && high(e) < arguments[0] - 0.5).map(e => `${e.outerHTML.slice(0, 120)} ${high(e)}`)""", least)

    def shot(self, name):
        """A picture of the whole page, in a window as high as the page."""
        if SHOTS:
            pathlib.Path(SHOTS).mkdir(parents=True, exist_ok=True)
            width, height = self.size
            high = self.driver.execute_script("return document.documentElement.scrollHeight")
            self.resize(width, max(height, min(high, 5000)))
            picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {})
            (pathlib.Path(SHOTS) / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))
            self.resize(width, height)
        return self


# ---- at the page of a server ----

@pytest.fixture
def open_page(stage, everseal):
    """Opens a window on the page; `signed_in`: as ana, whom the first one makes."""
    made = []

    def new(signed_in=True, **window):
        browser = new_window(stage, everseal, **window)
        if signed_in and not made:
            made.append(first_administrator(browser, everseal))
        elif signed_in:
            browser.open()
            sign_in(browser)
            browser.sees("Live ")
        return browser
    return new


def new_window(stage, everseal, **window):
    browser = stage.keep(Browser(stage.new_folder("browser"), f"http://127.0.0.1:{everseal.page}", **window))
    browser.expect_error(r"api/session\b.*401")
    return browser


def setup_link(everseal):
    return re.search(r"http\S+#setup=\S+", everseal.cli("admin", "link").ok().out)[0]


def first_administrator(browser, everseal):
    browser.open(setup_link(everseal))
    browser.fill("^Name", "ana").fill("^Password", PASSWORD).press("Make administrator")
    browser.sees(r"Configuration ➜ Let's Encrypt|HTTPS is not set up")
    return browser


def sign_in(browser, password=PASSWORD, name="ana"):
    browser.fill("^Name", name).fill("^Password", password).press("^Sign in$")


def api(browser, path):
    """What the API says to this very session."""
    answer = browser.driver.execute_async_script(
        "const done = arguments[1]; fetch('/api/' + arguments[0]).then((r) => r.text()).then(done)", path)
    return json.loads(answer)


def judge(browser, name):
    """The accessibility rules, and nothing wider than the window."""
    browser.shot(name)
    violations = browser.violations()
    if violations is not None:
        assert violations == [], f"{name}: {json.dumps(violations, indent=1)[:3000]}"
    assert browser.overflow() <= 0, f"{name} is wider than the window"
