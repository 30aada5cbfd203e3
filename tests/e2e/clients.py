#!/usr/bin/python3
"""The published clients that people have, against the whole chain: hvac, node-vault and Vault's own
Go client do one table of operations, and each must make the same of every answer.

tests/clients/ pins and fetches them; each has a driver there that is asked, a line of JSON each,
    {"operation", "path", "data", "token", "namespace"}
and says {"returned": …} or {"raised": its kind, "text": …}, as the client gave it. A client that
cannot be had here (no package manager, no way to its index) is skipped, and counted.
"""
import json
import os
import re
import select
import shutil
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CHECKOUT, CONTAINER, NO_TOKEN, NOT_ALLOWED, stack  # noqa: E402
from processes import start, wait_for  # noqa: E402

CATALOG, CONTAINER = CATALOG.removeprefix("/v1/"), CONTAINER.removeprefix("/v1/")
SKIPPED = 77  # fetch.py's exit status

# --- what an operation can come to

NOTHING = "204"


def data(value):
    return {"data": value}


def refused(status, text):
    """A pattern for the error's text."""
    return status, text


def exactly(text):
    return r"\A" + re.escape(text) + r"\Z"


MISSING = refused(404, r"\A\Z")  # {"errors":[]}


def stored(name, **given):
    return {"type": "container", "name": name, "oci_runtime": "runsc", "cgroup_parent": "", "cpu_nanos": 0,
            "memory_bytes": 0, "rootless": False, **given}


def runtimes(*items):
    return data({"runtimes": list(items)})


# --- the table: (name, operation, path, data, outcome[, who asks])

FULL = {"oci_runtime": "kata & <gVisor>", "cgroup_parent": "/grün/", "cpu_nanos": 1000,
        "memory_bytes": 2**53 - 1, "rootless": True}
EXAMPLE, USED = CONTAINER + "example", CONTAINER + "used"
BOTH = runtimes(stored("example", cpu_nanos=7), stored("used"))

LIFE = [
    ("read what is not there", "read", EXAMPLE, None, MISSING),
    ("write every field", "write", EXAMPLE, FULL, NOTHING),
    ("read every field", "read", EXAMPLE, None, data(stored("example", **FULL))),
    ("write without a body", "write", EXAMPLE, None, NOTHING),
    ("read the defaults", "read", EXAMPLE, None, data(stored("example"))),
    ("write a field that nobody knows", "write", EXAMPLE, {"cpu_nanos": 7, "colour": "red"}, NOTHING),
    ("list", "list", CATALOG, None, BOTH),
    ("list otherwise", "list otherwise", CATALOG, None, BOTH),
    ("read the list of a type", "read", CATALOG + "?type=container", None, BOTH),
]
BAD = [
    ("a negative number", "write", EXAMPLE, {"cpu_nanos": -1}, refused(400, "cpu.*negative")),
    ("words for a number", "write", EXAMPLE, {"memory_bytes": "many"}, refused(400, "memory_bytes")),
    ("a list for a string", "write", EXAMPLE, {"cgroup_parent": ["a"]}, refused(400, "cgroup_parent")),
    ("a number for a string", "write", EXAMPLE, {"oci_runtime": 5}, refused(400, "oci_runtime")),
    ("a type that is not there: write", "write", CATALOG + "/docker/example", {}, refused(404, "unsupported path")),
    ("a type that is not there: read", "read", CATALOG + "/docker/example", None, refused(404, "unsupported path")),
    ("a type that is not there: delete", "delete", CATALOG + "/docker/example", None, refused(404, "unsupported path")),
    ("a name that is none", "write", CONTAINER + "-a", {}, refused(404, "unsupported path")),
    ("write where only reading is", "write", CATALOG, {}, refused(405, "unsupported operation")),
    ("delete what is in use", "delete", USED, None, refused(400, exactly(
        'unable to delete "used" runtime. Registered plugins=[p] are referencing it. The runtime is still in use.'))),
    ("after all that nothing has changed", "list", CATALOG, None, BOTH),
]
WITHOUT_RIGHTS = [
    (f"{who}: {operation}", operation, path, value, refused(403, exactly(text)), who)
    for who, text in (("without sudo", NOT_ALLOWED), ("with a bad token", BAD_TOKEN), ("without a token", NO_TOKEN))
    for operation, path, value in (("write", EXAMPLE, {}), ("read", EXAMPLE, None), ("list", CATALOG, None),
                                   ("delete", EXAMPLE, None))
]
NAMESPACES = [
    ("a namespace has its own list", "list", CATALOG, None, runtimes(), "in team-a"),
    ("and can be written", "write", CONTAINER + "theirs", {"cpu_nanos": 5}, NOTHING, "in team-a"),
    ("and read", "read", CONTAINER + "theirs", None, data(stored("theirs", cpu_nanos=5)), "in team-a"),
    ("which nobody sees from outside", "read", CONTAINER + "theirs", None, MISSING),
    ("and deleted", "delete", CONTAINER + "theirs", None, NOTHING, "in team-a"),
    ("a namespace that is not there", "write", EXAMPLE, {}, refused(404, "no handler for route"), "in nowhere"),
]
DEATH = [
    ("delete", "delete", EXAMPLE, None, NOTHING),
    ("delete again", "delete", EXAMPLE, None, refused(404, "example")),
    ("what is left", "list", CATALOG, None, runtimes(stored("used"))),
]
SHARED = LIFE + BAD + WITHOUT_RIGHTS + NAMESPACES + DEATH

