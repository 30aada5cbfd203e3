#!/usr/bin/python3
"""sys/policies/acl and the older sys/policy: what is listed, read, written and deleted, in Vault's
words; who may; and that a change counts for the very next request, on every worker."""
import base64
import contextlib
import json
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CONTAINER, NOT_ALLOWED, NO_TOKEN, UNCACHED, stack  # noqa: E402
from processes import start, stop, wait_for_listener  # noqa: E402

ACL, OLD = "/v1/sys/policies/acl", "/v1/sys/policy"
ITEM = CONTAINER.removeprefix("/v1/") + "a"
READ = f'path "{ITEM}" {{ capabilities = ["read", "sudo"] }}\n'
LIST_ONLY = f'path "{ITEM}" {{ capabilities = ["list", "sudo"] }}'
LONG, TOO_LONG = "n" * 255, "n" * 256
LARGEST = "#" + "x" * 524286 + "\n"
ENVELOPE = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"]
UNSUPPORTED = "unsupported operation"
NOT_SUPPLIED = "'policy' parameter not supplied or empty"
OLD_WORD = "'rules' is deprecated, please use 'policy' instead"
NAME_RULE = 'name: 255 bytes of printable ASCII at most, no upper case, not "root"'


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def keys(*names):
    return {"keys": list(names)}


def old_keys(*names):
    return {"keys": list(names), "policies": list(names)}


def unknown(*names):
    return f"Endpoint ignored these unrecognized parameters: [{' '.join(names)}]"


