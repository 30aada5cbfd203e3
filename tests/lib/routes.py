"""The worker's routes, read off the table in src/route.c as the compiler sees it, so that a test of
all routes cannot forget a new one."""
import collections
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src/route.c"

# path: with its placeholders; operations: {name in lower case: whether it loads something of the
# namespace's before its handler runs}.
Route = collections.namedtuple("Route", "path operations")


def read():
    """All of them, in order. Needs the compiler, and the checkout to be readable."""
    text = subprocess.run(["gcc", "-E", "-P", SOURCE], check=True, capture_output=True, text=True).stdout
    table = re.search(r"struct route routes\[\] = \{(.*?)\n};", text, re.S)[1]
    routes = []
    for entry in table.split(".path =")[1:]:
        path = re.match(r'(?:\s*"[^"]*")+', entry)[0]
        operations = re.findall(r"\[OPERATION_(\w+)\]\s*=\s*\{\s*handler_\w+\s*,\s*([^,}]*)", entry)
        routes.append(Route("".join(re.findall(r'"([^"]*)"', path)),
                            {name.lower(): load.strip().startswith("store_") for name, load in operations}))
    if not all(route.operations for route in routes) or len(routes) != table.count(".operations ="):
        raise RuntimeError("src/route.c is not understood")
    return routes
