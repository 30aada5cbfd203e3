#!/usr/bin/python3
"""runtime-catalog policy: write, read, list, delete, as the operator's role; and test, without a
database: one request, and files of cases."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CHECKOUT, UNCACHED, stack  # noqa: E402

READ = 'path "a" { capabilities = ["read"] }\n'
CONTROL_GROUP = ('path "a" { capabilities = ["read"] control_group = { factor "f" { identity '
                 '{ group_names = ["g"] approvals = 1 } } } }')
TEAM = "-namespace=team-a"

# One after the other: arguments behind `policy`, standard input, exit status, standard output or
# a part of standard error.
STEPS = [
    ("nothing is stored", ["list"], None, 0, "default\nroot\n"),
    ("a policy", ["write", "p", "-"], READ, 0, "Success! Uploaded policy: p\n"),
    ("it is read as it was written", ["read", "p"], None, 0, READ),
    ("a name in capitals is looked for as it is stored", ["read", " P "], None, 0, READ),
    ("one from a file", ["write", "from-file", "FILE"], None, 0, "Success! Uploaded policy: from-file\n"),
    ("a name is converted, with a warning", ["write", " Upper ", "-"], READ, 0,
     'WARNING! Policy name was converted from " Upper " to "upper"'),
    ("and stored in lower case", ["list"], None, 0, "default\nfrom-file\np\nupper\nroot\n"),
    ("the list as JSON", ["list", "-format=json"], None, 0, '[\n  "default",\n  "from-file",\n  "p",\n  "upper",\n  "root"\n]\n'),
    ("a policy as JSON", ["read", "-format=json", "p"], None, 0, json.dumps({"policy": READ}, indent=2) + "\n"),
    ("a text without a line end gets one on a terminal", ["write", "bare", "-"], READ.strip(), 0,
     "Success! Uploaded policy: bare\n"),
    ("when it is read", ["read", "bare"], None, 0, READ),
    ("a policy in JSON", ["write", "p", "-"], '{"path": {"b": {"policy": "read"}}}', 0, "Success! Uploaded policy: p\n"),
    ("replaces the older one", ["read", "p"], None, 0, '{"path": {"b": {"policy": "read"}}}\n'),
    ("one that does not parse", ["write", "p", "-"], 'path "a" {\n capabilities = [\n', 2, "failed to parse policy: At 3:"),
    ("a capability that is none", ["write", "p", "-"], 'path "a" { capabilities = ["fly"] }', 2, 'invalid capability "fly"'),
    ("a restriction that nobody enforces", ["write", "p", "-"], CONTROL_GROUP, 2, 'path "a": control_group is not enforced here'),
    ("another one", ["write", "p", "-"], 'path "a" { policy = "read" mfa_methods = ["m"] }', 2, "mfa_methods is not enforced"),
    ("an empty one", ["write", "p", "-"], "", 2, "-: 1 to 524288 bytes"),
    ("one that is too long", ["write", "p", "-"], "#" * 524289, 2, "524288 bytes at most"),
    ("a file that is not there", ["write", "p", "/nowhere"], None, 2, "/nowhere: No such file"),
    ("a directory", ["write", "p", "/"], None, 2, "/: Is a directory"),
    ("none of these was stored", ["read", "p"], None, 0, '{"path": {"b": {"policy": "read"}}}\n'),
    ("the root policy", ["write", "Root", "-"], READ, 2, 'cannot update "root" policy'),
    ("a policy that is built in", ["write", "response-wrapping", "-"], READ, 2, 'cannot update "response-wrapping" policy'),
    ("a name with a blank", ["write", "a b", "-"], READ, 2, "name: 255 bytes of printable ASCII"),
    ("a name that is too long", ["write", "n" * 256, "-"], READ, 2, "NAME: 255 bytes at most"),
    ("a name of blanks", ["write", "  ", "-"], READ, 2, "NAME: is empty"),
    ("one that is not there", ["read", "absent"], None, 2, "No policy named: absent"),
    ("root has no text", ["read", "root"], None, 2, "No policy named: root"),
    ("a namespace has policies of its own", ["write", TEAM, "p", "-"], READ, 0, "Success! Uploaded policy: p\n"),
    ("which are listed", ["list", "-namespace=/team-a/"], None, 0, "default\np\nroot\n"),
    ("and read", ["read", "p", TEAM], None, 0, READ),
    ("and deleted", ["delete", "p", TEAM], None, 0, "Success! Deleted policy: p\n"),
    ("from that namespace", ["list", TEAM], None, 0, "default\nroot\n"),
    ("alone", ["list"], None, 0, "bare\ndefault\nfrom-file\np\nupper\nroot\n"),
    ("a namespace that is not there: write", ["write", "-namespace=absent", "p", "-"], READ, 2,
     'namespace "absent/" does not exist'),
    ("a namespace that is not there: read", ["read", "-namespace=absent", "p"], None, 2,
     'namespace "absent/" does not exist'),
    ("a namespace that is not there: list", ["list", "-namespace=absent"], None, 2,
     'namespace "absent/" does not exist'),
    ("a namespace that is not there: delete", ["delete", "-namespace=absent", "p"], None, 2,
     'namespace "absent/" does not exist'),
    ("deleting", ["delete", " P"], None, 0, "Success! Deleted policy: p\n"),
    ("deletes", ["read", "p"], None, 2, "No policy named: p"),
    ("that one alone", ["list"], None, 0, "bare\ndefault\nfrom-file\nupper\nroot\n"),
    ("and may be repeated", ["delete", "p"], None, 0, "Success! Deleted policy: p\n"),
    ("a default policy may be written", ["write", "default", "-"], READ, 0, "Success! Uploaded policy: default\n"),
    ("but not deleted", ["delete", "Default"], None, 2, "cannot delete default policy"),
    ("nor root", ["delete", "root"], None, 2, 'cannot delete "root" policy'),
    ("an argument that looks like a flag, behind --", ["read", "--", "-p"], None, 2, "No policy named: -p"),
]

CATALOG = "sys/plugins/runtimes/catalog"
ITEM = CATALOG + "/container/a"
FILES = {
    "reader": f'path "{CATALOG}/*" {{ capabilities = ["read", "sudo"] }}\npath "{CATALOG}" {{ capabilities = ["read"] }}',
    "writer": f'path "/{CATALOG}/*" {{ capabilities = ["update"] allowed_parameters = {{ "oci_runtime" = ["runsc"] }} }}',
    "strict": f'path "{CATALOG}/+/a" {{ capabilities = ["update", "sudo"] required_parameters = ["cpu_nanos"] '
              'denied_parameters = { "rootless" = [true] } }',
    "closed": 'path "a" { capabilities = ["update"] denied_parameters = { "*" = [] } }',
    "wrapped": 'path "b" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "1h" }',
    "slash": 'path "c/" { capabilities = ["list"] }',
    "deny": f'path "{CATALOG}/*" {{ capabilities = ["deny"] }}',
    "broken": 'path "a" {',
    "group": CONTROL_GROUP,
    "empty": "",
}
# files, operation, path, more flags, exit status, and part of the answer
SINGLE = [
    ("read", ["reader"], "read", ITEM, [], 0,
     {"allowed": True, "reason": "the rule grants read and sudo", "rule": CATALOG + "/*", "policies": ["reader"],
      "capabilities": ["read", "sudo"], "sudo": True, "sudo_required": True}),
    ("a slash in front", ["reader"], "read", "/" + ITEM, [], 0, {"allowed": True, "sudo_required": True}),
    ("sudo is needed and not held", ["reader"], "read", CATALOG, [], 2,
     {"allowed": False, "reason": "the rule grants read; the path needs sudo as well", "sudo": False, "sudo_required": True}),
    ("sudo is neither needed nor held", ["wrapped"], "read", "b", ["-wrap-ttl=2m"], 0,
     {"allowed": True, "reason": "the rule grants read", "sudo": False, "sudo_required": False}),
    ("a list is asked for with its slash", ["reader"], "list", CATALOG, [], 2,
     {"reason": "the rule does not grant list", "rule": CATALOG, "policies": ["reader"], "sudo_required": True}),
    ("also where only that has a rule", ["slash"], "list", "c", [], 0, {"allowed": True, "rule": "c/"}),
    ("and has one slash then", ["slash"], "list", "c/", [], 0, {"allowed": True, "rule": "c/"}),
    ("a capability that is missing", ["reader"], "delete", ITEM, [], 2,
     {"reason": "the rule does not grant delete", "sudo": True}),
    ("two policies of one pattern add up", ["reader", "writer", "closed"], "update", ITEM, [], 0,
     {"policies": ["reader", "writer"], "capabilities": ["read", "update", "sudo"]}),
    ("and deny takes all", ["reader", "deny"], "read", ITEM, [], 2,
     {"reason": "the rule denies read", "policies": ["reader", "deny"], "capabilities": ["deny"], "sudo": False}),
    ("the more specific rule counts", ["writer", "strict", "reader"], "update", ITEM, ['-data={"cpu_nanos":1}'], 0,
     {"rule": CATALOG + "/+/a", "policies": ["strict"]}),
    ("a value that is allowed", ["reader", "writer"], "update", ITEM, ['-data={"oci_runtime":"runsc"}'], 0, {"allowed": True}),
    ("a value that is not", ["reader", "writer"], "update", ITEM, ['-data={"oci_runtime":"runc"}'], 2,
     {"reason": 'allowed_parameters: "oci_runtime" was sent, which is not among them'}),
    ("a required parameter", ["strict"], "update", ITEM, [], 2, {"reason": 'required_parameters: "cpu_nanos" was not sent'}),
    ("a value that is denied", ["strict"], "update", ITEM, ['-data={"cpu_nanos":1,"rootless":true}'], 2,
     {"reason": 'denied_parameters: "rootless" was sent'}),
    ("every parameter is denied", ["closed"], "update", "a", ['-data={"x":1}'], 2,
     {"reason": "denied_parameters: something was sent"}),
    ("a response to be wrapped", ["wrapped"], "read", "b", [], 2,
     {"reason": "the rule wants a wrapped response, from min_wrapping_ttl to max_wrapping_ttl"}),
    ("for too long", ["wrapped"], "read", "b", ["-wrap-ttl=61m"], 2, {"allowed": False}),
    ("no rule", ["reader"], "read", "b", [], 2,
     {"allowed": False, "reason": "no rule matches the path", "rule": None, "policies": [], "capabilities": []}),
    ("an empty policy", ["empty"], "read", "b", [], 2, {"reason": "no rule matches the path"}),
    ("help", ["empty"], "help", "b", [], 0, {"allowed": True, "reason": "whoever has a token may ask for help"}),
]
# What has no answer: files, and what standard error holds.
FAULTY = [
    ("a policy that does not parse", ["reader", "broken"], "failed to parse policy broken: At 1:"),
    ("a restriction that nobody enforces", ["group"], "control_group is not enforced here"),
    ("a file that is not there", ["absent"], "absent: No such file"),
]

# Lines of cases that are not for this, or are none.
ODD = [
    ({"kind": "allow", "policies": [READ], "op": "read", "path": "a"}, {"allowed": True, "sudo": False}),
    ({"kind": "allow", "policies": [READ], "op": "read", "path": "a", "sudo_required": True},
     {"allowed": True, "sudo": False, "request_allowed": False}),
    ({"kind": "allow", "policies": [READ], "op": "read", "path": "a", "list_matching": "legacy-exact"}, "list_matching"),
    ({"kind": "allow", "policies": [READ], "op": "read", "path": "a", "list_matching": "per-item"},
     {"allowed": True, "sudo": False}),
    ({"kind": "parse", "policy": READ, "env": {"X": "1"}}, "env"),
    ({"kind": "parse", "policy": CONTROL_GROUP}, {"parse_ok": True, "error": ""}),
    ({"kind": "parse", "policy": "x = 1"}, {"parse_ok": False, "error": 'failed to parse policy: invalid key "x" on line 1'}),
    ({"kind": "allow", "policies": [], "root": True, "op": "update", "path": "a"}, {"allowed": True, "sudo": True}),
    ({"kind": "capabilities", "policies": [], "root": True, "path": "a"}, {"capabilities": ["root"]}),
    ({"kind": "capabilities", "policies": ['path "a" { policy = "sudo" }'], "path": "a"},
     {"capabilities": ["create", "delete", "list", "read", "sudo", "update"]}),
    ({"kind": "capabilities", "policies": [READ], "path": "a", "entity": {"identity.entity.id": "x"}},
     {"capabilities": ["read"]}),
    ({"kind": "capabilities", "policies": ['path "{{identity.entity.id}}" { policy = "read" }'], "path": "a",
      "entity": {"identity.entity.id": "a"}}, "entity"),
    ({"kind": "merge", "policies": [READ], "path": "a"}, "kind"),
    ({"policies": [READ]}, "kind"),
    ({"kind": "allow", "policies": [READ], "op": "fly", "path": "a"}, "op or path"),
    ({"kind": "capabilities", "policies": [READ]}, "path"),
    ({"kind": "parse"}, "policy"),
    ({"kind": "allow", "policies": [CONTROL_GROUP], "op": "read", "path": "a"}, "failed to parse policy"),
    ([], "not a JSON object"),
    ("", "not a JSON object"),
    ({"kind": "allow", "policies": [READ], "op": "update", "path": "a"}, {"allowed": False, "sudo": False}),
]

# The cases of the unit test, read here because the checkout may be closed to who runs the rest.
CASES = {path.name: path.read_text() for path in sorted((CHECKOUT / "tests/data/policy").glob("*.jsonl"))}
EXPECTED = {"allow": ("allowed", "sudo", "request_allowed"), "capabilities": ("capabilities",), "parse": ("parse_ok",)}


def run(s, *arguments, text=None, cwd=None, role="ann"):
    return subprocess.run([s.folder / "bin/runtime-catalog", "policy", *arguments], input=text or "", text=True,
                          capture_output=True, check=False, cwd=cwd,
                          env=os.environ | {"RUNTIME_CATALOG_DSN": s.cluster.dsn(role)})


def faults(lines, answers):
    """The cases that are answered otherwise than they say."""
    if len(lines) != len(answers):
        yield f"{len(lines)} lines, {len(answers)} answers"
    for line, answer in zip(lines, answers):
        case, answer = json.loads(line), json.loads(answer)
        wanted = {key: case[key] for key in EXPECTED[case["kind"]] if key in case}
        error = "failed to parse policy: " + case["error"] if "error" in case else None
        if answer.pop("error", None) not in ((error,) if error else ("", None)) and "error_contains" not in case \
                or answer != wanted:
            yield f"{case['name']}: {answer}"


with stack(plan=2 * len(STEPS) + 2 * len(SINGLE) + 2 * len(FAULTY) + 2 * len(CASES) + len(ODD) + 10, worker=UNCACHED) as s:
    s.cluster.sql("CREATE ROLE ann LOGIN IN ROLE runtime_catalog_operator")
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id) "
                  "SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
    files = pathlib.Path(s.folder) / "policies"
    files.mkdir()
    for name, text in FILES.items():
        (files / name).write_text(text)

    s.tap.ok("auth/token/lookup-self" in s.tool("policy", "read", "default").stdout, "the policy default is built in")
    done = s.tool("policy", "test", f"-policy={files}/strict", "-operation=read", "-path=a/../b", check=False)
    s.tap.ok(done.returncode == 1 and "must be canonical" in done.stderr, "test: a path that the worker refuses", done)
    for name, arguments, text, status, like in STEPS:
        done = run(s, *(str(files / "reader") if word == "FILE" else word for word in arguments), text=text)
        s.tap.equal(done.returncode, status, name)
        s.tap.ok(done.stdout == like if status == 0 and "WARNING" not in like else like in done.stderr,
                 f"{name}: {like[:60]}", done.stdout, done.stderr)

    for name, policies, operation, path, more, status, wanted in SINGLE:
        done = run(s, "test", *(f"-policy={policy}" for policy in policies), f"-operation={operation}",
                   f"-path={path}", *more, "-format=json", cwd=files, role="nobody-of-that-name")
        s.tap.equal((done.returncode, done.stderr), (status, ""), f"test: {name}")
        answer = json.loads(done.stdout or "{}")
        s.tap.equal({key: answer.get(key) for key in wanted}, wanted, f"test: {name}: the answer")
    for name, policies, like in FAULTY:
        done = run(s, "test", *(f"-policy={policy}" for policy in policies), "-operation=read", "-path=a", cwd=files)
        s.tap.equal((done.returncode, done.stdout), (1, ""), f"test: {name}")
        s.tap.ok(like in done.stderr, f"test: {name}: {like}", done.stderr)

    done = run(s, "test", "-policy=reader", "-operation=read", f"-path={ITEM}", cwd=files)
    s.tap.equal(done.stdout.splitlines()[:3], ["Key              Value", "---              -----", "allowed          true"],
                "test: a table")
    done = run(s, "test", "-policy=-", "-operation=read", "-path=a", "-field=allowed", text=READ)
    s.tap.equal((done.returncode, done.stdout), (0, "true\n"), "test: a policy from standard input, and a field")

    for name, text in CASES.items():
        done = run(s, "test", "-cases=-", text=text)
        wrong = list(faults(text.strip("\n").split("\n"), done.stdout.strip("\n").split("\n")))
        s.tap.equal((done.returncode, done.stderr), (0, ""), f"{name} is answered")
        s.tap.ok(not wrong, f"{name}: each answer is the one expected", *wrong)
    odd = "".join((json.dumps(case) if case != "" else "") + "\n" for case, _ in ODD)
    (files / "odd.jsonl").write_text(odd)
    done = run(s, "test", f"-cases={files / 'odd.jsonl'}")
    answers = done.stdout.splitlines()
    s.tap.equal(len(answers), len(ODD), "a line of output for each line of input")
    for (case, wanted), line in zip(ODD, answers):
        answer = json.loads(line)
        s.tap.ok(answer == wanted if isinstance(wanted, dict) else list(answer) == ["skipped"] and wanted in answer["skipped"],
                 f"a case: {json.dumps(case)[:60]}", line)
    s.tap.equal(done.returncode, 1, "lines that are no cases end in an error")
    s.tap.ok(f"odd.jsonl:{len(ODD) - 3}: failed to parse" in done.stderr, "which names the first of them", done.stderr)
    s.tap.ok('{"allowed":true,"sudo":false}' == answers[0], "answers are compact", answers[0])
    done = run(s, "test", "-cases=-", text=json.dumps(ODD[0][0]))
    s.tap.equal((done.returncode, done.stdout), (0, '{"allowed":true,"sudo":false}\n'), "a last line without an end")
    done = run(s, "test", "-cases=/nowhere")
    s.tap.ok(done.returncode == 1 and "/nowhere" in done.stderr, "cases that are not there", done.stderr)