# The Go client's own methods, which know nothing of rootless.
GO_FULL = {key: value for key, value in FULL.items() if key != "rootless"}
GO_USED = {key: value for key, value in stored("used").items() if key != "rootless"}
GO_EXAMPLE = {**GO_USED, "name": "example", **GO_FULL}
OWN_METHODS = [
    ("register", "RegisterPluginRuntime", EXAMPLE, FULL, NOTHING),
    ("what it registered", "read", EXAMPLE, None, data(stored("example", **FULL))),
    ("get", "GetPluginRuntime", EXAMPLE, None, data(GO_EXAMPLE)),
    ("list", "ListPluginRuntimes", EXAMPLE, None, runtimes(GO_EXAMPLE, GO_USED)),
    ("register a negative number", "RegisterPluginRuntime", EXAMPLE, {"memory_bytes": -1},
     refused(400, "memory.*negative")),
    ("deregister", "DeregisterPluginRuntime", EXAMPLE, None, NOTHING),
    ("deregister again", "DeregisterPluginRuntime", EXAMPLE, None, refused(404, "example")),
    ("deregister what is in use", "DeregisterPluginRuntime", USED, None, refused(400, "still in use")),
    ("get what is not there", "GetPluginRuntime", EXAMPLE, None, MISSING),
    ("get without sudo", "GetPluginRuntime", USED, None, refused(403, exactly(NOT_ALLOWED)), "without sudo"),
]

# What an unmodified client does before it comes to the catalog: it looks whether the server is there,
# whether its token is good, writes a policy, makes a token with it and works with that. Rows as
# above, of the client's own methods; what a method returns is compared with `says`, deep down.
RULES = f'path "{CATALOG}*" {{ capabilities = ["read", "list", "sudo"] }}'


class Says:
    """A returned value, or one that has these values at these places, a__b for a.b; None: any, a
    set: a list with these among others, which earlier clients left."""

    def __init__(self, value=None, keep=None, **places):
        self.value, self.keep, self.places = value, keep, places

    def agrees(self, got):
        if not isinstance(got, dict) or "returned" not in got:
            return False
        if not self.places:
            return fits(got["returned"], self.value)
        found = {name: at(got["returned"], name.replace("__", ".")) for name in self.places}
        if self.keep:
            kept[self.keep] = found[next(iter(found))]
        return all(found[name] is not None if value is None else fits(found[name], value) for name, value in self.places.items())

    def __repr__(self):
        return repr(self.places or self.value)


def fits(got, wanted):
    return wanted <= set(got or []) if isinstance(wanted, set) else got == wanted


def at(value, place):
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


kept = {}  # what a row's answer leaves for a later row


