"""The built book in Debian's chromium, page by page. main.rs builds it, and says in BOOK where it lies.

What can be wrong with a page is told by faults.js, inside of it; what takes a keyboard, another medium or several
pages is here. The last class plants each fault in a page, since a check that cannot fail checks nothing.
"""

import functools
import http.server
import os
import re
import threading
import unittest
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
BOOK = Path(os.environ["BOOK"])
# mdbook's index.html is its first page again, and print.html is all of them.
PAGES = sorted(path.stem for path in BOOK.glob("*.html") if path.stem not in ("index", "print", "toc", "404"))
# Some checks take seconds a page. CI makes them of a third of the pages each day, and of the others
# on the days that follow; where no day is given, they are made of all.
DAYS = 3
day = os.environ.get("THESEUS_SEED")
TODAYS = PAGES if day is None else PAGES[int(day) % DAYS :: DAYS]
WIDE, NARROW = 1280, 360
THEMES = ("light", "rust", "coal", "navy", "ayu")
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
# What is mdbook's own, and not for us to mend: axe's rule and the element.
CHROME = {
    # The button of the table of contents is a label, and tells its state as if it were a button.
    "aria-allowed-attr": ["#mdbook-sidebar-toggle"],
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A window was closed in the middle of an answer; what a page misses, it says itself."""


def setUpModule():
    global server, playwright, chromium, base
    handler = functools.partial(Quiet, directory=BOOK)
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    playwright = sync_playwright().start()
    chromium = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=SWITCHES)


def tearDownModule():
    chromium.close()
    playwright.stop()
    server.shutdown()


class Reader:
    """A window of the browser, and what went wrong in it."""

    def __init__(self, width=WIDE, **options):
        self.context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
        self.context.add_init_script(path=HERE / "faults.js")
        self.errors = []
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda request: self.errors.append(f"{request.url} failed"))
        self.page.on("response", lambda got: got.status >= 400 and self.errors.append(f"{got.url}: {got.status}"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def open(self, name):
        self.page.goto(f"{base}{name}.html")
        return self.page

    def ask(self, check, *args):
        """The faults that a function of faults.js finds."""
        return self.page.evaluate(f"args => faults.{check}(...args)", list(args))


def dress(page, theme):
    page.evaluate("theme => document.getElementById(`mdbook-theme-${theme}`).click()", theme)


def axe(page):
    """What axe finds, besides CHROME."""
    found = []
    for violation in Axe().run(page, options=AXE).response["violations"]:
        for node in violation["nodes"]:
            target = " ".join(map(str, node["target"]))
            if target not in CHROME.get(violation["id"], ()):
                found.append(f"{violation['id']}: {target}: {' '.join(node['failureSummary'].split())}")
    return found


def commands(name):
    """The commands of a chapter, by step, as its snapshot has them."""
    snapshot = HERE.parent / f"snapshots/6.1/{name}.snap"
    if not snapshot.exists():
        return {}
    steps = re.findall(r"^(\d+\.\d+) \w+ (.+)$", snapshot.read_text(), re.MULTILINE)
    return dict(steps)


def dead_links(page, ids):
    """The links to pages and places of the book that are not there; ids has the places of each page."""
    found = []
    for href in page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))"):
        target, place = urldefrag(urljoin(page.url, href))
        if target.startswith(base):
            name = target.removeprefix(base) or "index.html"
            if name not in ids:
                found.append(f"{href}: no such page")
            elif place and unquote(place) not in ids[name]:
                found.append(f"{href}: no such place")
    return found


def places():
    """The ids of each page."""
    return {path.name: set(re.findall(r'\bid="([^"]+)"', path.read_text())) for path in BOOK.glob("*.html")}


def walk(reader):
    """Goes through a page with the Tab key, and says what it does not reach or show."""
    page = reader.page
    stops = reader.page.evaluate("faults.walk.begin()")
    for pressed in range(stops + 100):
        page.keyboard.press("Tab")
        if pressed > stops and page.evaluate("faults.walk.rest()") == 0:
            break
    return page.evaluate("faults.walk.end()")


def unfold(page):
    """Opens the folds with the Enter key, and says which stay shut."""
    found = []
    for fold in page.query_selector_all("details"):
        fold.query_selector("summary").focus()
        page.keyboard.press("Enter")
        if fold.get_attribute("open") is None:
            found.append(f"{fold.inner_text()} does not open")
        page.keyboard.press("Enter")
    return found


def search(page, text, key):
    """The first pages that a search with the keyboard finds."""
    page.keyboard.press(key)
    page.wait_for_selector("#mdbook-searchbar:focus")
    page.keyboard.type(text)
    page.wait_for_function(
        "text => document.getElementById('mdbook-searchresults-header').innerText.includes(`'${text}'`)", arg=text
    )
    links = "links => links.slice(0, 3).map(link => link.pathname)"
    return page.eval_on_selector_all("#mdbook-searchresults li > a", links)


def not_found(plant=""):
    """The names that the search does not find on their page, and what went wrong on the way."""
    found = []
    pages = {"tcp_v4_connect": "06-tcp-handshake", "skc_state": "06-tcp-handshake", "fn_hash_lookup": "changes"}
    for text, name in pages.items():
        for key in ("s", "/"):
            with Reader() as reader:
                reader.context.add_init_script(plant)
                results = search(reader.open("introduction"), text, key)
                if f"/{name}.html" not in results:
                    found.append(f"{text} is found in {results}")
                found.extend(reader.errors)
    return found


def flashes(reader):
    """The themes, but navy, in which a part of the page could be painted while it is loaded."""
    reader.context.add_init_script("""
        window.themes = new Set();
        new MutationObserver(() => {
            if (document.querySelector('main')) {
                themes.add(document.documentElement.className.match(/light|navy/g)?.join() ?? 'none');
            }
        }).observe(document, { childList: true, subtree: true, attributes: true });
    """)
    seen = reader.open("06-tcp-handshake").evaluate("[...themes]")
    return [] if seen == ["navy"] else [f"dark pages come as {seen}"]


class Pages(unittest.TestCase):
    """Every page, wide and narrow."""

    def none(self, found, **where):
        with self.subTest(**where):
            if found:
                self.fail("\n".join(found))

    def test_there_are_pages(self):
        self.assertGreater(len(PAGES), 11)

    def test_the_pages_fit_are_found_and_can_be_copied(self):
        ids = places()
        for width, pages in ((WIDE, PAGES), (NARROW, TODAYS)):
            for name in pages:
                with Reader(width) as reader:
                    page = reader.open(name)
                    where = {"page": name, "width": width}
                    self.none(reader.ask("layout"), check="layout", **where)
                    self.none(reader.ask("drawings"), check="drawings", **where)
                    self.none(dead_links(page, ids), check="links", **where)
                    self.none(reader.ask("anchors"), check="anchors", **where)
                    if width == WIDE:
                        self.none(reader.ask("copies", commands(name)), check="copies", **where)
                        self.none(reader.ask("selections"), check="selections", **where)
                    self.none(reader.errors, check="errors", **where)

    def test_the_pages_are_accessible(self):
        for width, theme in ((WIDE, "light"), (NARROW, "navy")):
            for name in TODAYS:
                with Reader(width) as reader:
                    page = reader.open(name)
                    dress(page, theme)
                    self.none(axe(page), page=name, width=width, theme=theme)

    def test_the_pages_can_be_read_in_every_theme(self):
        for name in TODAYS:
            with Reader() as reader:
                page = reader.open(name)
                for theme in THEMES:
                    dress(page, theme)
                    self.none(reader.ask("contrast"), page=name, theme=theme)
                    self.none(reader.ask("drawings"), page=name, theme=theme)

    def test_the_keyboard_reaches_everything(self):
        # The narrow pages have all that the wide ones have, and more to scroll.
        for name in TODAYS:
            with Reader(NARROW) as reader:
                page = reader.open(name)
                self.none(walk(reader), page=name)
                self.none(unfold(page), page=name)

    def test_the_pages_can_be_printed(self):
        for theme in ("light", "navy"):
            for name in TODAYS:
                with Reader() as reader:
                    page = reader.open(name)
                    dress(page, theme)
                    page.emulate_media(media="print")
                    self.none(reader.ask("paper"), page=name, theme=theme)

    def test_names_of_the_kernel_are_found(self):
        self.none(not_found())

    def test_dark_pages_are_dark_from_the_beginning(self):
        with Reader(color_scheme="dark") as reader:
            self.none(flashes(reader))

    def test_the_pages_can_be_read_without_scripts(self):
        for scheme in ("light", "dark"):
            with Reader(color_scheme=scheme) as reader:
                page = reader.open("06-tcp-handshake")
                # The checks are scripts themselves: the page loses only what mdbook's scripts have
                # put on it.
                page.evaluate("document.documentElement.className = ''")
                self.none(reader.ask("contrast"), scheme=scheme)


def asked(check, *args):
    return lambda reader: reader.ask(check, *args)


def style(text):
    return f"document.head.insertAdjacentHTML('beforeend', '<style>{text}</style>')"


def add(html):
    return f"document.querySelector('main').insertAdjacentHTML('beforeend', '{html}')"


def printed(reader):
    reader.page.emulate_media(media="print")
    return reader.ask("paper")


def errors(reader):
    reader.page.wait_for_timeout(500)
    return reader.errors


STEPS, DRAWN = "02-build-busybox", "12-structures"
# A page, what is done to it, who has to notice, and a word of what is said.
PLANTED = [
    (STEPS, add('<div style="width: 3000px">x</div>'), asked("layout"), "3000"),
    (STEPS, style("main p { white-space: nowrap }"), asked("layout"), "out of the column"),
    (STEPS, style("main { overflow: hidden } main li { width: 2000px }"), asked("layout"), "li"),
    (STEPS, "document.querySelectorAll('.step')[1].id = 'step-2.1'", asked("anchors"), "#step-2.1 is there twice"),
    (STEPS, "document.querySelector('.step-link').href = '#step-2.2'", asked("anchors"), "step-2.1: #step-2.2"),
    (STEPS, style(".step { scroll-margin-top: 300px !important }"), asked("anchors"), "below the edge"),
    (STEPS, add('<a href="nowhere.html">x</a>'), lambda reader: dead_links(reader.page, places()), "no such page"),
    (STEPS, add('<a href="#nowhere">x</a>'), lambda reader: dead_links(reader.page, places()), "no such place"),
    (STEPS, "document.querySelector('.step-command').prepend('$ ')", asked("copies", commands(STEPS)), "step 2.1 copies"),
    (STEPS, "document.querySelector('.step-copy').remove()", asked("copies", commands(STEPS)), "no button"),
    (STEPS, style(".step-prompt { user-select: text !important }"), asked("selections"), "guest#"),
    (STEPS, style(".step-fold > summary { user-select: text !important }"), asked("selections"), "is copied"),
    (STEPS, "window.addEventListener('copy', event => event.stopPropagation(), true)", asked("selections"), "is copied"),
    (STEPS, "console.error('planted')", errors, "planted"),
    (STEPS, "setTimeout(() => planted())", errors, "planted is not defined"),
    (STEPS, add('<img src="planted.png" alt="">'), errors, "404"),
    (STEPS, add('<img src="favicon.png">'), lambda reader: axe(reader.page), "image-alt"),
    (STEPS, "document.documentElement.removeAttribute('lang')", lambda reader: axe(reader.page), "html-has-lang"),
    (STEPS, style("main p { color: #888 }"), lambda reader: axe(reader.page), "color-contrast"),
    (STEPS, style("main p { color: #888 }"), asked("contrast"), "p.null"),
    (DRAWN, "document.querySelector('main svg desc').remove()", asked("drawings"), "no words"),
    (DRAWN, style(".drawing svg { fill: #999 } "), asked("drawings"), "text"),
    (DRAWN, style(".drawing svg { font-size: 5px }"), asked("drawings"), "high"),
    (STEPS, style(".step-fold > pre { display: none }"), printed, "is folded"),
    (STEPS, style(".step pre { white-space: pre !important }"), printed, "is cut off"),
    (STEPS, style("#mdbook-menu-bar { display: flex !important }"), printed, "is printed"),
    (STEPS, style("main p { color: #ccc }"), printed, "has 1.6"),
    (STEPS, "document.querySelector('.step-copy').tabIndex = -1", walk, "Tab does not reach button"),
    (STEPS, style(":focus-visible { outline: none !important }"), walk, "does not show that it has the focus"),
    (STEPS, style(".claim::after { content: none !important }"), walk, "does not show its hint"),
    (STEPS, "addEventListener('keydown', event => event.preventDefault())", lambda reader: unfold(reader.page), "open"),
]


class Planted(unittest.TestCase):
    """A check that cannot fail checks nothing."""

    def test_every_planted_fault_is_noticed(self):
        for name, plant, check, word in PLANTED:
            with Reader(NARROW) as reader, self.subTest(plant=plant):
                page = reader.open(name)
                page.evaluate(plant)
                self.assertIn(word, "\n".join(check(reader)))

    def test_a_search_for_beginnings_only_is_noticed(self):
        plant = "addEventListener('load', () => { elasticlunr.InvertedIndex.prototype.expandToken = word => [word] })"
        self.assertIn("skc_state is found in []", not_found(plant))

    def test_a_flash_is_noticed(self):
        with Reader(color_scheme="light") as reader:
            self.assertEqual(flashes(reader), ["dark pages come as ['light']"])


if __name__ == "__main__":
    unittest.main()