# One after the other, by root: what it is, method, path, body, status, then the data of a 200
# with its warnings, or the text of the error.
STEPS = [
    ("nothing is stored: what is built in", "LIST", ACL, None, 200, keys("default", "root")),
    ("the same, asked with GET", "GET", ACL + "?list=true", None, 200, keys("default", "root")),
    ("a slash at the end", "LIST", ACL + "/", None, 200, keys("default", "root")),
    ("the older list", "LIST", OLD, None, 200, old_keys("default", "root")),
    ("is there for GET as well", "GET", OLD, None, 200, old_keys("default", "root")),
    ("with a slash, too", "GET", OLD + "/", None, 200, old_keys("default", "root")),
    ("a policy", "PUT", ACL + "/p", {"policy": READ}, 204),
    ("is read as it was written", "GET", ACL + "/p", None, 200, {"name": "p", "policy": READ}),
    ("on the older path, under its older name", "GET", OLD + "/p", None, 200, {"name": "p", "rules": READ}),
    ("POST is PUT", "POST", ACL + "/q", {"policy": LIST_ONLY}, 204),
    ("it replaces the older text", "POST", ACL + "/q", {"policy": "# nothing"}, 204),
    ("whole", "GET", ACL + "/q", None, 200, {"name": "q", "policy": "# nothing"}),
    ("the older path writes the same", "PUT", OLD + "/old", {"policy": READ}, 204),
    ("the same", "GET", ACL + "/old", None, 200, {"name": "old", "policy": READ}),
    ("rules, the older word, with a warning", "PUT", OLD + "/old", {"rules": LIST_ONLY}, 200, None, OLD_WORD),
    ("is the text", "GET", OLD + "/old", None, 200, {"name": "old", "rules": LIST_ONLY}),
    ("policy goes before rules", "PUT", OLD + "/old", {"rules": "{", "policy": READ}, 204),
    ("in silence", "GET", OLD + "/old", None, 200, {"name": "old", "rules": READ}),
    ("rules on the newer path are nothing", "PUT", ACL + "/old", {"rules": READ}, 400, NOT_SUPPLIED),
    ("upper case becomes lower, with a warning", "PUT", ACL + "/Upper", {"policy": READ}, 200, None,
     "policy name was converted to upper"),
    ("also where it is read", "GET", ACL + "/UPPER", None, 200, {"name": "upper", "policy": READ}),
    ("and on the older path", "PUT", OLD + "/UPPER", {"rules": "# two warnings"}, 200, None, OLD_WORD,
     "policy name was converted to upper"),
    ("a name with slashes", "PUT", ACL + "/a/b/c", {"policy": READ}, 204),
    ("is read", "GET", ACL + "/a/b/c", None, 200, {"name": "a/b/c", "policy": READ}),
    ("an escaped slash is one", "GET", ACL + "/a%2Fb/c", None, 200, {"name": "a/b/c", "policy": READ}),
    ("a name with a slash at its end cannot be written", "PUT", ACL + "/a/", {"policy": READ}, 400,
     "cannot write to a path ending in '/'"),
    ("spaces around a name go", "PUT", ACL + "/%20spaced%20", {"policy": READ}, 200, None,
     "policy name was converted to spaced"),
    ("also where it is read", "GET", ACL + "/%20spaced%20", None, 200, {"name": "spaced", "policy": READ}),
    ("one inside is refused", "PUT", ACL + "/a%20b", {"policy": READ}, 400, NAME_RULE),
    ("a name of spaces alone", "PUT", ACL + "/%20", {"policy": READ}, 400, NAME_RULE),
    ("a name that is not ASCII", "PUT", ACL + "/%C3%BC", {"policy": READ}, 400, NAME_RULE),
    ("is not there", "GET", ACL + "/%C3%BC", None, 404, None),
    ("a name of 255 bytes", "PUT", ACL + "/" + LONG, {"policy": READ}, 204),
    ("is read", "GET", ACL + "/" + LONG, None, 200, {"name": LONG, "policy": READ}),
    ("a name of 256 bytes", "PUT", ACL + "/" + TOO_LONG, {"policy": READ}, 400, NAME_RULE),
    ("is not there", "GET", ACL + "/" + TOO_LONG, None, 404, None),
    ("what is not there", "GET", ACL + "/absent", None, 404, None),
    ("nor on the older path", "GET", OLD + "/absent", None, 404, None),
    ("a text in base64 is decoded", "PUT", ACL + "/b", {"policy": encoded(READ)}, 204),
    ("before it is stored", "GET", ACL + "/b", None, 200, {"name": "b", "policy": READ}),
    ("rules, too", "PUT", OLD + "/b", {"rules": encoded("# b")}, 200, None, OLD_WORD),
    ("before they are stored", "GET", ACL + "/b", None, 200, {"name": "b", "policy": "# b"}),
    ("base64 of what does not parse", "PUT", ACL + "/b", {"policy": encoded('path "a" {')}, 400,
     "failed to parse policy: At 1:11: object expected closing RBRACE got: EOF"),
    ("base64 without its padding is text, and no policy", "PUT", ACL + "/b", {"policy": encoded(READ).rstrip("=") + "A"}, 400, ...),
    ("a policy in JSON", "PUT", ACL + "/j", {"policy": json.dumps({"path": {ITEM: {"policy": "read"}}})}, 204),
    ("is read as text", "GET", ACL + "/j", None, 200,
     {"name": "j", "policy": json.dumps({"path": {ITEM: {"policy": "read"}}})}),
    ("a policy as an object", "PUT", ACL + "/j", {"policy": {"path": {}}}, 400, ...),
    ("the longest policy", "PUT", ACL + "/largest", {"policy": LARGEST}, 204),
    ("is read", "GET", ACL + "/largest", None, 200, {"name": "largest", "policy": LARGEST}),
    ("one byte more", "PUT", ACL + "/largest", {"policy": LARGEST + "\n"}, 400, ...),
    ("no policy", "PUT", ACL + "/p", {}, 400, NOT_SUPPLIED),
    ("no body", "PUT", ACL + "/p", None, 400, NOT_SUPPLIED),
    ("an empty one", "PUT", ACL + "/p", {"policy": ""}, 400, NOT_SUPPLIED),
    ("null", "PUT", ACL + "/p", {"policy": None}, 400, NOT_SUPPLIED),
    ("nor on the older path", "PUT", OLD + "/p", {"policy": "", "rules": ""}, 400, NOT_SUPPLIED),
    ("a fault in the third line", "PUT", ACL + "/p", {"policy": 'path "a" {\n capabilities = [\n'}, 400,
     "failed to parse policy: At 3:1: unexpected token while parsing list: EOF"),
    ("the same on the older path", "PUT", OLD + "/p", {"rules": 'path "a" {\n capabilities = [\n'}, 400,
     "failed to parse policy: At 3:1: unexpected token while parsing list: EOF"),
    ("a key that is none", "PUT", ACL + "/p", {"policy": 'path "a" {\n capabilites = ["read"]\n}'}, 400,
     'failed to parse policy: path "a": invalid key "capabilites" on line 2'),
    ("a capability that is none", "PUT", ACL + "/p", {"policy": 'path "a" { capabilities = ["fly"] }'}, 400,
     'failed to parse policy: path "a": invalid capability "fly" (line 1, column 12)'),
    ("a limit that is none", "PUT", ACL + "/p", {"policy": 'path "a" {\n  min_wrapping_ttl = "soon"\n}'}, 400,
     'failed to parse policy: error parsing min_wrapping_ttl: neither a number of seconds nor a duration such as "1h30m" (line 2, column 3)'),
    ("an attribute twice", "PUT", ACL + "/p", {"policy": 'path "a" {\n  policy = "read"\n  policy = "deny"\n}'}, 400,
     'failed to parse policy: The argument "policy" at 3:3 was already set. Each argument can only be defined once'),
    ("a restriction that nobody enforces", "PUT", ACL + "/p", {"policy": 'path "a" { mfa_methods = ["m"] }'}, 400, ...),
    ("none of these was stored", "GET", ACL + "/p", None, 200, {"name": "p", "policy": READ}),
    ("root has no text", "GET", ACL + "/root", None, 200, {"name": "root", "policy": ""}),
    ("nor on the older path", "GET", OLD + "/root", None, 200, {"name": "root", "rules": ""}),
    *((f"{name} is not written", method, f"{path}/{name}", {"policy": READ}, 400,
       f'cannot update "{name.lower()}" policy')
      for name in ("root", "Root", "response-wrapping", "control-group") for method in ("PUT", "POST") for path in (ACL, OLD)),
    *((f"{name} is not deleted", "DELETE", f"{path}/{name}", None, 400, f'cannot delete "{name.lower()}" policy')
      for name in ("root", "ROOT", "response-wrapping", "control-group") for path in (ACL, OLD)),
    ("default is not deleted", "DELETE", ACL + "/default", None, 400, "cannot delete default policy"),
    ("in no spelling, on no path", "DELETE", OLD + "/Default", None, 400, "cannot delete default policy"),
    ("default may be written", "PUT", ACL + "/default", {"policy": READ}, 204),
    ("and is read then", "GET", ACL + "/default", None, 200, {"name": "default", "policy": READ}),
    ("and not deleted then either", "DELETE", ACL + "/default", None, 400, "cannot delete default policy"),
    ("what is there now", "LIST", ACL, None, 200,
     keys("a/b/c", "b", "default", "j", "largest", LONG, "old", "p", "q", "spaced", "upper", "root")),
    ("in the older list", "GET", OLD, None, 200,
     old_keys("a/b/c", "b", "default", "j", "largest", LONG, "old", "p", "q", "spaced", "upper", "root")),
    ("deleting", "DELETE", ACL + "/q", None, 204),
    ("deletes", "GET", ACL + "/q", None, 404, None),
    ("and may be repeated", "DELETE", ACL + "/q", None, 204),
    ("on the older path as well", "DELETE", OLD + "/old", None, 204),
    ("deletes", "GET", OLD + "/old", None, 404, None),
    ("in upper case", "DELETE", ACL + "/UPPER", None, 204),
    ("deletes", "GET", ACL + "/upper", None, 404, None),
    ("with slashes", "DELETE", ACL + "/a/b/c", None, 204),
    ("and only that one", "LIST", ACL, None, 200, keys("b", "default", "j", "largest", LONG, "p", "spaced", "root")),
    # A response that says nothing has no warnings either.
    ("unknown parameters of a write", "PUT", ACL + "/p", {"policy": READ, "colour": "red"}, 204),
    ("unless it has one already", "PUT", ACL + "/P", {"policy": READ, "colour": "red", "bird": 1}, 200, None,
     "policy name was converted to p", unknown("bird", "colour")),
    ("unknown parameters of a read", "GET", ACL + "/p?colour=red&bird=1", None, 200, {"name": "p", "policy": READ},
     unknown("bird", "colour")),
    ("of a list", "LIST", OLD + "?colour=red", None, 200, old_keys("b", "default", "j", "largest", LONG, "p", "spaced", "root"),
     unknown("colour")),
    ("a name in the body counts for nothing", "PUT", ACL + "/p", {"policy": READ, "name": "q"}, 204),
    ("there is no q", "GET", ACL + "/q", None, 404, None),
    # What there is no operation for.
    ("GET of the newer list", "GET", ACL, None, 405, UNSUPPORTED),
    ("GET of the newer list with a slash", "GET", ACL + "/", None, 405, UNSUPPORTED),
    *((f"{method} on {path}", method, path, None, 405, UNSUPPORTED)
      for path in (ACL, OLD) for method in ("POST", "PUT", "DELETE")),
    *((f"LIST on a policy of {path}", "LIST", path + "/p", None, 405, UNSUPPORTED) for path in (ACL, OLD)),
    *((f"PATCH on {path}", "PATCH", path, {}, 405, UNSUPPORTED) for path in (ACL, OLD, ACL + "/p", OLD + "/p")),
    ("a kind of policy that there is not", "GET", "/v1/sys/policies/egp", None, 404, "unsupported path"),
    ("policies alone", "LIST", "/v1/sys/policies", None, 404, "unsupported path"),
]

