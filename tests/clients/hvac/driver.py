"""hvac, driven: a line of stdin asks for an operation, a line of stdout says what hvac returned
or raised. tests/e2e/clients.py has the words."""
import functools
import json
import sys

import hvac
import requests

client = hvac.Client()  # by VAULT_ADDR and VAULT_CACERT

OPERATIONS = {
    "write": lambda path, data: client.write_data(path, data=data),
    "read": lambda path, data: client.read(path),
    "list": lambda path, data: client.list(path),  # GET ?list=True
    "list otherwise": lambda path, data: client.adapter.list("/v1/" + path),
    "delete": lambda path, data: client.delete(path),
    # One of the client's own methods, such as sys.read_health_status, with data as its arguments.
    "call": lambda path, data: functools.reduce(getattr, path.split("."), client)(**data or {}),
}


def outcome(ask):
    client.token = ask["token"]
    client.adapter.namespace = ask["namespace"]
    try:
        returned = OPERATIONS[ask["operation"]](ask["path"], ask["data"])
    except hvac.exceptions.VaultError as error:
        return {"raised": type(error).__name__, "text": error.args[0]}
    except requests.RequestException as error:
        return {"raised": type(error).__name__, "text": str(error)}
    if isinstance(returned, requests.Response):
        return {"returned": {"response": returned.status_code}}
    return {"returned": returned}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))), flush=True)
