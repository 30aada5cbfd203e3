#!/usr/bin/python3
"""sys/namespaces: what it creates, tells, changes and refuses to delete; who may; how a namespace is
named, by header and by path; and how many runtimes it may hold."""
import concurrent.futures
import itertools
import json
import re
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CONTAINER, NOT_ALLOWED, UNCACHED, stack, wait_for  # noqa: E402

SPACES = "/v1/sys/namespaces"
SPACE = SPACES + "/"
MERGE = [("Content-Type", "application/merge-patch+json")]
BAD_NAME = "namespace: letters, digits, '_', '-' and '.', which is not the first, 512 bytes of path at most"
RESERVED = ("root, sys, audit, auth, cubbyhole and identity are reserved paths and cannot be used as "
            "namespace names")
SLASH = "name must not contain /"
MAP = 'custom_metadata: must be an object of strings, or a list of texts such as "key=value"'
TOO_MUCH = "custom_metadata: 4096 bytes at most"
NO_HANDLER = 'no handler for route "%s". route entry not found.'
IGNORED = "Endpoint ignored these unrecognized parameters: [%s]"

CLOSED = """
server {
    listen "unix:%s/closed.sock";
    set $runtime_catalog_namespace outer/site/;
    include snippets/runtime-catalog/errors.conf;
    include snippets/runtime-catalog/error-page.conf;
    location ^~ /v1/ { include snippets/runtime-catalog/worker.conf; }
}
"""


def closed_site(text, folder):
    """Beside the site for all, one on a socket that is fixed to a namespace."""
    return text + CLOSED % folder


def inside(path):
    return [("X-Vault-Namespace", path)]


class Described:
    """What an answer's data are; the id is whatever the first answer said it is."""
    ids = {}

    def __init__(self, path, metadata=None, known_as=None):
        self.path, self.metadata = path, metadata or {}
        self.known_as = known_as or path

    def __eq__(self, data):
        if not isinstance(data, dict) or list(data) != ["custom_metadata", "id", "path"]:
            return False
        known = self.ids.setdefault(self.known_as, data["id"])
        return (re.fullmatch("[0-9A-Za-z]{5}", data["id"]) and data["id"] == known and data["path"] == self.path
                and data["custom_metadata"] == self.metadata and list(data["custom_metadata"]) == sorted(self.metadata))

    def __ne__(self, data):
        return not self == data

    def __repr__(self):
        return f"{self.path} with {self.metadata}"


# --- names: as the path has them, and the namespace or the refusal

NAMES = [(name, name + "/") for name in
         ("a", "A", "0", "_", "-", "a.b", "a..b", "a-b_c.d", "Root", "SYS", "sysx", "xsys", "namespaces", "n" * 511)] + [
    ("%61%62c", "abc/"), ("a%2Eb.c", "a.b.c/"),
] + [(name, 400, BAD_NAME) for name in
     (".a", "%20", "a%20", "a%20b", "a*", "*", "a+b", "+", "a:b", "a%25", "a%252Fb", "%C3%A4", "%D0%B0", "a%5Cb", "a;b",
      "a@b", "n" * 512)] + [
    (name, 400, RESERVED) for name in ("root", "sys", "audit", "auth", "cubbyhole", "identity")] + [
    (name, 400, SLASH) for name in ("a/b", "a%2Fb", "a/sys", "sys/b", "x/y/z", "api-lock/lock", "a%2fb%2fc")] + [
    ("a/", 400, "cannot write to a path ending in '/'"), ("a%2F", 400, "cannot write to a path ending in '/'"),
    ("..", 400, None), ("%2e%2e", 400, None), ("a/..", 400, None), ("a//b", 400, None),
]

# --- metadata, one after the other: method, body, and the metadata or the refusal

