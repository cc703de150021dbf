"""Firefox and WebKit, as far as the book's audit asks them: open a page, run a line of JavaScript there, press keys.

Each is driven by what its makers ship. Firefox speaks WebDriver BiDi over a socket. WebKit's MiniBrowser, which Debian
and Ubuntu bring, is driven by WebKitWebDriver over HTTP, on a screen that nobody sees (Xvfb).

Why not Playwright, which drives Chromium here: its Firefox and WebKit are builds of its own, fetched from its own host.
"""

import contextlib
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import websocket

#: Seconds that a busy machine may take for one step.
PATIENCE = 180
#: What a browser that does not start, does not answer or goes away raises here.
ERRORS = (RuntimeError, OSError, websocket.WebSocketException)
KEYS = {"ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Enter": "\ue007", "Space": " "}


class Driver(Protocol):
    """One window of one browser."""

    version: str

    def size(self, width: int, height: int) -> None: ...
    def open(self, url: str) -> None: ...
    def run(self, expression: str) -> Any:
        """What an expression of JavaScript gives, or what its promise comes to."""

    def press(self, key: str) -> None: ...


def presses(key: str) -> list[dict[str, Any]]:
    value = KEYS.get(key, key)
    strokes = [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
    return [{"type": "key", "id": "keyboard", "actions": strokes}]


def _listening(process: subprocess.Popen[Any], port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args[0]} did not start")  # type: ignore[index]


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


# --------------------------------------------------------------------------------------------------- Firefox


class Firefox:
    def __init__(self, port: int) -> None:
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/session", timeout=PATIENCE, suppress_origin=True
        )
        self.calls = 0
        self.version = self._call("session.new", {"capabilities": {}})["capabilities"]["browserVersion"]
        # The window that it opened by itself never has the keyboard.
        self.page = self._call("browsingContext.create", {"type": "window"})["context"]
        self._call("browsingContext.activate", {"context": self.page})

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": params}))
        while True:  # what happens meanwhile is told on the same line
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.calls:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                return answer["result"]

    def size(self, width: int, height: int) -> None:
        viewport = {"width": width, "height": height}
        self._call("browsingContext.setViewport", {"context": self.page, "viewport": viewport})

    def open(self, url: str) -> None:
        self._call("browsingContext.navigate", {"context": self.page, "url": url, "wait": "complete"})

    def run(self, expression: str) -> Any:
        wrapped = f"(async () => JSON.stringify(await ({expression})))()"
        result = self._call(
            "script.evaluate", {"expression": wrapped, "target": {"context": self.page}, "awaitPromise": True}
        )
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"].get("value") or "null")

    def press(self, key: str) -> None:
        self._call("input.performActions", {"context": self.page, "actions": presses(key)})


@contextlib.contextmanager
def firefox(mode: str) -> Iterator[Driver]:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    port = _free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        settings = {
            "layout.css.prefers-color-scheme.content-override": 0 if mode == "dark" else 1,
            "ui.prefersReducedMotion": 1,
            "datareporting.policy.dataSubmissionEnabled": False,
            "app.update.disabledForTesting": True,
            "browser.shell.checkDefaultBrowser": False,
        }
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
        Path(profile, "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = [program or "", "--headless", "--no-remote", "--profile", profile, f"--remote-debugging-port={port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _listening(process, port)
            yield Firefox(port)
        finally:
            process.terminate()
            process.wait()


# ---------------------------------------------------------------------------------------------------- WebKit


def mini_browser() -> str | None:
    return next(iter(sorted(glob.glob("/usr/lib/*/webkit*gtk-*/MiniBrowser"), reverse=True)), None)


class WebKit:
    def __init__(self, port: int, arguments: list[str]) -> None:
        self.address = f"http://127.0.0.1:{port}"
        options = {"binary": mini_browser(), "args": ["--automation", *arguments]}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}})
        self.session = f"/session/{made['sessionId']}"
        self.version = made["capabilities"]["browserVersion"]
        self._call("POST", f"{self.session}/timeouts", {"script": PATIENCE * 1000, "pageLoad": PATIENCE * 1000})

    def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, kind, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {json.load(error)['value']['message']}") from None

    def size(self, width: int, height: int) -> None:
        self._call("POST", f"{self.session}/window/rect", {"x": 0, "y": 0, "width": width, "height": height})

    def open(self, url: str) -> None:
        self._call("POST", f"{self.session}/url", {"url": url})

    def run(self, expression: str) -> Any:
        script = (
            f"const [done] = arguments; (async () => JSON.stringify(await ({expression})))()"
            ".then(done, (error) => done(JSON.stringify({ thrown: String(error) })));"
        )
        result = json.loads(
            self._call("POST", f"{self.session}/execute/async", {"script": script, "args": []}) or "null"
        )
        if isinstance(result, dict) and "thrown" in result:
            raise RuntimeError(result["thrown"])
        return result

    def press(self, key: str) -> None:
        self._call("POST", f"{self.session}/actions", {"actions": presses(key)})

    def close(self) -> None:
        self._call("DELETE", self.session, {})


