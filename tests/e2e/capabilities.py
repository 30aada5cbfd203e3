#!/usr/bin/python3
"""sys/capabilities, -self and -accessor: what is asked in which form, what is said in which order,
for whom, and that it is what the policies' dry run says, for generated policies and paths."""
import json
import random
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, NOT_ALLOWED, NO_TOKEN, UNCACHED, stack  # noqa: E402

TOKEN, SELF, ACCESSOR = (f"/v1/sys/capabilities{end}" for end in ("", "-self", "-accessor"))
ENVELOPE = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"]
POLICY = """
path "all"     { capabilities = ["update", "create", "sudo", "read", "patch", "list", "delete"] }
path "old"     { policy = "write" }
path "glob/*"  { capabilities = ["read"] }
path "glob/no" { capabilities = ["deny"] }
path "glob/of" { }
path "both"    { capabilities = ["read", "deny"] }
path "+/seg"   { capabilities = ["update"] }
path "dir"     { capabilities = ["list"] }
path "dir/"    { capabilities = ["read"] }
path "bare"    { capabilities = ["delete"] }
path "capabilities" { capabilities = ["read"] }
path "data"    { capabilities = ["read"] }
path "with blank" { capabilities = ["read"] }
path "a,b"     { capabilities = ["read"] }
path "grün"    { capabilities = ["read"] }
"""
DENY, READ = ["deny"], ["read"]

# What is sent, and the data of the answer; one asked for alone is `capabilities` as well.
ASKED = [
    ("all of them, sorted", {"paths": ["all"]}, {"all": ["create", "delete", "list", "patch", "read", "sudo", "update"]}),
    ("the older forms", {"paths": ["old"]}, {"old": ["create", "delete", "list", "read", "update"]}),
    ("nothing matches", {"paths": ["nothing"]}, {"nothing": DENY}),
    ("a glob", {"paths": ["glob/a"]}, {"glob/a": READ}),
    ("deny", {"paths": ["glob/no"]}, {"glob/no": DENY}),
    ("a rule without capabilities", {"paths": ["glob/of"]}, {"glob/of": DENY}),
    ("deny among others", {"paths": ["both"]}, {"both": DENY}),
    ("a segment", {"paths": ["x/seg"]}, {"x/seg": ["update"]}),
    ("a slash in front does not count, and is said again", {"paths": ["/all", "//all"]},
     {path: ["create", "delete", "list", "patch", "read", "sudo", "update"] for path in ("//all", "/all")}),
    ("a slash at the end has its own rule", {"paths": ["dir/"]}, {"dir/": READ}),
    ("else that of the path without it, as for a list", {"paths": ["bare/"]}, {"bare/": ["delete"]}),
    ("not the other way round", {"paths": ["dir", "bare"]}, {"bare": ["delete"], "dir": ["list"]}),
    ("keys in order of bytes", {"paths": ["glob/a", "bare", "Z", "dir"]},
     {"Z": DENY, "bare": ["delete"], "dir": ["list"], "glob/a": READ}),
    ("a text with commas", {"paths": "dir, bare ,dir/"}, {"bare": ["delete"], "dir": ["list"], "dir/": READ}),
    ("a text without", {"paths": "dir"}, {"dir": ["list"]}),
    ("a comma in a list is part of the path", {"paths": ["a,b"]}, {"a,b": READ}),
    ("path, the older word", {"path": "dir"}, {"dir": ["list"]}),
    ("path as a list", {"path": ["dir", "bare"]}, {"bare": ["delete"], "dir": ["list"]}),
    ("path with commas", {"path": "dir,bare"}, {"bare": ["delete"], "dir": ["list"]}),
    ("paths goes before path", {"paths": ["dir"], "path": "bare"}, {"dir": ["list"]}),
    ("unless it is empty", {"paths": [], "path": "bare"}, {"bare": ["delete"]}),
    ("the same path twice is not one alone", {"paths": ["dir", "dir"]}, {"dir": ["list"]}),
    ("a path called capabilities", {"paths": ["capabilities"]}, {"capabilities": READ}),
    ("one among others", {"paths": ["capabilities", "dir"]}, {"capabilities": READ, "dir": ["list"]}),
    ("a blank inside", {"paths": ["with blank"]}, {"with blank": READ}),
    ("blanks around go", {"paths": [" dir "]}, {"dir": ["list"]}),
    ("letters that are not ASCII", {"paths": ["grün"]}, {"grün": READ}),
    ("what the default policy gives", {"paths": ["auth/token/lookup-self"]}, {"auth/token/lookup-self": READ}),
]
WARNED = [
    ("parameters that are not known", {"paths": ["dir"], "colour": "red", "bird": 1},
     "Endpoint ignored these unrecognized parameters: [bird colour]"),
]
# What is sent, and the text of the 400.
REFUSED = [
    ("no path", {}, "paths must be supplied"),
    ("an empty list", {"paths": []}, "paths must be supplied"),
    ("an empty text", {"paths": "", "path": ""}, "paths must be supplied"),
    ("null", {"paths": None}, "paths must be supplied"),
    ("an empty path", {"paths": [""]}, "missing path"),
    ("an empty path among others", {"paths": ["dir", " "]}, "missing path"),
    ("nothing between commas", {"paths": "dir,,bare"}, "missing path"),
    ("nothing behind a comma", {"paths": "dir,"}, "missing path"),
    ("an object", {"paths": {"dir": True}}, ...),
    ("a number", {"paths": [5]}, ...),
]
METHODS = ["GET", "LIST", "DELETE", "PATCH"]