AB = {"a": "1", "b": "2"}
METADATA = [
    ("POST", None, {}),
    ("POST", {"custom_metadata": AB}, AB),
    ("POST", {}, AB),
    ("POST", {"custom_metadata": None}, AB),
    ("PUT", {"custom_metadata": {"c": "3"}}, {"c": "3"}),
    ("PUT", {"custom_metadata": {}}, {}),
    ("POST", {"custom_metadata": ["a=1", "b=2"]}, AB),
    ("PATCH", {"custom_metadata": {"c": "<3>"}}, AB | {"c": "<3>"}),
    ("PATCH", {"custom_metadata": {"a": None, "b": "", "absent": None}}, {"b": "", "c": "<3>"}),
    ("PATCH", {}, {"b": "", "c": "<3>"}),
    ("PATCH", None, {"b": "", "c": "<3>"}),
    ("PATCH", {"custom_metadata": {}}, {"b": "", "c": "<3>"}),
    ("PATCH", {"custom_metadata": {"bb": "1", "aaa": "2", "é": "ü"}}, {"b": "", "c": "<3>", "bb": "1", "aaa": "2", "é": "ü"}),
    ("PATCH", {"custom_metadata": None}, {}),
    ("PATCH", {"custom_metadata": {"a": {}}}, MAP),
    ("PATCH", {"custom_metadata": {"a": 1}}, MAP),
    ("PATCH", {"custom_metadata": "a"}, MAP),
    ("PATCH", {"custom_metadata": 1}, MAP),
    ("POST", {"custom_metadata": {"a": 1}}, MAP),
    ("POST", {"custom_metadata": {"a": None}}, MAP),
    ("POST", {"custom_metadata": {"a": ["x"]}}, MAP),
    ("POST", {"custom_metadata": [1]}, MAP),
    ("POST", {"custom_metadata": "a=1"}, MAP),
    ("POST", {"custom_metadata": True}, MAP),
    ("POST", {"custom_metadata": {"k": "x" * 4087}}, {"k": "x" * 4087}),
    ("POST", {"custom_metadata": {"k": "x" * 4088}}, TOO_MUCH),
    ("PATCH", {"custom_metadata": {"l": ""}}, TOO_MUCH),
    ("GET", None, {"k": "x" * 4087}),
    ("POST", {"custom_metadata": {}, "max_runtimes": 5}, {}),
]


def create_and_describe(s):
    for name, *wanted in NAMES:
        response = s.request("POST", SPACE + name, {})
        if wanted[0] == 400:
            s.answer(f"{name[:40]}: refused", response, 400, **({"errors": [wanted[1]]} if wanted[1] else {}))
        else:
            s.answer(f"{name[:40]}: created", response, 200, data=Described(wanted[0]))
    s.tap.equal(len(set(Described.ids.values())), len(Described.ids), "each has an id of its own")
    for name in ("a", "a/", "A", "n" * 511):
        s.answer(f"{name[:40]} is read", s.request("GET", SPACE + name), 200, data=Described(name.rstrip("/") + "/"))
    for name in ("absent", "sys", ".a", "n" * 600):
        s.answer(f"{name[:40]} is not there", s.request("GET", SPACE + name), 404, errors=[])
        s.answer(f"{name[:40]} is not patched", s.request("PATCH", SPACE + name, {"custom_metadata": {"a": "1"}}, headers=MERGE),
                 404, errors=[f'namespace "{name}/" does not exist'])
        response = s.request("DELETE", SPACE + name)
        s.answer(f"{name[:40]} is not there to be deleted", response, 200, data=None)
        s.tap.equal(response.key("warnings"), ["requested namespace does not exist"], "as the warning says")
    for name, method in itertools.product(("a/b", "a%2Fb", "sys/b"), ("GET", "DELETE", "PATCH")):
        headers = MERGE if method == "PATCH" else []
        s.answer(f"{method} {name}", s.request(method, SPACE + name, {} if headers else None, headers=headers), 400, errors=[SLASH])
    for method, path in (("GET", SPACES), ("GET", SPACE), ("DELETE", SPACES), ("POST", SPACES), ("LIST", SPACE + "a")):
        s.answer(f"{method} {path}", s.request(method, path), 405, like="unsupported operation")
    for method, body, wanted in METADATA:
        response = s.request(method, SPACE + "m", body, headers=MERGE if method == "PATCH" else [])
        name = f"{method} {str(body)[:60]}"
        if isinstance(wanted, str):
            s.answer(name, response, 400, errors=[wanted])
        else:
            s.answer(name, response, 200, data=Described("m/", wanted))
    s.tap.equal(response.key("warnings"), [IGNORED % "max_runtimes"], "a limit is not the client's to set")
    s.tap.equal(s.cluster.sql("SELECT max_runtimes IS NULL FROM runtime_catalog.namespace WHERE path = 'm/'"), "t", "nor is it set")


