#!/usr/bin/env python3
"""Measures the application as a terminal sees it, against its limits, and prints ratios.

    python3 benches/terminal.py [PART...]

Parts: first-frame, idle, history, keys, slow-line, in-process; all of them where none is named. ASKDOCS and PARTS name
programs that are built already. Needs the embedding model (target/test-cache) and nothing else beside the Python
standard library: the model server is this script again, on a loopback port.
"""

import json, os, pathlib, random, re, select, socket, subprocess, sys, tempfile, threading, time, unicodedata

NAMED, sys.argv[1:] = sys.argv[1:], []
from measure import COLUMNS, ROOT, ROWS, Terminal, build, environment, first_frame, median, run

# The keys that are pressed.
ENTER, CLEAR, REDRAW, REINDEX, PAGE_UP, PAGE_DOWN = b"\r", b"\x15", b"\x0c", b"\x12", b"\x1b[5~", b"\x1b[6~"
# Letters that nothing else on the screen holds: an echo is told from everything that is drawn beside it.
LETTERS = [chr(code) for code in range(0x0430, 0x0450)]
missed = []


def says(what, value, limit, unit=""):
    """Prints a figure beside its limit."""
    holds = value <= limit
    print(f"  {'ok    ' if holds else 'MISSED'} {what}: {value:.3g}{unit} (limit {limit:g}{unit})")
    if not holds:
        missed.append(what)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


# --- a model server -------------------------------------------------------------------------------------------------


def pause_behind(word):
    """Lines of 12 words, paragraphs of five lines."""
    return " " if word % 12 else "\n" if word % 60 else "\n\n"


def answer(question):
    """Events of the answer to a question such as `lines 500` or `stream 12 1000`: seconds, tokens a second."""
    words = question.split()
    event = lambda text: b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"
    if "lines" in words:
        count = int(words[words.index("lines") + 1])
        lines = [f"- line {i:05} of the answer, with words enough to fill most of a row\n" for i in range(count)]
        for start in range(0, count, 50):
            yield 0.0, b"".join(map(event, lines[start : start + 50]))
    elif "stream" in words:
        seconds, pace = map(int, words[words.index("stream") + 1 :][:2])
        for step in range(seconds * 100):
            tokens = range(step * pace // 100, (step + 1) * pace // 100)
            yield 0.01, b"".join(event(f"w{i:05}{pause_behind(i)}") for i in tokens)
    yield 0.0, event("\n\nTHE END") + b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def serve_one(stream):
    with stream, stream.makefile("rb") as reader:
        length = 0
        while (line := reader.readline().strip().lower()):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        question = json.loads(reader.read(length))["messages"][-1]["content"].rsplit("Question:", 1)[-1]
        asked = re.search(r"(lines \d+|stream \d+ \d+)", question)
        stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        due = time.monotonic()
        try:
            for pause, events in answer(asked[0] if asked else ""):
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))
                stream.sendall(events)
        except OSError:
            pass  # the application hung up