def faults(response, data, warnings=None):
    """What is not as it should be about a 200: the keys of the body in order, and what they hold."""
    body = response.json if isinstance(response.json, dict) else {}
    repeated = [key for key in data if key not in ENVELOPE]
    if list(body) != repeated + ENVELOPE:
        yield f"the keys are {list(body)}"
    if response.data != data or list(response.data or {}) != list(data):
        yield f"the data is not {data}"
    if {key: body.get(key) for key in repeated} != {key: data[key] for key in repeated}:
        yield "the keys in front are not those of the data"
    if body.get("warnings") != warnings or body.get("mount_type") != "system":
        yield f"the warnings are not {warnings}, or the mount is another"


def said(asked, data):
    """A path that was asked for alone is there twice."""
    paths = asked.get("paths") or asked.get("path")
    alone = isinstance(paths, list) and len(paths) == 1 or isinstance(paths, str) and "," not in paths
    return dict(sorted({**data, **({"capabilities": next(iter(data.values()))} if alone else {})}.items()))


def check(s, name, response, data, warnings=None):
    wrong = [*s.faults_of(response, 200), *faults(response, data, warnings)]
    s.tap.ok(not wrong, name, *wrong, response)


def check_forms(s, token, accessor):
    """The three endpoints say the same of the same token, and root's answer is about that token."""
    ways = [(SELF, {}, token), (TOKEN, {"token": token}, s.root_token), (TOKEN, {"token": token}, None),
            (ACCESSOR, {"accessor": accessor}, s.root_token)]
    connection = s.client.connect()
    for path, who, asker in ways:
        asker = asker or s.token_with("asker", "sys/capabilities", "update")
        end = path.rpartition("/")[2] + (" by root" if asker is s.root_token else "")
        for name, asked, data in ASKED:
            check(s, f"{end}: {name}", s.request("POST", path, {**who, **asked}, token=asker, connection=connection), said(asked, data))
        for name, asked, warning in WARNED:
            check(s, f"{end}: {name}", s.request("PUT", path, {**who, **asked}, token=asker, connection=connection),
                  said(asked, {"dir": ["list"]}), [warning])
        for name, asked, text in REFUSED:
            response = s.request("POST", path, {**who, **asked}, token=asker, connection=connection)
            s.answer(f"{end}: {name}", response, 400, **({"like": "paths: "} if text is ... else {"errors": [text]}))


FORMS_PLAN = 4 * (len(ASKED) + len(WARNED) + len(REFUSED))