def listed(s):
    names = sorted({wanted[0] for _, *wanted in NAMES if wanted[0] != 400} | {"m/"})
    for method, path in (("LIST", SPACES), ("LIST", SPACE), ("GET", SPACES + "?list=true")):
        response = s.request(method, path)
        s.answer(f"{method} {path}", response, 200, data={"key_info": {name: Described(name) for name in names}, "keys": names})
        s.tap.equal(list(response.data["key_info"]), names, "in the order of their names")
    for name in ("inner", "a-inner", "inner.x"):
        s.request("POST", SPACE + name, {}, headers=inside("a"))
    below = {"a-inner/": Described("a/a-inner/"), "inner.x/": Described("a/inner.x/"), "inner/": Described("a/inner/")}
    s.answer("those below another, with their whole paths", s.request("LIST", SPACES, headers=inside("a")), 200,
             data={"key_info": below, "keys": list(below)})
    s.answer("one of them", s.request("GET", SPACE + "inner", headers=inside("a")), 200, data=Described("a/inner/"))
    s.answer("is not directly below the root", s.request("GET", SPACE + "inner"), 404, errors=[])
    s.answer("where there are none", s.request("LIST", SPACES, headers=inside("0")), 404, errors=[])
    deepest = "/".join(["n" * 126] * 4)
    for depth in range(1, 5):
        s.request("POST", SPACE + "n" * 126, {}, headers=inside("/".join(["n" * 126] * (depth - 1))))
    s.answer("a path of 512 bytes", s.request("POST", SPACE + "123", {}, headers=inside(deepest)), 200, data=Described(f"{deepest}/123/"))
    s.answer("of 513", s.request("POST", SPACE + "1234", {}, headers=inside(deepest)), 400, errors=[BAD_NAME])


# --- deleting: what is in it, and the words for that

CONTENT = {
    "a namespace": ("1 namespace", "SELECT", "DELETE FROM runtime_catalog.namespace WHERE parent_id = %d"),
    "a runtime": ("1 runtime", "INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (%d, 'container', 'r')",
                  "DELETE FROM runtime_catalog.runtime WHERE namespace_id = %d"),
    "two plugins": ("2 plugins", "INSERT INTO runtime_catalog.plugin (namespace_id, type, name)"
                                 " SELECT %d, 'secret', unnest(ARRAY['p', 'q'])",
                    "DELETE FROM runtime_catalog.plugin WHERE namespace_id = %d"),
    "two policies": ("2 policies", "INSERT INTO runtime_catalog.policy (namespace_id, name, text) SELECT %d, unnest(ARRAY['p', 'q']), ''",
                     "DELETE FROM runtime_catalog.policy WHERE namespace_id = %d"),
    "a token": ("1 token", "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)"
                           " VALUES (sha256('live'), repeat('L', 24), %d, '{}')",
                "DELETE FROM runtime_catalog.token WHERE namespace_id = %d"),
}
ENDED = """INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, expires_at, uses_left, parent)
           SELECT sha256(x::bytea), repeat(x, 24), {0}, '{{}}', CASE x WHEN 'E' THEN now() - interval '1 s' END,
                  CASE x WHEN 'U' THEN 0 END, CASE x WHEN 'C' THEN repeat('E', 24) END
             FROM unnest(ARRAY['E', 'U', 'C']) AS x"""


def number_of(s, path):
    return int(s.cluster.sql(f"SELECT id FROM runtime_catalog.namespace WHERE path = '{path}'"))