def startup(client, health, seal, initialized, write_policy, read_policy, list_policies, make, look, renew, revoke):
    """The same steps, in each client's words: (method, arguments, what it says)."""
    name = f"from-{client}"
    steps = [("is there a server", *health), ("is it open", *seal), ("was it initialised", *initialized),
             ("write a policy", *write_policy(name)), ("read it", *read_policy(name)), ("list them", *list_policies(name)),
             ("make a token with it", *make(name))]
    rows = [(f"start: {title}", "call", method, arguments, says) for title, method, arguments, says in steps]
    child = [("look at it", *look(name)), ("renew it", *renew(name))]
    rows += [(f"start: {title}", "call", method, arguments, says, "child") for title, method, arguments, says in child]
    return rows + [
        ("start: the token may list", "list", CATALOG, None, runtimes(stored("used")), "child"),
        ("start: and write nothing", "write", EXAMPLE, {}, refused(403, exactly(NOT_ALLOWED)), "child"),
        ("start: revoke it", "call", *revoke),
        ("start: it is gone", "list", CATALOG, None, refused(403, exactly(BAD_TOKEN)), "child")]


def the_child():
    return {"token": kept["child"]}


HVAC_START = startup(
    "hvac", ("sys.read_health_status", {"method": "GET"}, Says(initialized=True, sealed=False, standby=False)),
    ("sys.is_sealed", None, Says(False)), ("sys.is_initialized", None, Says(True)),
    lambda name: ("sys.create_or_update_policy", {"name": name, "policy": RULES}, Says({"response": 204})),
    lambda name: ("sys.read_policy", {"name": name}, Says(data__rules=RULES, rules=RULES)),
    lambda name: ("sys.list_policies", None, Says(data__policies={"default", name, "limited", "root"})),
    lambda name: ("auth.token.create", {"policies": [name], "ttl": "1h"}, Says(keep="child", auth__client_token=None,
                                                                             auth__policies=["default", name])),
    lambda name: ("auth.token.lookup_self", None, Says(data__policies=["default", name], data__renewable=True)),
    lambda name: ("auth.token.renew_self", {"increment": "1h"}, Says(auth__lease_duration=3600)),
    ("auth.token.revoke", the_child, Says({"response": 204}))) + [
    ("start: HEAD of health", "call", "sys.read_health_status", None, Says({"response": 200})),
    ("start: a good token", "call", "is_authenticated", None, Says(True)),
    ("start: a bad token", "call", "is_authenticated", None, Says(False), "with a bad token"),
    ("start: the leader", "call", "sys.read_leader_status", None, Says(ha_enabled=False)),
    ("start: what it may", "call", "sys.get_capabilities", {"paths": [CATALOG]}, Says(capabilities=["root"]))]
