"""Every text and vector of collections that askdocs made or that have `text` and `vector` columns.

    vectors.py URI NAME...

Prints a list of {"text", "vector"}.
"""

import json
import sys

from connection import connect


def main(uri, names):
    client = connect(uri)
    rows = []
    for name in names:
        client.load_collection(name)
        found = client.query(name, filter="id >= 0", output_fields=["text", "vector"], limit=1000)
        rows += [{"text": row["text"], "vector": [float(value) for value in row["vector"]]} for row in found]
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