def deleted(s):
    s.request("POST", SPACE + "d", {})
    number = number_of(s, "d/")
    gone = Described.ids.get("d/")
    for what, (words, insertion, deletion) in CONTENT.items():
        if insertion == "SELECT":
            s.request("POST", SPACE + "e", {}, headers=inside("d"))
        else:
            s.cluster.sql(insertion % number)
        s.answer(f"it holds {what}", s.request("DELETE", SPACE + "d"), 400,
                 errors=[f'cannot delete namespace "d/": it still has {words}'])
        s.cluster.sql(deletion % number)
    for _, insertion, _ in list(CONTENT.values())[1:]:
        s.cluster.sql(insertion % number)
    s.request("POST", SPACE + "e", {}, headers=inside("d"))
    s.answer("all of it", s.request("DELETE", SPACE + "d"), 400,
             errors=['cannot delete namespace "d/": it still has 1 namespace, 1 runtime, 2 plugins, 2 policies, 1 token'])
    s.answer("below it the same name is another", s.request("DELETE", SPACE + "e"), 200, data=None)
    s.answer("the one below goes", s.request("DELETE", SPACE + "e", headers=inside("d")), 204)
    for _, _, deletion in list(CONTENT.values())[1:-1]:
        s.cluster.sql(deletion % number)
    s.answer("its last token is revoked from above",
             s.request("POST", "/v1/d/auth/token/revoke-accessor", {"accessor": "L" * 24}), 204)
    s.cluster.sql(ENDED.format(number))
    s.answer("tokens that have ended hold nothing", s.request("DELETE", SPACE + "d"), 204)
    s.answer("it is gone", s.request("GET", SPACE + "d"), 404, errors=[])
    s.answer("with all that was in it", s.request("LIST", CATALOG, headers=inside("d")), 404,
             errors=[NO_HANDLER % "d/sys/plugins/runtimes/catalog/"])
    s.tap.equal(s.cluster.sql(f"SELECT count(*) FROM runtime_catalog.token WHERE namespace_id = {number}"), "0", "its tokens, too")
    response = s.request("POST", SPACE + "d", {})
    s.tap.ok(response.status == 200 and response.data["id"] != gone, "its successor has an id of its own", response)
    s.answer("the slash behind a name does not matter", s.request("DELETE", SPACE + "d/"), 204)


def waits(s, work):
    """The thread of `work`, and whether it came to wait for a lock of PostgreSQL."""
    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: not thread.is_alive() or s.cluster.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0", 20, "it waits or ends")
    return thread, thread.is_alive()


def meanwhile(s, name, statement, request):
    """The answer to a request that comes while a statement is not committed yet."""
    answers = []
    with s.cluster.session() as session:
        session.stdin.write(f"BEGIN; {statement} RETURNING 'done';\n")
        session.stdin.flush()
        session.stdout.readline()
        thread, waited = waits(s, lambda: answers.append(request()))
        s.tap.ok(waited, f"{name}: waits")
        session.communicate("COMMIT;\n")
        thread.join()
    return answers[0]


def raced(s):
    s.request("POST", SPACE + "race", {})
    number = number_of(s, "race/")
    response = meanwhile(s, "DELETE while a runtime comes in", CONTENT["a runtime"][1] % number, lambda: s.request("DELETE", SPACE + "race"))
    s.answer("and finds it", response, 400, errors=['cannot delete namespace "race/": it still has 1 runtime'])
    s.cluster.sql(f"DELETE FROM runtime_catalog.runtime WHERE namespace_id = {number}")
    for name, method, path, body in (("a runtime", "PUT", CONTAINER + "r", {}), ("a policy", "PUT", "/v1/sys/policies/acl/p", {"policy": 'path "a" {}'}),
                                     ("a namespace", "PUT", SPACE + "low", {}), ("a token", "POST", "/v1/auth/token/create", {"policies": ["p"]})):
        response = meanwhile(s, f"{name} while its namespace goes", "DELETE FROM runtime_catalog.namespace WHERE path = 'race/'",
                             lambda: s.request(method, path, body, headers=inside("race"))) # pylint: disable=cell-var-from-loop
        s.answer("and finds none", response, 404, errors=["the namespace does not exist"])
        s.request("POST", SPACE + "race", {})