def serve():
    """Prints its port; ends when its standard input does."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        threading.Thread(target=serve_one, args=(listener.accept()[0],), daemon=True).start()


# --- what a terminal shows ------------------------------------------------------------------------------------------


class Screen:
    """As much of a terminal as the application uses: text, cursor moves, clearing. Colours are passed over."""

    SEQUENCE = re.compile(rb"\x1b\[([?<>=]?)([\d;]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]]")

    def __init__(self):
        self.cells, self.at, self.rest = {}, [0, 0], b""

    def feed(self, data):
        data = self.rest + data
        # What is cut off in the middle waits for its other half.
        cut = len(data)
        if (escape := data.rfind(b"\x1b")) >= 0 and not self.SEQUENCE.match(data, escape):
            cut = escape
        while cut and data[cut - 1] & 0xC0 == 0x80 or cut and data[cut - 1] >= 0xC0:
            if not self._is_cut(data[:cut]):
                break
            cut -= 1
        self.rest, data, position = data[cut:], data[:cut], 0
        for match in self.SEQUENCE.finditer(data):
            self._write(data[position : match.start()])
            position = match.end()
            self._obey(match)
        self._write(data[position:])

    @staticmethod
    def _is_cut(data):
        try:
            data.decode()
            return False
        except UnicodeDecodeError as error:
            return error.end == len(data)

    def _obey(self, match):
        if match[3] == b"H":
            row, column = (list(map(int, match[2].split(b";"))) + [1, 1])[:2] if match[2] else (1, 1)
            self.at = [row - 1, column - 1]
        elif match[3] == b"J":
            self.cells.clear()
        elif match[3] not in (None, b"m", b"h", b"l", b"u", b"q", b"t", b"c", b"n"):
            raise ValueError(f"{match[0]!r} is not known here")

    def _write(self, data):
        for c in data.decode(errors="replace"):
            if c in "\r\n":
                self.at = [self.at[0] + (c == "\n"), self.at[1] if c == "\n" else 0]
                continue
            if unicodedata.combining(c):
                continue
            self.cells[tuple(self.at)] = c
            self.at[1] += 2 if unicodedata.east_asian_width(c) in "WF" else 1

    def rows(self):
        return ["".join(self.cells.get((y, x), " ") for x in range(COLUMNS)).rstrip() for y in range(ROWS)]

    def text(self):
        return "\n".join(self.rows())


class Application(Terminal):
    """The application in a terminal that shows what it is sent."""

    running = []

    def __init__(self, command, env):
        super().__init__(command, env)
        self.screen, self.written = Screen(), 0
        self.running.append(self)

    def end(self):
        self.running.remove(self)
        super().end()

    def take(self, seconds):
        piece = self.read(seconds)
        self.show(piece)
        return piece

    def show(self, piece):
        self.screen.feed(piece)
        self.written += len(piece)

    def wait(self, text, seconds=60):
        deadline = time.monotonic() + seconds
        while text not in self.screen.text():
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} never came:\n{self.screen.text()}"
            self.take(left)

    def settle(self, seconds=0.5):
        """Until nothing has come for so long."""
        while self.take(seconds):
            pass

    def press(self, key):
        os.write(self.fd, key)

    def ask(self, question, until=None):
        self.press(question.encode())
        self.settle(0.1)
        self.press(ENTER)
        if until:
            self.wait(until)
            self.settle()

    def _tasks(self, name):
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                yield (task / name).read_text()
            except OSError:
                pass  # it has just ended

    def cpu(self):
        """Seconds on a processor, of all threads."""
        return sum(int(text.split()[0]) for text in self._tasks("schedstat")) / 1e9

    def switches(self):
        """How often each thread gave way, by its id."""
        found = {}
        for text in self._tasks("status"):
            found[re.search(r"Pid:\s*(\d+)", text)[1]] = sum(map(int, re.findall(r"ctxt_switches:\s*(\d+)", text)))
        return found

    def memory(self):
        """Bytes that are this process's own."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return sum(int(n) for n in re.findall(r"Private_\w+:\s*(\d+) kB", text)) * 1024


