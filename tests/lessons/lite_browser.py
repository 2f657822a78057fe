"""A site of static files, served on this machine and opened in headless Chromium, which is asked questions in JavaScript."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import websocket

from tests.lessons.browser import CHROMIUM, FLAGS

ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # the last one given counts
OPTIONS = ("--remote-debugging-port=0", "--remote-allow-origins=*", "--window-size=1300,1500", ONLY_HERE)


class Silent(http.server.SimpleHTTPRequestHandler):
    """A handler that writes no log."""

    def log_message(self, *args: Any) -> None:
        pass


class Page:
    """A page in Chromium. origin: the address of its site."""

    def __init__(self, connection: Any, origin: str) -> None:
        self._connection, self._ids, self.origin = connection, itertools.count(1), origin

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of Chromium's protocol and return its result."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._connection.recv())
            if answer.get("id") == number:
                return answer["result"]

    def wait_for(self, script: str, seconds: float) -> Any:
        """The first value of a JavaScript expression that is neither null nor false. AssertionError: there is none for so long."""
        until, value = time.monotonic() + seconds, None
        while time.monotonic() < until:
            value = self.send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")
            if value:
                return value
            time.sleep(0.5)
        raise AssertionError(f"after {seconds} s still {value!r}: {script}")


@contextlib.contextmanager
def opened(site: Path, path: str, scratch: Path) -> Iterator[Page]:
    """The page `path` of a site, in Chromium; both end with the block. Then the net log of page and workers lies in scratch/net.json."""
    assert CHROMIUM is not None
    handler = functools.partial(Silent, directory=str(site))
    with contextlib.ExitStack() as ending, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = f"--user-data-dir={scratch / 'profile'}", f"--log-net-log={scratch / 'net.json'}"
        command = [CHROMIUM, *FLAGS, *OPTIONS, *files, "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as browser:
            assert browser.stderr is not None
            try:
                port = next(found[1] for line in browser.stderr if (found := re.search(r"ws://127.0.0.1:(\d+)/", line)))
                threading.Thread(target=lambda: [None for _ in browser.stderr or ()], daemon=True).start()  # so that its pipe never fills
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                    target = next(one for one in json.load(answer) if one["type"] == "page")
                connection = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=60)
                ending.callback(connection.shutdown)
                page = Page(connection, f"http://127.0.0.1:{server.server_port}/")
                page.send("Page.navigate", url=page.origin + path)
                yield page
                page.send("Browser.close")
                browser.wait(30)
            finally:
                browser.terminate()
                browser.wait()
                server.shutdown()