# --- who may: the capability, the method that it is for, and its answer

RIGHTS = [("read", "GET", 200), ("update", "POST", 200), ("update", "PUT", 200), ("patch", "PATCH", 200), ("delete", "DELETE", 204)]


def permitted(s):
    for number, (capability, method, status) in enumerate(RIGHTS):
        for held in ("read", "update", "patch", "delete", "list", "create", "sudo", "deny"):
            s.request("POST", SPACE + "right", {})
            token = s.token_with(f"{held}-{number}", "sys/namespaces/right", held)
            response = s.request(method, SPACE + "right", {} if method in ("POST", "PUT", "PATCH") else None, token=token,
                                 headers=MERGE if method == "PATCH" else [])
            s.answer(f"{method} with {held} alone", response, status if held == capability else 403,
                     **({} if held == capability else {"errors": [NOT_ALLOWED]}))
    for held in ("list", "read"):
        token = s.token_with(f"all-{held}", "sys/namespaces/", held)
        s.answer(f"LIST with {held} alone", s.request("LIST", SPACES, token=token), 200 if held == "list" else 403)

    s.request("POST", SPACE + "team", {})
    s.request("POST", SPACE + "team-b", {})
    s.policy("above", 'path "team/sys/namespaces/*" { capabilities = ["update", "read"] }')
    s.policy("above-all", 'path "sys/namespaces/*" { capabilities = ["update", "read"] }')
    s.policy("own", 'path "sys/namespaces/*" { capabilities = ["update", "read"] }\n'
             'path "low/sys/namespaces/*" { capabilities = ["update"] }', "-namespace=team")
    above, everywhere = s.token("above"), s.token("above-all")
    own = s.token("own", namespace="team/")
    for name, token, where, status, errors in (
            ("the one above names the namespace in its policy", above, "team", 200, None),
            ("which is not for its own", above, "", 403, [NOT_ALLOWED]),
            ("nor for a neighbour", above, "team-b", 403, [NOT_ALLOWED]),
            ("a policy without the name is for its own alone", everywhere, "", 200, None),
            ("not for those below", everywhere, "team", 403, [NOT_ALLOWED]),
            ("the namespace's own token needs no name", own, "team", 200, None),
            ("and names those below", own, "team/low", 200, None),
            ("it does not reach up", own, "", 403, [BAD_TOKEN]),
            ("nor sideways", own, "team-b", 403, [BAD_TOKEN]),
            ("one that is not there", own, "team/none", 404, [NO_HANDLER % "team/none/sys/namespaces/low"]),
            ("is that also to who holds no right", s.token("nothing"), "none", 404, [NO_HANDLER % "none/sys/namespaces/low"]),
            ("from elsewhere it is like all that is elsewhere", own, "none", 403, [BAD_TOKEN])):
        response = s.request("POST", SPACE + "low", {}, token=token, headers=inside(where) if where else [])
        s.answer(name, response, status, **({"errors": errors} if errors else {}))
    return own


# --- naming: header, and what stands before sys in the path

FORMS = [("x/y", ""), ("/x/y/", ""), ("", "x/y/"), ("x", "y/"), ("x/", "y/"), ("", "x%2Fy%2F"), ("", "%78/y%2f"), ("x", "%79/")]


def ask(s, form, method, path, body=None, token=None):
    header, before = form
    return s.request(method, "/v1/" + before + path, body, headers=inside(header) if header else [],
                     token=token or s.root_token)