# Who may: the rule's path, its one capability, the request that it is for.
RIGHTS = [
    ("sys/policies/acl/", "list", "LIST", ACL, None, 200),
    ("sys/policies/acl/p", "read", "GET", ACL + "/p", None, 200),
    ("sys/policies/acl/p", "update", "PUT", ACL + "/p", {"policy": READ}, 204),
    ("sys/policies/acl/p", "delete", "DELETE", ACL + "/p", None, 204),
    ("sys/policy", "read", "GET", OLD, None, 200),
    ("sys/policy/", "list", "LIST", OLD, None, 200),
    ("sys/policy/p", "read", "GET", OLD + "/p", None, 404),
    ("sys/policy/p", "update", "POST", OLD + "/p", {"policy": READ}, 204),
    ("sys/policy/p", "delete", "DELETE", OLD + "/p", None, 204),
]
CAPABILITIES = ["create", "read", "update", "patch", "delete", "list", "sudo"]
MISSING_NAMESPACE = 'no handler for route "nowhere/sys/policies/acl/". route entry not found.'


def whole(response, path, data, warnings):
    """What is not as it should be about a 200's body: its keys in order, and what they hold."""
    repeated = list(data) if data and path.startswith(OLD) else []
    body = response.json if isinstance(response.json, dict) else {}
    if list(body) != repeated + ENVELOPE:
        yield f"the keys are {list(body)}"
    if response.data != data or list(response.data or {}) != list(data or {}):
        yield f"the data is not {str(data)[:300]}"
    if {key: body.get(key) for key in repeated} != {key: data[key] for key in repeated}:
        yield "the keys in front are not those of the data"
    if response.key("warnings") != (list(warnings) or None):
        yield f"the warnings are not {warnings}"
    if response.key("mount_type") != "system":
        yield "the mount is not system"


