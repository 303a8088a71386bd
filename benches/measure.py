#!/usr/bin/env python3
"""Measures the built program from outside, against counterparts in the same run, and prints ratios.

    python3 benches/measure.py [CORPUS [QUESTIONS]]

CORPUS is a copy of the Milvus 2.4 documentation (it holds en/faq/*.md), QUESTIONS a JSON-lines file of
{question, path, snippet, answerable, alts}; both default to ../shared and parts that need them are left out where they
are missing. Runs are interleaved and medians are printed, since machines are noisy.
"""

import fcntl, json, os, pathlib, pty, select, shutil, signal, statistics, struct, subprocess, sys, tempfile, termios, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "../shared/corpora/milvus-docs").resolve()
QUESTIONS = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "../shared/sets/milvus-questions.jsonl").resolve()
ROWS, COLUMNS = 40, 120
QUESTION = "How is data stored in milvus?"


def build():
    """Builds both programs; returns their paths."""
    found = {}
    for what in (["build", "--release"], ["bench", "--no-run", "--bench", "parts"]):
        lines = subprocess.run(["cargo", *what, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        for line in lines.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                found[message["target"]["name"]] = message["executable"]
    return found["askdocs"], found["parts"]


def run(command, **options):
    """Runs to the end; returns seconds, peak memory in MB, standard output."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode in (0, 3), (command, child.returncode)
    return seconds, usage.ru_maxrss / 1024, out


def median(values):
    return statistics.median(values)


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command, environment):
        self.start = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve(command[0], command, environment)

    def read(self, seconds):
        """What comes within this time; empty when nothing does."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        try:
            return os.read(self.fd, 65536) if ready else b""
        except OSError:
            return b""

    def until(self, text):
        seen = b""
        while text not in seen:
            piece = self.read(20)
            assert piece, f"{text!r} never came; seen: {seen[-300:]!r}"
            seen += piece
        return time.perf_counter() - self.start

    def ticks(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def environment(home):
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**keep, "TERM": "xterm-256color", "ASKDOCS_HOME": str(home)}


def first_frame(askdocs, parts, env):
    ours, bare = [], []
    for _ in range(15):
        for times, command, text in ((ours, [askdocs], b"Chat"), (bare, [parts, "hello"], b"hello")):
            terminal = Terminal(command, env)
            times.append(terminal.until(text))
            terminal.end()
    a, b = median(ours) * 1e3, median(bare) * 1e3
    print(f"first frame: {a:.1f} ms; a bare ratatui hello world {b:.1f} ms; ratio {a / b:.2f}")
    return a / b


def idle(askdocs, env):
    terminal = Terminal([askdocs], env)
    terminal.until(b"ready")
    while terminal.read(1.0):
        pass
    ticks, count, start = terminal.ticks(), 0, time.perf_counter()
    while (left := start + 5 - time.perf_counter()) > 0:
        count += len(terminal.read(left))
    print(f"idle for 5 s: {count} bytes written, {terminal.ticks() - ticks} CPU ticks")
    terminal.end()


def shell(askdocs, env, collection):
    for mode in ("keyword", "hybrid"):
        command = [askdocs, "search", QUESTION, "--mode", mode, "--json", "--collection", collection]
        runs = [run(command, env=env) for _ in range(15)]
        start = [run([askdocs, "--version"], env=env)[0] for _ in range(15)]
        print(
            f"{mode} search in a fresh process: {median([r[0] for r in runs]) * 1e3:.1f} ms "
            f"(process start {median(start) * 1e3:.1f} ms), peak memory {max(r[1] for r in runs):.0f} MB"
        )


def ingest(askdocs, parts, env, home, cache):
    def command(name):
        return [askdocs, "ingest", str(CORPUS), "--glob", "en/faq/*.md", "--chunker", "split:# ", "--collection", name, "--json"]

    _, _, out = run(command("faq"), env=env)
    report = json.loads(out)
    texts = [piece for page in sorted((CORPUS / "en/faq").glob("*.md")) for piece in page.read_text().split("# ")]
    assert report["passages"] == len(texts) == 72, report
    (home / "texts.json").write_text(json.dumps(texts))
    ours, bare, peak = [], [], 0
    for i in range(5):
        seconds, memory, _ = run(command(f"faq{i}"), env=env)
        ours.append(seconds)
        peak = max(peak, memory)
        bare.append(run([parts, "embed", str(cache), str(home / "texts.json")], env=env)[0])
    a, b = median(ours), median(bare)
    print(f"ingest of the Milvus FAQ: {a:.2f} s; load and bare embedding {b:.2f} s; ratio {a / b:.2f}; peak {peak:.0f} MB")


def hits(askdocs, env, collection, mode, limit=3):
    squeeze = lambda text: " ".join(text.split())
    asked = found = 0
    for line in QUESTIONS.read_text().splitlines():
        question = json.loads(line)
        if not question["answerable"] or not question["path"].startswith("faq/"):
            continue
        command = [askdocs, "search", question["question"], "--mode", mode, "-k", str(limit), "--json", "--collection", collection]
        texts = [squeeze(hit["text"]) for hit in json.loads(run(command, env=env)[2])["hits"]]
        wanted = [squeeze(snippet["snippet"]) for snippet in [question, *question["alts"]]]
        asked += 1
        hit = any(snippet in text for snippet in wanted for text in texts)
        found += hit
        if not hit:
            print(f"    missed: {question['question']}")
    print(f"{collection}, {mode}: hit@{limit} {found / asked:.3f} ({found} of {asked} questions)")


def main():
    askdocs, parts = build()
    cache = pathlib.Path(os.environ.get("ASKDOCS_TEST_CACHE", ROOT / "target/test-cache")).resolve()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        (home / "cache").symlink_to(cache)
        env = environment(home)
        run([askdocs, "search", "x", "--json"], env=env)  # the handbook's index, and the model if it is not there
        first_frame(askdocs, parts, env)
        idle(askdocs, env)
        shell(askdocs, env, "handbook")
        _, _, out = run([parts, "search", str(home), "handbook", QUESTION], env=env)
        warm = json.loads(out)
        print(f"warm search: {warm['search_ms']:.2f} ms; the query's embedding alone {warm['embed_ms']:.2f} ms")
        if not (CORPUS / "en/faq").is_dir():
            print(f"no {CORPUS}: the FAQ's figures are left out")
            return
        ingest(askdocs, parts, env, home, cache)
        print("questions while a folder is indexed, against the same while that is paused:")
        print(run([parts, "during", str(cache), str(CORPUS)], env=env)[2].decode().strip())
        run([askdocs, "ingest", str(CORPUS), "--glob", "en/faq/*.md", "--collection", "headings", "--json"], env=env)
        for collection in ("faq", "headings"):
            for mode in ("dense", "hybrid"):
                hits(askdocs, env, collection, mode)


if __name__ == "__main__":
    main()