def named(s):
    s.request("POST", SPACE + "x", {})
    s.request("POST", SPACE + "y", {}, headers=inside("x"))
    number = number_of(s, "x/y/")
    s.policy("limited", 'path "x/y/sys/plugins/runtimes/catalog/*" { capabilities = ["read", "list", "sudo"] }')
    limited = s.token("limited")
    catalog = "sys/plugins/runtimes/catalog"
    for form in FORMS:
        name = f"{form[0] or '-'} and {form[1] or '-'}"
        s.answer(f"{name}: register", ask(s, form, "PUT", catalog + "/container/r", {}), 204)
        s.tap.equal(s.cluster.sql("SELECT namespace_id FROM runtime_catalog.runtime WHERE name = 'r'"), str(number), f"{name}: there")
        s.answer(f"{name}: read", ask(s, form, "GET", catalog + "/container/r", token=limited), 200)
        for path in (catalog + "/", catalog + "/?list=true", catalog + "%3Ftype=container?list=true"):
            response = ask(s, form, "GET" if "list=" in path else "LIST", path, token=limited)
            s.tap.ok(response.status == 200 and [one["name"] for one in response.data["runtimes"]] == ["r"], f"{name}: {path}", response)
        s.answer(f"{name}: without the right", ask(s, form, "DELETE", catalog + "/container/r", token=limited), 403, errors=[NOT_ALLOWED])
        s.answer(f"{name}: delete", ask(s, form, "DELETE", catalog + "/container/r"), 204)
        response = ask(s, form, "POST", "auth/token/create", {"policies": ["p"], "ttl": "1h"})
        s.secrets.append(response.json["auth"]["client_token"])
        answer = ask(s, form, "POST", "auth/token/lookup-accessor", {"accessor": response.json["auth"]["accessor"]})
        s.tap.equal(answer.data["namespace_path"], "x/y/", f"{name}: a token of that namespace")
        s.answer(f"{name}: a policy", ask(s, form, "PUT", "sys/policies/acl/q", {"policy": 'path "a" { policy = "read" }'}), 204)
        s.tap.equal(s.cluster.sql(f"SELECT string_agg(name, ' ') FROM runtime_catalog.policy WHERE namespace_id = {number}"), "q",
                    f"{name}: of that namespace")
    for path, status, errors in (
            ("/v1/x/y", 404, [NO_HANDLER % "x/y"]),
            ("/v1/x/root/sys/plugins/runtimes/catalog", 404, [NO_HANDLER % "root/sys/plugins/runtimes/catalog"]),
            ("/v1/root/sys/plugins/runtimes/catalog", 404, [NO_HANDLER % "root/sys/plugins/runtimes/catalog"]),
            ("/v1/X/sys/plugins/runtimes/catalog", 404, [NO_HANDLER % "X/sys/plugins/runtimes/catalog"]),
            ("/v1/x%252Fy/sys/plugins/runtimes/catalog", 400, None),
            ("/v1/x*/sys/plugins/runtimes/catalog", 400, None),
            ("/v1/x/../y/sys/plugins/runtimes/catalog", 400, None),
            ("/v1/x/.%2e/sys/plugins/runtimes/catalog", 400, None),
            ("/v1/x//y/sys/plugins/runtimes/catalog", 400, None)):
        s.answer(f"GET {path}", s.request("GET", path), status, **({"errors": errors} if errors else {}))
    for name in ("root", "sys", "audit", "auth", "cubbyhole", "identity"):
        response = s.request("GET", f"/v1/x/{name}/{catalog}")
        s.answer(f"the path that begins with {name} is the API's", response, 404,
                 errors=["unsupported path" if name == "sys" else NO_HANDLER % f"{name}/{catalog}"])
    s.tap.ok(any("update x/y/sys/policies/acl/q: 204" in line for line in s.worker_log.read_text().splitlines()),
             "the log has the path behind its namespace")


# --- the site that is fixed to outer/site/