# --- the parts ------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, home, askdocs, parts, env, server):
        self.home, self.askdocs, self.parts, self.env, self.server = home, askdocs, parts, env, server

    def open(self, *arguments):
        app = Application([self.askdocs, *arguments], self.env)
        app.wait("● ready")
        app.settle()
        return app

    def first_frame(self):
        print("first frame")
        says("first frame beside a bare ratatui hello world", first_frame(self.askdocs, self.parts, self.env), 3, "x")

    def idle(self):
        print("idle for 5 s, after an answer")
        app = self.open()
        app.ask("stream 1 200", "THE END")
        while app.take(2.0):
            pass
        ticks, switches, count, start = app.ticks(), app.switches(), 0, time.monotonic()
        while (left := start + 5 - time.monotonic()) > 0:
            count += len(app.take(left))
        says("bytes written", count, 0)
        says("CPU ticks", app.ticks() - ticks, 0)
        after = app.switches()
        says("context switches", sum(after[thread] - switches.get(thread, 0) for thread in after), 1)
        app.end()

    def frames(self, app, keys, count):
        """Seconds of CPU for each of so many frames, all threads together."""
        costs = []
        for i in range(count):
            before = app.cpu()
            app.press(keys[i % len(keys)])
            if app.take(0.5):
                app.settle(0.012)
                costs.append(app.cpu() - before)
        return costs

    def history(self):
        print("50,000 lines of history")
        app = self.open()
        typing = [letter.encode() for letter in LETTERS] + [CLEAR]
        app.ask("lines 60", "THE END")
        app.press(CLEAR)
        app.settle()
        none = self.frames(app, typing, 320)
        base = app.memory()
        sent = 0
        for _ in range(50):
            app.ask("lines 1000")
            sent += sum(len(events) for _, events in answer("lines 1000")) - 1000 * len(b'data: {"choices": [{"delta": {"content": ""}}]}\n\n')
            app.settle(1.0)
        app.wait("● ready")
        app.settle()
        grown = app.memory() - base
        many = self.frames(app, typing, 320)
        paging = self.frames(app, [PAGE_UP] * 20 + [PAGE_DOWN] * 20, 320)
        print(f"  {sent / 1e6:.1f} MB of answers; typing: {median(none) * 1e3:.2f} ms of CPU a frame without, {median(many) * 1e3:.2f} with")
        print(f"  paging through it: {median(paging) * 1e3:.2f} ms of CPU a frame, p99 {percentile(paging, 0.99) * 1e3:.2f}")
        says("a frame with it beside one without", median(many) / median(none), 1.2, "x")
        says("frame p99, all threads", percentile(many + paging, 0.99) * 1e3, 3.3, " ms")
        says("memory beyond the base beside the bytes of history", grown / sent, 3, "x")
        app.end()

    def echoes(self, app, count):
        """Seconds from a key to its letter on the line, for so many keys. What comes is looked at afterwards: that takes
        this script longer than the application, and no terminal so long."""
        times, dice, pieces = [], random.Random(7), []
        while len(times) < count:
            for letter in LETTERS:
                pause = time.monotonic() + dice.uniform(0.03, 0.09)
                while (left := pause - time.monotonic()) > 0:
                    pieces.append(app.read(left))
                start, seen, wanted = time.perf_counter(), b"", letter.encode()
                app.press(wanted)
                while wanted not in seen:
                    piece = app.read(5)
                    assert piece, f"{letter} never came:\n{app.screen.text()}"
                    seen += piece
                times.append(time.perf_counter() - start)
                pieces.append(seen)
            app.press(CLEAR)
            pieces.append(app.read(0.05))
        for piece in pieces:
            app.show(piece)
        return times[:count]

    def keys(self):
        print("key to bytes, 400 keys each")
        folder = self.home / "documents"
        folder.mkdir()
        (folder / "first.md").write_text("# First\n\nOne page to begin with.\n")
        run([self.askdocs, "ingest", str(folder), "--collection", "work", "--json"], env=self.env)
        app = self.open("--collection", "work")
        app.ask("lines 30", "THE END")
        idle = self.echoes(app, 400)
        words = "store index vector passage token score answer question segment node data log".split()
        dice = random.Random(1)
        for i in range(1500):
            text = "\n\n".join(" ".join(dice.choices(words, k=120)) + "." for _ in range(6))
            (folder / f"page{i}.md").write_text(f"# Page {i}\n\n{text}\n")
        app.press(REINDEX)
        app.wait("indexing")
        app.ask("stream 90 1000")
        app.wait("w0")
        busy = self.echoes(app, 400)
        text = app.screen.text()
        assert "indexing" in text and "THE END" not in text, f"it was over before the keys were:\n{text}"
        app.end()
        for name, times in (("idle", idle), ("ingesting and streaming 1,000 tokens/s", busy)):
            print(f"  {name}: p50 {median(times) * 1e3:.2f} ms, p99 {percentile(times, 0.99) * 1e3:.2f} ms")
        says("p99 while busy beside p99 while idle", percentile(busy, 0.99) / percentile(idle, 0.99), 2, "x")

    def over(self, bytes_per_s):
        """The same answer and keys over a line of this speed: the last screen, and how long the slowest echo took."""
        app = self.open()
        app.ask("stream 8 400")
        typed, next_key, budget, last = "", time.monotonic(), 0.0, time.monotonic()
        stop = time.monotonic() + 8
        letters = iter(LETTERS * 2)
        slowest, waiting = 0.0, {}
        while "THE END" not in app.screen.text() or typed not in app.screen.text() or time.monotonic() < stop:
            now = time.monotonic()
            assert now < stop + 120, f"{typed!r} or the end never came:\n{app.screen.text()}"
            if now >= next_key and len(typed) < 48:
                letter = next(letters)
                app.press(letter.encode())
                typed, next_key = typed + letter, now + 0.15
                waiting[typed] = now
            if bytes_per_s:
                budget = min(budget + (now - last) * bytes_per_s, 512)
                last = now
                if budget < 64:
                    time.sleep(0.005)
                    continue
                ready, _, _ = select.select([app.fd], [], [], 0.02)
                if ready:
                    try:
                        piece = os.read(app.fd, int(budget))
                    except OSError as error:
                        raise SystemExit(f"it ended: {error}; the screen:\n{app.screen.text()}")
                    budget -= len(piece)
                    app.screen.feed(piece)
            else:
                app.take(0.02)
            for text in [text for text in waiting if text in app.screen.text()]:
                slowest = max(slowest, now - waiting.pop(text))
        app.settle()
        rows = app.screen.rows()
        # Every token, as the application keeps them.
        exports = set(self.home.glob("state/exports/*.json"))
        app.press(CLEAR)
        app.ask("/export", "written to")
        [export] = set(self.home.glob("state/exports/*.json")) - exports
        answer = json.loads(export.read_text())["answer"]
        app.press(CLEAR)
        app.settle()
        shown = app.screen.rows()
        app.press(REDRAW)
        app.settle()
        assert app.screen.rows() == shown, "a whole redraw shows something else"
        app.end()
        # Times differ from run to run.
        rows = [re.sub(r"(embed|search|prompt|first token) \d+", r"\1 #", row) for row in rows]
        return [re.sub(r"\d+(\.\d+)? ?(ms|s|/s)\b|[█▏▎▍▌▋▊▉]+", "#", row) for row in rows], answer, slowest

    def slow_line(self):
        print("a line of 10 KB/s")
        fast, answer, echo = self.over(None)
        for draft in self.home.glob("state/draft*"):
            draft.unlink()  # it was killed before it had forgotten what was written
        slow, slow_answer, slow_echo = self.over(10_000)
        differing = [(a, b) for a, b in zip(fast, slow) if a != b and re.sub(r"[#\s]", "", a) != re.sub(r"[#\s]", "", b)]
        for a, b in differing:
            print(f"    fast {a}\n    slow {b}")
        says("rows that differ from a fast line's", len(differing), 0)
        words = lambda text: re.findall(r"w\d{5}", str(text))
        says(f"tokens lost of {len(words(answer))}", len(set(words(answer)) ^ set(words(slow_answer))) + (len(words(answer)) != 3200), 0)
        print(f"  slowest echo: {echo * 1e3:.0f} ms over a fast line, {slow_echo:.2f} s over the slow one")

    def in_process(self):
        print("in process (benches/screen.rs)", flush=True)
        subprocess.run(["cargo", "bench", "--quiet", "--bench", "screen"], cwd=ROOT, check=True)


def main():
    parts = [name.replace("-", "_") for name in NAMED]
    known = ["first_frame", "idle", "history", "keys", "slow_line", "in_process"]
    assert set(parts) <= set(known), f"parts are {', '.join(known)}"
    named = os.environ.get("ASKDOCS"), os.environ.get("PARTS")
    askdocs, counterparts = named if all(named) else build()
    cache = pathlib.Path(os.environ.get("ASKDOCS_TEST_CACHE", ROOT / "target/test-cache")).resolve()
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    port = int(server.stdout.readline())
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        (home / "cache").symlink_to(cache)
        (home / "config.toml").write_text(
            f'[llm]\nprovider = "custom"\nbase_url = "http://127.0.0.1:{port}/v1"\nmodel = "scripted"\n'
        )
        env = environment(home)
        run([askdocs, "search", "x", "--json"], env=env)  # the handbook's index, and the model if it is not there
        bench = Bench(home, askdocs, counterparts, env, server)
        try:
            for part in parts or known:
                getattr(bench, part)()
        finally:
            for app in list(Application.running):
                app.end()
    server.stdin.close()
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    serve() if NAMED == ["serve"] else main()
