"""How these scripts reach Milvus: the address is their first argument, the rest is in the environment as
`.ci/milvus-server` sets it."""

import os

from pymilvus import MilvusClient


def connect(uri):
    settings = {"uri": uri, "timeout": 10}
    if uri.startswith("https:"):
        setting = lambda name: os.environ.get(f"ASKDOCS_TEST_MILVUS_{name}", "")
        mutual = setting("CERT") != ""
        settings["token"] = setting("TOKEN")
        settings["ca_pem_path" if mutual else "server_pem_path"] = setting("CA")
        if mutual:
            settings["client_pem_path"] = setting("CERT")
            settings["client_key_path"] = setting("KEY")
    return MilvusClient(**settings)