def fixed(s):
    s.request("POST", SPACE + "outer", {})
    s.request("POST", SPACE + "site", {}, headers=inside("outer"))
    s.request("POST", SPACE + "other", {}, headers=inside("outer"))
    tenant = s.token("root", namespace="outer/site/")

    def ask_site(method, path, namespace="", body=None):
        done = s.curl("--unix-socket", s.folder / "closed.sock", "--path-as-is", "--request", method,
                      "--header", f"X-Vault-Token: {tenant}", *(["--header", f"X-Vault-Namespace: {namespace}"] if namespace else []),
                      *(["--data", body] if body else []), "--write-out", "\n%{http_code}", f"http://localhost{path}")
        *body, status = done.stdout.split("\n")
        answer = json.loads(body[0] or "{}")
        return int(status), answer.get("data") or answer.get("errors")

    s.tap.equal(ask_site("POST", SPACE + "k"), (200, Described("k/", known_as="outer/site/k/")), "a path begins below the site")
    s.tap.equal(ask_site("POST", SPACE + "l", "k"), (200, Described("k/l/", known_as="outer/site/k/l/")), "however deep")
    s.tap.equal(ask_site("LIST", SPACES), (200, {"key_info": {"k/": Described("k/", known_as="outer/site/k/")}, "keys": ["k/"]}),
                "in a list, too")
    s.tap.equal(ask_site("GET", "/v1/k/sys/namespaces/l"), (200, Described("k/l/", known_as="outer/site/k/l/")), "named in the path")
    s.tap.equal(ask_site("DELETE", "/v1/k/sys/namespaces/l")[0], 204, "and deleted")
    s.tap.equal(number_of(s, "outer/site/k/") > 0, True, "it lies below the site's")
    for namespace, path in (("outer/site", SPACES), ("", "/v1/outer/site/sys/namespaces"), ("outer", "/v1/site/sys/namespaces"),
                            ("outer/other", SPACES), ("root", SPACES), ("", "/v1/outer%2Fother/sys/namespaces")):
        s.tap.equal(ask_site("LIST", path, namespace)[0], 404, f"{namespace or path} is looked for below the site")
    s.tap.equal(ask_site("GET", SPACE + "site"), (404, []), "the site's own is nobody's child there")
    looked_up = ask_site("GET", "/v1/auth/token/lookup-self")
    s.tap.ok(looked_up[0] == 200 and "namespace_path" not in looked_up[1], "its token is of no namespace that has a name", looked_up)


# --- limits