def perform(s, step, **who):
    name, method, path, body, status, *rest = step
    headers = [("Content-Type", "application/merge-patch+json")] if method == "PATCH" else []
    response = s.request(method, path, body, headers=headers, **who)
    wrong = list(s.faults_of(response, status))
    if status == 200:
        wrong += whole(response, path, rest[0], rest[1:])
    elif rest == [...]:
        wrong += [] if len(response.errors or []) == 1 and response.errors[0] else ["no text"]
    elif rest:
        wrong += [] if response.json == {"errors": [text for text in rest if text]} else [f"the body has not {rest}"]
    s.tap.ok(not wrong, f"{method} {name}", *wrong, str(response)[:2000])


def check_rights(s):
    s.policy("p", READ)
    for number, (rule, capability, method, path, body, status) in enumerate(RIGHTS):
        others = [name for name in CAPABILITIES if name != capability]
        s.answer(f"{method} {path} with {capability} alone",
                 s.request(method, path, body, token=s.token_with(f"right{number}", rule, capability)), status)
        s.answer(f"{method} {path} with all but {capability}",
                 s.request(method, path, body, token=s.token_with(f"wrong{number}", rule, *others)), 403, errors=[NOT_ALLOWED])
    nobody = s.token("default")
    for token, errors, name in ((nobody, NOT_ALLOWED, "the default policy"), (None, NO_TOKEN, "no token"), ("hvs.x", BAD_TOKEN, "a bad token")):
        for method, path, body in (("LIST", ACL, None), ("GET", OLD, None), ("GET", ACL + "/absent", None),
                                   ("PUT", ACL + "/p", {"policy": "{"}), ("DELETE", ACL + "/root", None), ("PATCH", ACL, None)):
            headers = [("Content-Type", "application/merge-patch+json")] if method == "PATCH" else []
            s.answer(f"{method} {path} with {name}", s.request(method, path, body, token=token, headers=headers), 403, errors=[errors])