def check_who(s, token, accessor):
    root = {"capabilities": ["root"], "x": ["root"]}
    check(s, "root may everything", s.request("POST", SELF, {"paths": ["x"]}), root)
    check(s, "whoever asks", s.request("POST", TOKEN, {"paths": ["x"], "token": s.root_token}), root)
    own = s.request("GET", "/v1/auth/token/lookup-self").data["accessor"]
    check(s, "by accessor", s.request("POST", ACCESSOR, {"paths": ["x"], "accessor": own}), root)
    s.answer("a path with the name of a key of the envelope leaves that alone",
             s.request("POST", SELF, {"paths": ["data"]}, token=token), 200, data={"capabilities": READ, "data": READ})
    check(s, "a parameter of another endpoint is not known",
          s.request("POST", SELF, {"paths": ["dir"], "accessor": "x"}, token=token), said({"paths": ["dir"]}, {"dir": ["list"]}),
          ["Endpoint ignored these unrecognized parameters: [accessor]"])
    check(s, "another's token does not count for -self",
          s.request("POST", SELF, {"paths": ["dir"], "token": s.root_token}, token=token), said({"paths": ["dir"]}, {"dir": ["list"]}))
    gone = s.token("default")
    gone_accessor = s.request("GET", "/v1/auth/token/lookup-self", token=gone).data["accessor"]
    s.request("POST", "/v1/auth/token/revoke-self", token=gone)
    for name, path, body, text in [
            ("no token", TOKEN, {}, "no token found"), ("an empty one", TOKEN, {"token": ""}, "no token found"),
            ("an unknown one", TOKEN, {"token": "hvs.unknown"}, "invalid token"),
            ("a revoked one", TOKEN, {"token": gone}, "invalid token"),
            ("no accessor", ACCESSOR, {}, "missing accessor"), ("an empty one", ACCESSOR, {"accessor": ""}, "missing accessor"),
            ("an unknown one", ACCESSOR, {"accessor": "unknown"}, "invalid accessor"),
            ("a token's in its place", ACCESSOR, {"accessor": token}, "invalid accessor"),
            ("a revoked one's", ACCESSOR, {"accessor": gone_accessor}, "invalid accessor")]:
        s.answer(f"{path.rpartition('/')[2]}: {name}", s.request("POST", path, {"paths": ["x"], **body}), 400, errors=[text])
    for asker, text, name in ((None, NO_TOKEN, "no token"), ("hvs.unknown", BAD_TOKEN, "an unknown token"),
                              (gone, BAD_TOKEN, "a revoked token"), (token, NOT_ALLOWED, "the default policy")):
        for path, body in ((TOKEN, {"token": token}), (ACCESSOR, {"accessor": accessor}), (SELF, {})):
            response = s.request("POST", path, {"paths": ["dir"], **body}, token=asker)
            if asker is token and path is SELF:
                check(s, f"-self with {name}", response, said({"paths": ["dir"]}, {"dir": ["list"]}))
            else:
                s.answer(f"{path} with {name}", response, 403, errors=[text])
    bare = s.token_with("bare", "x", "read")
    s.answer("-self is the default policy's to give", s.request("POST", SELF, {"paths": ["x"]}, token=no_default(s)), 403,
             errors=[NOT_ALLOWED])
    s.answer("a token's caller needs no sudo", s.request("POST", TOKEN, {"paths": ["x"], "token": bare},
                                                         token=s.token_with("update-only", "sys/capabilities", "update")), 200,
             data={"capabilities": READ, "x": READ})
    for path in (TOKEN, SELF, ACCESSOR):
        for method in METHODS:
            headers = [("Content-Type", "application/merge-patch+json")] if method == "PATCH" else []
            status, text = (404, "unsupported path") if method == "LIST" else (405, "unsupported operation") # it asks for a slash
            s.answer(f"{method} {path}", s.request(method, path, headers=headers), status, errors=[text])
        s.answer(f"POST {path}/", s.request("POST", path + "/", {}), 400, errors=["cannot write to a path ending in '/'"])


WHO_PLAN = 6 + 9 + 12 + 2 + 3 * (len(METHODS) + 1)


def no_default(s):
    made = s.request("POST", "/v1/auth/token/create", {"policies": ["bare"], "no_default_policy": True})
    s.secrets.append(made.key("auth")["client_token"])
    return s.secrets[-1]