def register_all(s, spaces, count):
    """How many of that many registrations, all at once and in each namespace in turn, end in which status,
    and their errors."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        responses = list(pool.map(lambda i: s.request("PUT", f"{CONTAINER}many-{i}", {}, headers=inside(spaces[i % len(spaces)])), range(count)))
    return (sorted({response.status for response in responses}), sum(response.status == 204 for response in responses),
            {response.errors[0] for response in responses if response.errors})


def limited(s):
    reached = "the limit of runtimes is reached: max_runtimes = %d"
    s.tool("namespace", "create", "lim", "-max-runtimes=3")
    s.tool("namespace", "create", "lim.", "-max-runtimes=0")
    s.request("POST", SPACE + "low", {}, headers=inside("lim"))

    def register(name, space="lim"):
        return s.request("PUT", CONTAINER + name, {}, headers=inside(space))

    for name, space, status, limit in (("a", "lim", 204, 0), ("b", "lim", 204, 0), ("c", "lim/low", 204, 0),
                                       ("d", "lim", 400, 3), ("d", "lim/low", 400, 3), ("a", "lim", 204, 0),
                                       ("c", "lim/low", 204, 0), ("a", "lim.", 400, 0), ("a", "x", 204, 0)):
        s.answer(f"{name} in {space}", register(name, space), status, **({"errors": [reached % limit]} if status == 400 else {}))
    s.answer("one goes", s.request("DELETE", CONTAINER + "c", headers=inside("lim/low")), 204)
    s.answer("another may come", register("d"), 204)
    s.tool("namespace", "update", "-namespace=lim", "low", "-max-runtimes=9")
    s.answer("a limit below does not lift the one above", register("e", "lim/low"), 400, errors=[reached % 3])
    s.tool("namespace", "update", "lim", "-max-runtimes=2")
    s.answer("a limit below what there is leaves that alone", register("a"), 204)
    s.answer("and lets nothing in", register("e"), 400, errors=[reached % 2])
    s.tool("namespace", "update", "lim", "-max-runtimes=none")
    s.answer("without one there is room again", register("e"), 204)

    s.tool("namespace", "create", "many", "-max-runtimes=7")
    s.tool("namespace", "create", "-namespace=many", "low", "-max-runtimes=20")
    s.tool("namespace", "create", "-namespace=many", "far")
    for spaces, number in itertools.product((["many"], ["many/low", "many", "many/far"]), range(4)):
        s.cluster.sql("DELETE FROM runtime_catalog.runtime WHERE name LIKE 'many-%'")
        s.tap.equal(register_all(s, spaces, 20), ([204, 400], 7, {reached % 7}),
                    f"20 at once in {', '.join(spaces)}, round {number}: exactly 7 come in")
    s.cluster.sql("DELETE FROM runtime_catalog.runtime WHERE name LIKE 'many-%'")

    insertion = ("BEGIN; INSERT INTO runtime_catalog.runtime (namespace_id, type, name)"
                 " SELECT id, 'container', 'held' FROM runtime_catalog.namespace WHERE path = 'many/' RETURNING name;\n")
    s.tool("namespace", "update", "-namespace=many", "low", "-max-runtimes=none")
    for (limit, expected), space in itertools.product((("none", False), ("7", True)), ("many", "many/far")):
        s.tool("namespace", "update", "many", f"-max-runtimes={limit}")
        with s.cluster.session() as session:
            session.stdin.write(insertion)
            session.stdin.flush()
            s.tap.equal(session.stdout.readline(), "held\n", f"limit {limit}: a registration is under way")
            answers = []
            thread, waited = waits(s, lambda: answers.append(register(f"next-{limit}", space)))  # pylint: disable=cell-var-from-loop
            s.tap.equal(waited, expected, f"limit {limit}: another one in {space} {'waits' if expected else 'does not wait'}")
            session.communicate("ROLLBACK;\n")
            thread.join()
            s.answer(f"limit {limit}: and comes in", answers[0], 204)

    done = s.cluster.psql("-c", "BEGIN ISOLATION LEVEL REPEATABLE READ; " + insertion[len("BEGIN; "):], check=False)
    s.tap.ok(done.returncode and "transactions that are READ COMMITTED" in done.stderr,
             "who cannot see what others did meanwhile registers nothing where there is a limit", done.stderr)
    s.tool("namespace", "update", "many", "-max-runtimes=none")
    s.cluster.sql("DELETE FROM runtime_catalog.runtime WHERE name LIKE 'next-%'")
    for space in ("many/", "many/low/"):
        with s.cluster.session() as session:
            session.stdin.write(insertion.replace("many/", space))
            session.stdin.flush()
            session.stdout.readline()
            thread, waited = waits(s, lambda: s.tool("namespace", "update", "many", "-max-runtimes=1"))
            s.tap.ok(waited, f"a first limit waits for what is under way in {space}")
            session.communicate("COMMIT;\n")
            thread.join()
        s.answer("and counts it", register("next", "many"), 400, errors=[reached % 1])
        s.tool("namespace", "update", "many", "-max-runtimes=none")
        s.cluster.sql("DELETE FROM runtime_catalog.runtime WHERE name = 'held'")


plan = (len(NAMES) + 1 + 4 + 4 * 4 + 9 + 5 + len(METADATA) + 2        # create_and_describe
        + 3 * 2 + 3 + 1 + 2                                          # listed
        + len(CONTENT) + 10                                          # deleted
        + 5 * 2                                                      # raced
        + len(RIGHTS) * 8 + 2 + 12                                   # permitted
        + len(FORMS) * 11 + 9 + 6 + 1                                    # named
        + 6 + 6 + 2                                                  # fixed
        + 9 + 6 + 2 * 4 + 4 * 3 + 1 + 2 * 2)                              # limited
with stack(plan, site="stand-alone", edit_site=closed_site, worker=UNCACHED) as s:
    create_and_describe(s)
    listed(s)
    deleted(s)
    raced(s)
    permitted(s)
    named(s)
    fixed(s)
    limited(s)