RIGHTS_PLAN = 2 * len(RIGHTS) + 3 * 6


def check_namespaces(s):
    """Each has policies of its own, its default included."""
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id)"
                  " SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
    inside = {"headers": [("X-Vault-Namespace", "team-a")]}

    def ask(name, method, path, body, status, headers=(), token=None, **what):
        s.answer(name, s.request(method, path, body, headers=headers, token=token or s.root_token), status, **what)

    ask("a namespace has none of the root's", "LIST", ACL, None, 200, **inside, data=keys("default", "root"))
    ask("not its default", "GET", ACL + "/p", None, 404, **inside, errors=[])
    default = s.request("GET", ACL + "/default", headers=inside["headers"])
    s.tap.ok(default.status == 200 and "auth/token/lookup-self" in default.data["policy"] and default.data["policy"] != READ,
             "but the default that is built in", default)
    ask("a policy of its own", "PUT", ACL + "/theirs", {"policy": READ}, 204, **inside)
    ask("is listed there", "LIST", ACL, None, 200, **inside, data=keys("default", "theirs", "root"))
    ask("and nowhere else", "GET", ACL + "/theirs", None, 404, errors=[])
    ask("deleting it from outside", "DELETE", ACL + "/theirs", None, 204)
    ask("deletes nothing", "GET", ACL + "/theirs", None, 200, **inside, data={"name": "theirs", "policy": READ})
    ask("a default of its own", "PUT", ACL + "/default", {"policy": "# theirs"}, 204, **inside)
    ask("leaves the root's alone", "GET", ACL + "/default", None, 200, data={"name": "default", "policy": READ})
    theirs = s.token("root", namespace="team-a")
    ask("their root reads its own", "GET", ACL + "/default", None, 200, **inside, token=theirs,
        data={"name": "default", "policy": "# theirs"})
    ask("and no other's", "LIST", ACL, None, 403, token=theirs, errors=[BAD_TOKEN])
    ask("a namespace that is not there", "LIST", ACL, None, 404, headers=[("X-Vault-Namespace", "nowhere")], errors=[MISSING_NAMESPACE])
    s.policy("from-above", 'path "team-a/sys/policies/acl/theirs" { capabilities = ["read"] }')
    above = s.token("from-above")
    ask("a rule from above names the namespace", "GET", ACL + "/theirs", None, 200, **inside, token=above,
        data={"name": "theirs", "policy": READ})
    ask("and is not for the same path outside", "GET", ACL + "/theirs", None, 403, token=above, errors=[NOT_ALLOWED])


