"""The Milvus adapter beside the bare Rust client and beside pymilvus, against one server, in one run.

    .ci/milvus-server "$(.ci/pymilvus-env)" benches/milvus.py [ROWS] [ROUNDS]

Builds the bench, then lets the three insert and search in turn and prints medians and ratios. All insert in calls of
1,000 rows; the adapter writes the documents' records and the keyword index as well.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time

from pymilvus import DataType, MilvusClient

DIM, AT_ONCE, SEARCHES, TOP = 384, 1000, 400, 100
uri = os.environ["ASKDOCS_TEST_MILVUS"]
rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3


def bench_program():
    build = ["cargo", "bench", "--bench", "milvus", "--no-run", "--message-format=json"]
    out = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "milvus":
            return message["executable"]
    raise SystemExit("no bench was built")


def rust(program, what, how):
    return float(subprocess.run([program, uri, what, how, str(rows)], check=True, stdout=subprocess.PIPE, text=True).stdout)


def vector(source):
    raw = [source.random() - 0.5 for _ in range(DIM)]
    length = sum(value * value for value in raw) ** 0.5
    return [value / length for value in raw]


def python_rows():
    source = random.Random(1)
    texts = [" ".join(f"word{source.randrange(20000)}" for _ in range(60)) for _ in range(2000)]
    return [
        {
            "id": number, "text": texts[number % 2000], "document": f"folder/document-{number // 20}.md",
            "heading": "A heading", "position": number % 20, "vector": vector(source),
        }
        for number in range(rows)
    ]


def python_insert(client, data):
    if client.has_collection("bench_python"):
        client.drop_collection("bench_python")
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in ("text", "document", "heading"):
        schema.add_field(name, DataType.VARCHAR, max_length=65535)
    schema.add_field("position", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    client.create_collection("bench_python", schema=schema, index_params=index, consistency_level="Strong")
    start = time.perf_counter()
    for at in range(0, rows, AT_ONCE):
        client.insert("bench_python", data[at:at + AT_ONCE])
    return time.perf_counter() - start


def python_search(client):
    source, times = random.Random(7), []
    for _ in range(SEARCHES):
        query = vector(source)
        start = time.perf_counter()
        client.search("bench", [query], limit=TOP, consistency_level="Session")
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


program, client, data = bench_program(), MilvusClient(uri=uri), python_rows()
results = {}
for _ in range(rounds):
    for how in ("adapter", "bare"):
        results.setdefault(("insert", how), []).append(rust(program, "insert", how))
    results.setdefault(("insert", "pymilvus"), []).append(python_insert(client, data))
client.flush("bench")
client.load_collection("bench")
time.sleep(5)
for _ in range(rounds):
    for how in ("adapter", "bare"):
        results.setdefault(("search", how), []).append(rust(program, "search", how))
    results.setdefault(("search", "pymilvus"), []).append(python_search(client))
for what, unit in (("insert", "s"), ("search", "ms")):
    median = {how: statistics.median(results[what, how]) for how in ("adapter", "bare", "pymilvus")}
    print(f"{what} of {rows} x {DIM}, medians of {rounds}: " + ", ".join(f"{how} {value:.3f} {unit}" for how, value in median.items()))
    print(f"  adapter : bare {median['adapter'] / median['bare']:.2f}   adapter : pymilvus {median['adapter'] / median['pymilvus']:.2f}")
for name in ("bench", "bench__askdocs", "bench_bare", "bench_python"):
    client.drop_collection(name)