NODE_START = startup(
    "node-vault", ("health", None, Says(initialized=True, sealed=False, standby=False)),
    ("status", None, Says(sealed=False, t=1, n=1)), ("initialized", None, Says({"initialized": True})),
    lambda name: ("addPolicy", {"name": name, "rules": RULES}, Says(warnings=[
        "'rules' is deprecated, please use 'policy' instead",
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]"])),
    lambda name: ("getPolicy", {"name": name}, Says(rules=RULES)),
    lambda name: ("policies", None, Says(policies={"default", name, "limited", "root"})),
    lambda name: ("tokenCreate", {"policies": [name], "ttl": "1h"}, Says(keep="child", auth__client_token=None,
                                                                        auth__policies=["default", name])),
    lambda name: ("tokenLookupSelf", None, Says(data__policies=["default", name], data__renewable=True)),
    lambda name: ("tokenRenewSelf", {"increment": "1h"}, Says(auth__lease_duration=3600)),
    ("tokenRevoke", the_child, Says("")))
GO_START = startup(
    "go", ("Sys.Health", None, Says(initialized=True, sealed=False, standby=False, version="2.1.0+runtime-catalog")),
    ("Sys.SealStatus", None, Says(sealed=False, initialized=True, storage_type="postgresql")), ("Sys.InitStatus", None, Says(True)),
    lambda name: ("Sys.PutPolicy", {"name": name, "policy": RULES}, Says(None)),
    lambda name: ("Sys.GetPolicy", {"name": name}, Says(RULES)),
    lambda name: ("Sys.ListPolicies", None, Says({"default", name, "limited", "root"})),
    lambda name: ("Token.Create", {"policy": name, "ttl": "1h"}, Says(keep="child", auth__client_token=None,
                                                                     auth__policies=["default", name])),
    lambda name: ("Token.LookupSelf", None, Says(data__policies=["default", name], data__renewable=True)),
    lambda name: ("Token.RenewSelf", None, Says(auth__lease_duration=3600)),
    ("Token.RevokeTree", the_child, Says(None))) + [
    ("start: the leader", "call", "Sys.Leader", None, Says(ha_enabled=False)),
    ("start: what it may", "call", "Sys.CapabilitiesSelf", {"path": CATALOG}, Says(["root"])),
    ("start: delete a policy", "call", "Sys.DeletePolicy", {"name": "from-go"}, Says(None)),
    ("start: it is gone", "call", "Sys.GetPolicy", {"name": "from-go"}, Says(""))]

STORAGE_AWAY = [
    ("PostgreSQL stopped: write", "write", EXAMPLE, {}, refused(503, "storage is not available")),
    ("PostgreSQL stopped: read", "read", USED, None, refused(503, "storage is not available")),
]
STORAGE_BACK = [("PostgreSQL started: read", "read", USED, None, data(stored("used")))]

# --- what each client makes of an answer

ENVELOPE = {"lease_id": "", "renewable": False, "lease_duration": 0, "wrap_info": None, "warnings": None,
            "auth": None, "mount_type": "system"}
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
HVAC_EXCEPTIONS = {"InvalidRequest": 400, "Forbidden": 403, "InvalidPath": 404, "UnexpectedError": 405,
                   "VaultDown": 503}


def enveloped(returned):
    """The data of a whole answer; else what came instead."""
    if (isinstance(returned, dict) and re.fullmatch(UUID, returned.get("request_id", ""))
            and {key: returned.get(key) for key in ENVELOPE} == ENVELOPE):
        return data(returned["data"])
    return returned


def of_hvac(operation, answer):
    """Exceptions by status; reading knows None for any 404; writing yields the raw response."""
    if operation == "call" and "returned" in answer:
        return answer
    if "raised" in answer:
        return refused(HVAC_EXCEPTIONS.get(answer["raised"], answer["raised"]), answer["text"] or "")
    returned = answer["returned"]
    if returned == {"write": {"response": 204}, "delete": None}.get(operation, ...):
        return NOTHING
    return refused(404, None) if returned is None else enveloped(returned)


def of_node_vault(operation, answer):
    """One error with a status; its text is the first, or the status again if there is none."""
    if operation == "call" and "returned" in answer:
        return answer
    if "raised" in answer:
        status = answer.get("status")
        return refused(status, "" if answer["text"] == f"Status {status}" else answer["text"])
    return NOTHING if answer["returned"] == "" else enveloped(answer["returned"])


def of_go(operation, answer):
    """Reading knows nil for any 404; so is the answer to a write. Its own methods drop the envelope."""
    if operation == "call" and "returned" in answer:
        return answer
    if "raised" in answer:
        return refused(answer.get("status"), answer["text"])
    returned = answer["returned"]
    if returned is None:
        return refused(404, None) if operation.startswith(("read", "list")) else NOTHING
    return data(returned) if operation.endswith(("Runtime", "Runtimes")) else enveloped(returned)


def agrees(got, wanted):
    """Where a client drops the text of an error, the status must do."""
    if isinstance(wanted, Says):
        return wanted.agrees(got)
    if isinstance(got, tuple) and isinstance(wanted, tuple):
        return got[0] == wanted[0] and (got[1] is None or re.search(wanted[1], got[1]) is not None)
    return got == wanted


# --- the drivers

# The client: how its driver is run, what reads its answers, and what it alone can do.
CLIENTS = {
    "hvac": ([sys.executable, "driver.py"], of_hvac, HVAC_START),
    "node-vault": (["node", "driver.js"], of_node_vault, NODE_START),
    "go": (["./driver"], of_go, GO_START + OWN_METHODS),
}
missing = {}  # client: why it cannot be had


def bring(folder):
    """All at once: where no index can be reached, each takes its time to find that out."""
    (folder / "clients").mkdir()
    logs = {name: folder / "clients" / f"{name}.log" for name in CLIENTS}
    fetches = {name: start([CHECKOUT / "tests/clients/fetch.py", name, folder / "clients" / name], logs[name])
               for name in CLIENTS}
    for name, fetch in fetches.items():
        status, output = fetch.wait(), logs[name].read_text().strip()
        if status == SKIPPED:
            missing[name] = f"{name} cannot be had here: {output}"
        elif status:
            raise RuntimeError(f"cannot fetch {name}:\n{output}")


class Driver:
    """One client's driver, with an environment of its own; without an authority it knows only
    those that it brought or the system has."""

    def __init__(self, s, name, authority=True):
        command, self.read_answer, _ = CLIENTS[name]
        environment = {"PATH": os.environ["PATH"], "HOME": str(s.folder), "VAULT_TOKEN": "unused",
                       "VAULT_ADDR": f"https://localhost:{s.client.port}"}
        if authority:
            environment["VAULT_CACERT"] = str(s.folder / "nginx/ca.pem")
        self.log = s.folder / f"{name}.err"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, cwd=s.folder / "clients" / name, env=environment, text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def ask(self, operation, path, value, token, namespace):
        """What the client made of it, in the words of the table."""
        print(json.dumps({"operation": operation, "path": path, "data": value, "token": token,
                          "namespace": namespace}), file=self.child.stdin, flush=True)
        line = select.select([self.child.stdout], [], [], 90)[0] and self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"no answer from the driver:\n{self.log.read_text()}")
        return self.read_answer(operation, json.loads(line))

    def end(self):
        self.child.communicate(timeout=20)


def perform(s, drivers, name, rows, callers):
    for row in rows:
        title, operation, path, value, wanted = row[:5]
        title = f"{name}: {title}"
        if name in missing:
            s.tap.skip(title, missing[name])
            continue
        value = value() if callable(value) else value
        who = row[5] if len(row) > 5 else "root"
        got = drivers[name].ask(operation, path, value, *((kept.get("child"), "") if who == "child" else callers[who]))
        s.secrets += [secret for secret in kept.values() if secret and secret not in s.secrets]
        s.tap.ok(agrees(got, wanted), title, f"{operation} {path}", f"got:    {got!r}", f"wanted: {wanted!r}")


def refuse_a_stranger(s, name):
    """The server's certificate is worth nothing without its authority."""
    title = f"{name}: refuses a server whose authority it does not know"
    if name in missing:
        s.tap.skip(title, missing[name])
        return
    stranger = Driver(s, name, authority=False)
    got = stranger.ask("read", USED, None, s.root_token, "")
    stranger.end()
    s.tap.ok(isinstance(got, tuple) and got[0] not in range(600) and "certificate" in got[1], title, got)


def main():
    per_client = len(SHARED) + len(STORAGE_AWAY) + len(STORAGE_BACK) + 1
    own = sum(len(own_rows) for _, _, own_rows in CLIENTS.values())
    with stack(plan=per_client * len(CLIENTS) + own, bring=bring, site="stand-alone") as s:
        s.expect("worker", r"STORAGE_AWAY", r"(?i)connect|storage|database")
        s.expect("postgresql", "FATAL:  terminating connection due to (administrator command|unexpected)",
                 "FATAL:  the database system is (shutting down|starting up)", "FATAL:  connection to client lost")
        s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id)"
                      " SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
        s.register("used")
        s.plugin("p", "used")
        limited = s.token_with("limited", "sys/plugins/runtimes/catalog*", "read", "list", "update", "delete")
        callers = {  # token, namespace
            "root": (s.root_token, ""), "in team-a": (s.root_token, "team-a"), "in nowhere": (s.root_token, "nowhere"),
            "without sudo": (limited, ""), "with a bad token": ("hvs." + 24 * "x", ""), "without a token": ("", "")}

        if not shutil.which("node"):  # root's own is nobody else's
            missing.setdefault("node-vault", f"node-vault cannot be had here: no node for uid {os.getuid()}")
        drivers = {name: Driver(s, name) for name in CLIENTS if name not in missing}
        for name, (_, _, own_rows) in CLIENTS.items():
            perform(s, drivers, name, SHARED + own_rows, callers)
            refuse_a_stranger(s, name)
        s.cluster.stop()
        for name in CLIENTS:
            perform(s, drivers, name, STORAGE_AWAY, callers)
        s.cluster.start()
        wait_for(lambda: s.request("GET", "/v1/" + USED).status == 200, 20, "the storage is back")
        for name in CLIENTS:
            perform(s, drivers, name, STORAGE_BACK, callers)
        for driver in drivers.values():
            driver.end()


main()