NAMESPACES_PLAN = 15


def check_default(s):
    """What default is counts for those who have it, built in or written."""
    holder = s.token("default")
    look = "/v1/auth/token/lookup-self"
    s.request("PUT", ACL + "/default", {"policy": READ})
    s.answer("a default that was written takes the built-in one's place", s.request("GET", look, token=holder), 403, errors=[NOT_ALLOWED])
    s.answer("and gives what it says", s.request("GET", CONTAINER + "a", token=holder), 200)
    s.cluster.sql("DELETE FROM runtime_catalog.policy WHERE name = 'default'")
    s.answer("gone again, the built-in one is back", s.request("GET", look, token=holder), 200)
    s.answer("and gives nothing else", s.request("GET", CONTAINER + "a", token=holder), 403, errors=[NOT_ALLOWED])


DEFAULT_PLAN = 4
CHANGES = [  # one after the other: method, body, what the token may then do
    ("PUT", {"policy": READ}, 200),
    ("PUT", {"policy": LIST_ONLY}, 403),
    ("PUT", {"policy": f'path "{ITEM}" {{'}, 403),
    ("PUT", {"policy": READ}, 200),
    ("PUT", {"policy": f'path "{ITEM}" {{'}, 200),
    ("DELETE", None, 403),
]


def check_effect(s):
    """The very next request, on the worker that wrote and on another of the same database."""
    holder = s.token("changing")
    connections = [s.client.connect(), s.client.connect()]
    for number in range(2 * len(CHANGES)):
        method, body, status = CHANGES[number % len(CHANGES)]
        writer, other = number % 2, 1 - number % 2
        path = (ACL if number < len(CHANGES) else OLD) + "/changing"
        s.request(method, path, body, headers=worker(writer), connection=connections[writer])
        got = [s.request("GET", CONTAINER + "a", token=holder, headers=worker(which), connection=connections[which]).status
               for which in (writer, other)]
        s.tap.equal(got, [status] * 2, f"{method} {'' if body is None else body['policy'][-30:]} by worker {writer + 1}: {status} on both")


EFFECT_PLAN = 2 * len(CHANGES)


def worker(number):
    return [("X-Worker", str(number))]


def two_workers(text, folder):
    """The header chooses which worker a request goes to."""
    snippet = folder / "nginx/snippets/runtime-catalog/worker.conf"
    snippet.write_text(snippet.read_text().replace("fastcgi_pass runtime_catalog;", "fastcgi_pass $chosen_worker;"))
    return text + f"""
upstream second {{
    server "unix:{folder}/second.sock";
}}
map $http_x_worker $chosen_worker {{
    1       second;
    default runtime_catalog;
}}
"""


@contextlib.contextmanager
def second_worker(s):
    configuration = s.folder / "second.conf"
    configuration.write_text((s.folder / "worker.conf").read_text().replace("worker.sock", "second.sock"))
    child = start([s.folder / "bin/runtime-catalogd", "-c", configuration], s.folder / "worker-second.log")
    wait_for_listener(child, s.folder / "second.sock", s.folder / "worker-second.log")
    try:
        yield
    finally:
        status = stop(child, signal.SIGTERM)
    s.tap.equal(status, 0, "the second worker ends in order")


with stack(plan=len(STEPS) + RIGHTS_PLAN + NAMESPACES_PLAN + DEFAULT_PLAN + EFFECT_PLAN + 1, site="stand-alone",
           edit_site=two_workers, worker=UNCACHED) as s:
    s.register("a")
    for step in STEPS:
        perform(s, step)
    check_rights(s)
    check_namespaces(s)
    check_default(s)
    with second_worker(s):
        check_effect(s)
