"""What somebody with pymilvus finds in a collection that askdocs made.

    inspect_collection.py URI NAME

Prints {"name", "rows", "documents", "dimension", "description", "companion_rows", "nearest", "failed"}. `failed` names
what is not as such a person expects; if there is any, the exit code is 1.
"""

import json
import sys

from pymilvus import DataType

from connection import connect

COLUMNS = {
    "id": DataType.INT64,
    "text": DataType.VARCHAR,
    "document": DataType.VARCHAR,
    "heading": DataType.VARCHAR,
    "position": DataType.INT64,
    "first_line": DataType.INT64,
    "last_line": DataType.INT64,
    "first_byte": DataType.INT64,
    "end_byte": DataType.INT64,
    "tokens": DataType.INT64,
    "content": DataType.VARCHAR,
    "vector": DataType.FLOAT_VECTOR,
}
STRONG = 0


def main(uri, name):
    client = connect(uri)
    failed = []

    def expect(what, found, expected):
        if found != expected:
            failed.append(f"{what}: {found!r}, not {expected!r}")

    described = client.describe_collection(name)
    fields = {field["name"]: field for field in described["fields"]}
    expect("columns", {name: field["type"] for name, field in fields.items()}, COLUMNS)
    if failed:
        sys.exit(f"{name} was not made by askdocs: {failed[0]}")
    expect("primary key", [name for name, field in fields.items() if field.get("is_primary")], ["id"])
    expect("automatic ids", described["auto_id"], False)
    expect("dynamic field", described["enable_dynamic_field"], False)
    expect("consistency", described["consistency_level"], STRONG)
    for column in ["text", "document", "heading"]:
        expect(f"length of {column}", fields[column]["params"]["max_length"], 65535)
    (index,) = [client.describe_index(name, index) for index in client.list_indexes(name)]
    expect("indexed column", index["field_name"], "vector")
    expect("index", index["index_type"], "AUTOINDEX")
    expect("metric", index["metric_type"], "IP")

    client.load_collection(name)
    (count,) = client.query(name, filter="", output_fields=["count(*)"])
    first = client.query(name, filter="position == 0", output_fields=["document"], limit=16384)
    documents = sorted(row["document"] for row in first)
    expect("documents that begin once", len(set(documents)), len(documents))

    # One document is all of one piece, found by its name.
    document = documents[0]
    literal = json.dumps(document, ensure_ascii=False)
    found = client.query(name, filter=f"document == {literal}", output_fields=["*"], limit=16384)
    # Not sorted in place: pymilvus fills this list in only as it is read.
    rows = sorted(found, key=lambda row: row["position"])
    if not rows:
        sys.exit(f"no row has document == {literal}")
    expect("positions", [row["position"] for row in rows], list(range(len(rows))))
    for row in rows:
        expect("document", row["document"], document)
        expect("lines in order", row["first_line"] <= row["last_line"], True)
        expect("bytes in order", row["first_byte"] < row["end_byte"], True)
        heading = json.loads(row["heading"])
        expect("heading is a list of texts", isinstance(heading, list) and all(isinstance(h, str) for h in heading), True)
        expect("text is not empty", row["text"] != "", True)

    probe = rows[0]
    (hits,) = client.search(
        name, data=[probe["vector"]], limit=3, search_params={"metric_type": "IP", "params": {}}, output_fields=["text"]
    )
    expect("nearest to a stored vector", hits[0]["id"], probe["id"])
    expect("its inner product with itself is 1", abs(hits[0]["distance"] - 1) < 1e-3, True)
    expect("distances fall", [h["distance"] for h in hits], sorted((h["distance"] for h in hits), reverse=True))
    expect("text of a hit", hits[0]["entity"]["text"], probe["text"])

    companion = f"{name}__askdocs"
    expect("companion", client.has_collection(companion), True)
    client.load_collection(companion)
    (companion_count,) = client.query(companion, filter="", output_fields=["count(*)"])

    report = {
        "name": name,
        "rows": count["count(*)"],
        "documents": documents,
        "dimension": fields["vector"]["params"]["dim"],
        "description": described["description"],
        "companion_rows": companion_count["count(*)"],
        "nearest": [{"id": h["id"], "distance": h["distance"], "text": h["entity"]["text"]} for h in hits],
        "failed": failed,
    }
    json.dump(report, sys.stdout, indent=1)
    print()
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