@contextlib.contextmanager
def webkit(mode: str) -> Iterator[Driver]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        reading, writing = os.pipe()
        xvfb = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1440x1000x24", "-nolisten", "tcp"]
        screen = subprocess.Popen(xvfb, pass_fds=[writing], stderr=subprocess.DEVNULL)
        stack.callback(screen.wait)
        stack.callback(screen.terminate)
        os.close(writing)
        with os.fdopen(reading) as told:
            display = told.readline().strip()
        # Without room around its buttons, MiniBrowser's window can be as narrow as a phone.
        (folder / "gtk-3.0").mkdir()
        (folder / "gtk-3.0/gtk.css").write_text("* { min-width: 0; min-height: 0; padding: 0; margin: 0 }")
        (folder / "gtk-3.0/settings.ini").write_text("[Settings]\ngtk-enable-animations=0\n")
        surroundings = {**os.environ, "DISPLAY": f":{display}", "XDG_CONFIG_HOME": str(folder)}
        surroundings |= {"XDG_DATA_HOME": str(folder / "data"), "XDG_CACHE_HOME": str(folder / "cache")}
        port = _free_port()
        command = [shutil.which("WebKitWebDriver") or "", f"--port={port}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=surroundings, **quiet)  # type: ignore[call-overload]
        stack.callback(process.wait)
        stack.callback(process.terminate)
        _listening(process, port)
        driver = WebKit(port, ["--dark-mode"] if mode == "dark" else [])
        stack.callback(driver.close)
        yield driver


BROWSERS = {"firefox": firefox, "webkit": webkit}


def missing(name: str) -> str:
    """Why a browser cannot be asked here, in a sentence; nothing if it can."""
    if name == "firefox":
        here = shutil.which("firefox-esr") or shutil.which("firefox")
        return "" if here else "Firefox is not installed, so nothing was tried in it (Debian: firefox-esr)."
    here = mini_browser() and shutil.which("WebKitWebDriver") and shutil.which("Xvfb")
    return "" if here else "WebKit is not installed, so nothing was tried in it (Debian: webkit2gtk-driver xvfb)."


# -------------------------------------------------------------------------------------- what a page does there

#: WebDriver has no ear for the console, so a page gets one, before all else of it.
EAR = """<script>(() => {
  const heard = (window.heard = []);
  const fallen = ({ message, target: { src, href } }) => heard.push(message ?? `failed: ${src ?? href}`);
  addEventListener("error", fallen, true);
  addEventListener("unhandledrejection", ({ reason }) => heard.push(String(reason)));
  for (const kind of ["error", "warn", "info", "log"]) {
    // The theme tells its makers what it does.
    console[kind] = (...words) => String(words[0]).startsWith("[PST]") || heard.push(`${kind}: ${words.join(" ")}`);
  }
})();</script>"""

#: A reader comes to each figure and picture, and waits until it stands there.
WALK = """(async () => {
  const pause = () => new Promise((done) => setTimeout(done, 20));
  const wait = async (until) => { for (let n = 0; n < 500 && !until(); n++) await pause(); };
  for (const e of document.querySelectorAll("article img, article *")) {
    if (!e.localName.includes("-") && e.localName !== "img" || !e.getClientRects().length) continue;
    e.scrollIntoView({ block: "center", behavior: "instant" });
    await wait(() => e.matches(":defined") && (e.localName !== "img" || e.complete));
  }
  scrollTo({ top: 0, behavior: "instant" });
  await document.fonts.ready;
  await pause();
})()"""

LOOK = """(() => {
  const found = [...window.heard.splice(0)];
  for (const { localName } of document.querySelectorAll(":not(:defined)")) found.push(`<${localName}> is not defined`);
  for (const e of document.querySelectorAll("article *")) {
    if (!e.localName.includes("-") || !e.matches(":defined") || !e.getClientRects().length) continue;
    const parts = e.shadowRoot ? e.shadowRoot.querySelectorAll("svg, canvas, table, button, input") : e.children;
    if (![...parts].some((part) => part.getBoundingClientRect().width)) found.push(`<${e.localName}> draws nothing`);
    if (e.shadowRoot?.querySelector(".message")) found.push(`<${e.localName}> refuses`);
  }
  for (const e of document.images) if (e.complete && !e.naturalWidth) found.push(`no picture: ${e.src}`);
  for (const face of document.fonts) if (face.status === "error") found.push(`no font: ${face.family}`);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`scrolls sideways: ${wide} at ${innerWidth}`);
  return { found, width: innerWidth, mode: document.documentElement.dataset.theme };
})()"""

# The first question that stands open: where its answer begins, and the key that gives one.
QUESTION = """(() => {
  window.asked = [...document.querySelectorAll("predict-question")].find((e) => e.getClientRects().length);
  if (!window.asked) return null;
  const place = window.asked.querySelector("input, .predict-check");
  place.scrollIntoView({ block: "center" });
  place.focus();
  return place.type === "text" || place.inputMode ? "1" : place.localName === "input" ? "Space" : "";
})()"""
CHECK = """window.asked.querySelector(".predict-check").focus()"""
ANSWERED = """window.asked.dataset.state ?? null"""

# The first thing of each kind of explorer that takes the keyboard, and the key that changes it; no key where all that
# can be done is to choose a file, whose window belongs to the system.
EXPLORER = """(() => {
  const figure = document.querySelector("TAG");
  figure.scrollIntoView({ block: "center" });
  const able = (words) =>
    [...figure.shadowRoot.querySelectorAll(words)].find((e) => e.getClientRects().length && !e.disabled);
  const walked = able("input[type=range], input[type=radio]:checked, [role=slider]");
  const chooser = able("input[type=file]");
  const place = walked ?? able("input:not([type=file]), button, summary") ?? chooser;
  place?.focus();
  if (place && place === chooser) return figure.shadowRoot.activeElement === chooser ? "" : null;
  const state = () => figure.shadowRoot.innerHTML + [...figure.shadowRoot.querySelectorAll("input")]
    .map((e) => (e.type === "range" ? e.value : e.checked));
  window.before = state();
  window.changed = () => state() !== window.before;
  if (!walked) return place ? "Space" : null;
  // From the last of a choice WebKit does not go on to the first.
  const choices = [...figure.shadowRoot.querySelectorAll(`input[type=radio][name="${walked.name}"]`)];
  return choices.length > 1 && choices.at(-1) === walked ? "ArrowLeft" : "ArrowRight";
})()"""
CHANGED = """(async () => {
  for (let n = 0; n < 100 && !window.changed(); n++) await new Promise((done) => setTimeout(done, 50));
  return window.changed();
})()"""
TAGS = """[...new Set([...document.querySelectorAll("article *")]
  .filter((e) => e.shadowRoot && e.getClientRects().length).map((e) => e.localName))]"""
RESULTS = """(async () => {
  const found = () => document.querySelectorAll("#search-results li").length;
  for (let n = 0; n < 100 && !found(); n++) await new Promise((done) => setTimeout(done, 50));
  return found();
})()"""


@contextlib.contextmanager
def with_ears(html: Path) -> Iterator[Path]:
    """The built book once more, each page with an ear; beside it, so that other files need no copy."""
    with tempfile.TemporaryDirectory(dir=html.parent, prefix=".audit-") as folder:
        copy = Path(folder, "html")
        shutil.copytree(html, copy, copy_function=_link)
        for page in copy.rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.unlink()  # the book's own stays as it is
            page.write_text(re.sub("<head>", lambda head: head[0] + EAR, text, count=1), encoding="utf-8")
        yield copy


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def look(driver: Driver, url: str, width: int, mode: str) -> list[str]:
    """What is wrong with a page as this browser shows it."""
    driver.size(width, 844)
    driver.open(url)
    driver.run(WALK)
    seen = driver.run(LOOK)
    found = [f"{text} ({width} {mode})" for text in seen["found"]]
    if (seen["width"], seen["mode"]) != (width, mode):
        found.append(f"shows {seen['width']} {seen['mode']} in place of {width} {mode}")
    return found


def operate(driver: Driver, url: str) -> list[str]:
    """What does not answer to the keyboard on the page that was opened last: a question, its explorers, the search."""
    found = []
    key = driver.run(QUESTION)
    if key is not None:
        if key:
            driver.press(key)
        driver.run(CHECK)
        driver.press("Enter")
        if driver.run(ANSWERED) is None:
            found.append("a question takes no answer")
    for tag in driver.run(TAGS):
        key = driver.run(EXPLORER.replace("TAG", tag))
        if key:
            driver.press(key)
        if key is None or (key and not driver.run(CHANGED)):
            found.append(f"<{tag}> does not follow the keyboard")
    if "search.html?q=" in url and not driver.run(RESULTS):
        found.append("the search finds nothing")
    return found + driver.run("window.heard.splice(0)")


def visit(drivers: dict[str, Driver], url: str, views: list[tuple[int, str]]) -> list[str]:
    """What is wrong with a page in one browser: in each view, and under a reader's hands in the first."""
    found = []
    for number, (width, mode) in enumerate(views):
        found += look(drivers[mode], url, width, mode)
        if number == 0:
            found += operate(drivers[mode], url)
    return found
