"""The steps of the tutorial "Build RAG with Milvus and Lepton AI" between its embedding model and its language model.

    tutorial.py URI FAQ_FOLDER VECTORS.json

Drops, makes and fills `my_rag_collection` and searches it, as the tutorial does. In place of an embedding model, VECTORS
is a list of {"text", "vector"} with every text that the steps embed: the passages, and the question. Prints
{"dimension", "insert_count", "hits": [{"id", "distance", "text"}]}.
"""

import json
import sys
from glob import glob

from connection import connect

COLLECTION = "my_rag_collection"
QUESTION = "How is data stored in milvus?"


def passages(folder):
    text_lines = []
    # The tutorial takes the files as they come; in this order the ids are the same everywhere.
    for path in sorted(glob(f"{folder}/*.md")):
        with open(path, encoding="utf-8") as file:
            text_lines += file.read().split("# ")
    return text_lines


def main(uri, folder, vectors):
    with open(vectors, encoding="utf-8") as file:
        vector_of = {entry["text"]: entry["vector"] for entry in json.load(file)}
    text_lines = passages(folder)
    missing = [text for text in [QUESTION, *text_lines] if text not in vector_of]
    if missing:
        sys.exit(f"{vectors} has no vector for {len(missing)} of {1 + len(text_lines)} texts, the first is {missing[0]!r}")
    dimension = len(vector_of[QUESTION])

    client = connect(uri)
    if client.has_collection(COLLECTION):
        client.drop_collection(COLLECTION)
    client.create_collection(
        collection_name=COLLECTION,
        dimension=dimension,
        metric_type="IP",
        consistency_level="Strong",
    )
    data = [{"id": i, "vector": vector_of[line], "text": line} for i, line in enumerate(text_lines)]
    inserted = client.insert(collection_name=COLLECTION, data=data)
    found = client.search(
        collection_name=COLLECTION,
        data=[vector_of[QUESTION]],
        limit=3,
        search_params={"metric_type": "IP", "params": {}},
        output_fields=["text"],
    )
    hits = [{"id": hit["id"], "distance": hit["distance"], "text": hit["entity"]["text"]} for hit in found[0]]
    json.dump({"dimension": dimension, "insert_count": inserted["insert_count"], "hits": hits}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