def check_namespaces(s):
    """Paths are relative to the namespace that is asked in, rules to that of the token."""
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id)"
                  " SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
    rules = ('path "x" { capabilities = ["read"] }\npath "team-a/x" { capabilities = ["list"] }\n'
             'path "team-a/sys/capabilities*" { capabilities = ["update"] }\npath "sys/capabilities*" { capabilities = ["update"] }')
    s.policy("above", rules)
    s.policy("inside", rules, "-namespace=team-a")
    above, inside = s.token("above", "default"), s.token("inside", "default", namespace="team-a")
    accessors = {token: s.request("GET", "/v1/auth/token/lookup-self", token=token, headers=headers).data["accessor"]
                 for token, headers in ((above, []), (inside, [("X-Vault-Namespace", "team-a")]))}
    there = [("X-Vault-Namespace", "team-a")]
    for name, path, body, token, headers, capabilities in [
            ("a token at home", SELF, {}, above, [], READ),
            ("the same below", SELF, {}, above, there, ["list"]),
            ("the same, named", TOKEN, {"token": above}, above, there, ["list"]),
            ("the same by accessor", ACCESSOR, {"accessor": accessors[above]}, above, there, ["list"]),
            ("another, at home there", SELF, {}, inside, there, READ),
            ("named by one from above", TOKEN, {"token": inside}, above, there, READ),
            ("and by root from above", TOKEN, {"token": inside}, s.root_token, there, READ),
            ("by accessor", ACCESSOR, {"accessor": accessors[inside]}, above, there, READ)]:
        check(s, f"namespaces: {name}", s.request("POST", path, {"paths": ["x"], **body}, token=token, headers=headers),
              {"capabilities": capabilities, "x": capabilities})
    for name, path, body, text in [("a token of another namespace is nobody", TOKEN, {"token": inside}, "invalid token"),
                                   ("nor is its accessor", ACCESSOR, {"accessor": accessors[inside]}, "invalid accessor")]:
        s.answer(f"namespaces: {name}", s.request("POST", path, {"paths": ["x"], **body}), 400, errors=[text])


NAMESPACES_PLAN = 10

# --- generated: as the dry run has it

SEED, TOKENS, PATHS = 20261, 30, 80
WORDS = ["a", "b", "ab", "+", "sys", "x"]
NAMES = ["create", "read", "update", "patch", "delete", "list", "sudo", "deny"]


def random_path(dice, rule):
    words = [word for word in WORDS if rule or word != "+"]
    path = "/".join(dice.choices(words, k=dice.randint(1, 4))) + dice.choice(["", "", "/"])
    return path + dice.choice(["", "*", "/*"] if rule and not path.endswith("+") else [""])


def random_policy(dice):
    paths = {random_path(dice, True) for _ in range(dice.randint(1, 12))}
    return "\n".join(f'path "{path}" {{ capabilities = {json.dumps(dice.sample(NAMES[:-1], dice.randint(0, 4)) + ["deny"] * (dice.random() < 0.1))} }}'
                     for path in sorted(paths) if "+*" not in path)


def check_generated(s):
    dice = random.Random(SEED)
    cases, answers, connection = [], [], s.client.connect()
    for number in range(TOKENS):
        texts = [random_policy(dice) for _ in range(dice.randint(1, 3))]
        names = [f"random{number}-{which}" for which in range(len(texts))]
        for name, text in zip(names, texts):
            s.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": text or "# nothing"}, connection=connection)
        token = s.request("POST", "/v1/auth/token/create", {"policies": names, "no_default_policy": True},
                          connection=connection).key("auth")["client_token"]
        s.secrets.append(token)
        paths = sorted({random_path(dice, False) for _ in range(PATHS)})
        said_of = s.request("POST", TOKEN, {"token": token, "paths": paths}, connection=connection).data
        answers += [said_of[path] for path in paths]
        cases += [{"kind": "capabilities", "policies": texts, "path": path} for path in paths]
    done = s.tool("policy", "test", "-cases=-", input="".join(json.dumps(case) + "\n" for case in cases))
    expected = [json.loads(line)["capabilities"] for line in done.stdout.splitlines()]
    wrong = [(case, answer, wanted) for case, answer, wanted in zip(cases, answers, expected) if answer != wanted]
    s.tap.ok(len(expected) == len(cases) > 1000 and not wrong, f"{len(cases)} generated answers are those of the dry run", *wrong[:5])
    kinds = {tuple(answer) for answer in answers}
    s.tap.ok(len(kinds) > 20 and ("deny",) in kinds, f"among them {len(kinds)} sets of capabilities")


with stack(plan=FORMS_PLAN + WHO_PLAN + NAMESPACES_PLAN + 2, site="stand-alone", worker=UNCACHED) as s:
    s.policy("asked", POLICY)
    token = s.token("asked", "default")
    accessor = s.request("GET", "/v1/auth/token/lookup-self", token=token).data["accessor"]
    check_forms(s, token, accessor)
    check_who(s, token, accessor)
    check_namespaces(s)
    check_generated(s)
