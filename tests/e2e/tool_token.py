#!/usr/bin/python3
"""runtime-catalog token: issue with each flag, lookup, list, revoke, as the operator's role."""
import json
import os
import re
import socket
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, UNCACHED, stack  # noqa: E402

FIELDS = ["accessor", "bound_cidrs", "creation_time", "display_name", "expire_time", "explicit_max_ttl", "issue_time",
          "meta", "namespace_path", "num_uses", "orphan", "parent", "period", "policies", "ttl", "type"]
NONE_EXISTS = 'WARNING! Policy "{}" does not exist\n'
CAPPED = "WARNING! a time to live of 7200s exceeds -explicit-max-ttl and is capped at 3600s\n"

# flags, what lookup then says, and what standard error says
ISSUE = [
    ("nothing but a policy", ["-policy=p"],
     {"policies": ["p"], "display_name": "token", "ttl": 0, "expire_time": None, "explicit_max_ttl": 0, "period": 0,
      "num_uses": 0, "meta": None, "bound_cidrs": None, "orphan": True, "parent": None, "namespace_path": "",
      "type": "service"}, ""),
    ("several policies, as they are stored", ["-policy=Q", "--policy", " p ", "-policy=q"], {"policies": ["p", "q"]}, ""),
    ("root", ["-policy=ROOT"], {"policies": ["root"]}, ""),
    ("a policy that does not exist yet", ["-policy=p", "-policy=x"], {"policies": ["p", "x"]}, NONE_EXISTS.format("x")),
    ("-ttl", ["-policy=p", "-ttl=1h"], {"ttl": 3600, "explicit_max_ttl": 0}, ""),
    ("-ttl in days", ["-policy=p", "-ttl=2d"], {"ttl": 172800}, ""),
    ("-explicit-max-ttl alone", ["-policy=p", "-explicit-max-ttl=1h"], {"ttl": 3600, "explicit_max_ttl": 3600}, ""),
    ("-ttl below it", ["-policy=p", "-explicit-max-ttl=2h", "-ttl=1h"], {"ttl": 3600, "explicit_max_ttl": 7200}, ""),
    ("-ttl beyond it", ["-policy=p", "-explicit-max-ttl=1h", "-ttl=2h"], {"ttl": 3600, "explicit_max_ttl": 3600}, CAPPED),
    ("-period", ["-policy=p", "-period=30m"], {"ttl": 1800, "period": 1800}, ""),
    ("-period beyond -explicit-max-ttl", ["-policy=p", "-period=2h", "-explicit-max-ttl=1h"],
     {"ttl": 3600, "period": 7200, "explicit_max_ttl": 3600}, CAPPED),
    ("-use-limit", ["-policy=p", "-use-limit=3"], {"num_uses": 3}, ""),
    ("-use-limit=0 is none", ["-policy=p", "-use-limit=0"], {"num_uses": 0}, ""),
    ("-display-name", ["-policy=p", "-display-name=Ann's key_"], {"display_name": "token-Ann-s-key"}, ""),
    ("-display-name: one hyphen a character", ["-policy=p", "-display-name=\u00e9\u20ac-"], {"display_name": "token---"}, ""),
    ("an empty -display-name", ["-policy=p", "-display-name="], {"display_name": "token"}, ""),
    ("-metadata", ["-policy=p", "-metadata=a=1", "-metadata=b==x", "-metadata=c=\u00e9", "-metadata=a=2"],
     {"meta": {"a": "2", "b": "=x", "c": "\u00e9"}}, ""),
    ("-bound-cidr", ["-policy=p", "-bound-cidr=10.1.2.3/8", "-bound-cidr=::1", "-bound-cidr=fe80::/10"],
     {"bound_cidrs": ["10.0.0.0/8", "::1/128", "fe80::/10"]}, ""),
    ("-namespace", ["-policy=p", "-namespace=/team-a"], {"namespace_path": "team-a/"}, NONE_EXISTS.format("p")),
]
# What fails with the database's help: arguments behind `token`, standard error.
FAILS = [
    ("a namespace that is not", ["issue", "-policy=p", "-namespace=absent"], 'namespace "absent/" does not exist'),
    ("metadata that is too long", ["issue", "-policy=p", "-metadata=k=" + "v" * 5000], "meta: 4096 bytes at most"),
    ("policies that are too long", ["issue", *(f"-policy={i}{'p' * 250}" for i in range(20))], "policies: 4096 bytes at most"),
    ("lookup of an accessor that is not", ["lookup", "-accessor=" + "x" * 24], "token not found"),
    ("lookup of an accessor that is too long", ["lookup", "-accessor=" + "x" * 25], "token not found"),
    ("lookup of a token that is not", ["lookup", "hvs.x"], "token not found"),
    ("lookup of nothing", ["lookup", "-"], "nothing on standard input"),
    ("a list of a namespace that is not", ["list", "-namespace=absent"], 'namespace "absent/" does not exist'),
]
SUCCESS = "Success! Revoked token (if it existed)\n"
NOTHING = "WARNING! no token found: nothing was revoked\n"


def run(s, *arguments, text=None):
    return subprocess.run([s.folder / "bin/runtime-catalog", "token", *arguments], input=text or "", text=True,
                          capture_output=True, check=False, env=os.environ | {"RUNTIME_CATALOG_DSN": s.cluster.dsn("ann")})


def issue(s, *flags):
    """A token and its accessor."""
    done = run(s, "issue", "-policy=p", "-format=json", *flags)
    answer = json.loads(done.stdout)
    s.secrets.append(answer["token"])
    return answer["token"], answer["token_accessor"]


def child(s, parent, *flags):
    token, accessor = issue(s, *flags)
    s.cluster.sql(f"UPDATE runtime_catalog.token SET parent = '{parent}' WHERE accessor = '{accessor}'")
    return token, accessor


def expire(s, accessor):
    s.cluster.sql(f"UPDATE runtime_catalog.token SET expires_at = now() - interval '1s' WHERE accessor = '{accessor}'")


def lookup(s, accessor):
    done = run(s, "lookup", f"-accessor={accessor}", "-format=json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def listed(s, *flags):
    return [token["accessor"] for token in json.loads(run(s, "list", "-format=json", *flags).stdout)]


def stored(s, *accessors):
    return [s.cluster.sql(f"SELECT count(*) FROM runtime_catalog.token WHERE accessor = '{a}'") == "1" for a in accessors]


def same(got, wanted):
    """A time to live runs down while one looks."""
    return all(wanted[key] - 60 <= got[key] <= wanted[key] if key == "ttl" else got[key] == wanted[key] for key in wanted)


with stack(plan=4 * len(ISSUE) + len(FAILS) + 40, worker=UNCACHED) as s:
    s.cluster.sql("CREATE ROLE ann LOGIN IN ROLE runtime_catalog_operator")
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id) "
                  "SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
    for policy in ("p", "q"):
        s.policy(policy, 'path "*" { capabilities = ["read", "sudo"] }')

    for name, flags, wanted, warning in ISSUE:
        done = run(s, "issue", "-format=json", *flags)
        answer = json.loads(done.stdout or "{}")
        token = answer.get("token", "none")
        s.secrets.append(token)
        s.tap.equal((done.returncode, done.stderr), (0, warning), f"issue: {name}")
        s.tap.ok(re.fullmatch(r"hvs\.[0-9A-Za-z]{24}", token) and (done.stdout + done.stderr).count(token) == 1,
                 f"{name}: the token is shown once", done.stdout)
        got = lookup(s, answer.get("token_accessor")) or {}
        s.tap.ok(list(got) == FIELDS and same(got, wanted), f"{name}: lookup", got, wanted)
        s.tap.equal((answer["token_policies"], answer["namespace"], answer["token_duration"]),
                    (got["policies"], got["namespace_path"], wanted.get("ttl", 0)), f"{name}: the answer")
    for name, arguments, like in FAILS:
        done = run(s, *arguments)
        s.tap.ok(done.returncode == 2 and like in done.stderr and not done.stdout, name, done)

    # Tables and fields
    token, accessor = issue(s, "-ttl=90m", "-metadata=k=v\x1b[2J")
    table = run(s, "lookup", f"-accessor={accessor}").stdout.splitlines()
    s.tap.equal(table[:3], ["Key                 Value", "---                 -----", f"accessor            {accessor}"],
                "lookup: a table")
    for line in ("bound_cidrs         <nil>", "explicit_max_ttl    0s", "meta                map[k:v?[2J]",
                 "policies            [p]", "orphan              true"):
        s.tap.ok(line in table, f"lookup: {line}", *table)
    s.tap.ok(any(re.fullmatch(r"ttl +1h(30m|29m\d+s)", line) for line in table),
             "lookup: a time to live in hours and minutes", *table)
    s.tap.ok(not any(token in line for line in table), "and no token")
    done = run(s, "issue", "-policy=p", "-policy=q")
    s.secrets.append(done.stdout.split()[5])
    s.tap.ok(re.fullmatch(r"Key +Value\n--- +-----\ntoken +hvs\.\w{24}\ntoken_accessor +\w{24}\n"
                          "token_duration +\u221e\ntoken_policies +\\[p q\\]\nnamespace +\n", done.stdout),
             "issue: a table", done.stdout)
    for field, wanted in (("display_name", "token\n"), ("num_uses", "0\n"), ("policies", '[\n  "p"\n]\n')):
        s.tap.equal(run(s, "lookup", token, f"-field={field}").stdout, wanted, f"lookup: the field {field}")
    s.tap.equal(run(s, "lookup", "-", "-field=accessor", text=token + "\n").stdout, accessor + "\n",
                "lookup by a token from standard input")

    # A list
    table = run(s, "list").stdout.splitlines()
    s.tap.ok(re.fullmatch(r"Accessor +Display Name +Policies +TTL +Expire Time +Parent", table[0])
             and re.fullmatch(r"-{8} +-{12} +-{8} +-{3} +-{11} +-{6}", table[1]), "list: a table", *table)
    row = accessor + r" +token +\[p\] +1h\d+m(\d+s)? +20\d\d-\d\d-\d\dT[\d:]+Z +n/a"
    s.tap.ok(any(re.fullmatch(row, line) for line in table),
             "list: a line of it", *table)
    count = s.cluster.sql("SELECT count(*) FROM runtime_catalog.token AS t"
                          "  JOIN runtime_catalog.namespace AS n ON n.id = t.namespace_id WHERE n.path = ''")
    s.tap.equal(len(listed(s)), int(count), "list: each token of the namespace")
    s.tap.equal(len(listed(s, "-namespace=team-a")), 1, "list: another namespace")

    # What has ended is not shown.
    parent = issue(s)[1]
    son = child(s, parent)[1]
    grandson = child(s, son)[1]
    s.tap.equal((lookup(s, son)["parent"], lookup(s, son)["orphan"]), (parent, False), "lookup: a parent")
    expire(s, parent)
    s.tap.equal([lookup(s, a) for a in (parent, son, grandson)], [None] * 3, "lookup: a token ends with its parent")
    s.tap.ok(not {parent, son, grandson} & set(listed(s)), "list: so it does")
    used, used_accessor = issue(s, "-use-limit=1")
    s.answer("a token for one use", s.request("GET", CATALOG, token=used), 200)
    s.tap.ok(lookup(s, used_accessor) is None and used_accessor not in listed(s), "is not shown after that")

    # What a token is bound to
    near, far = issue(s, "-bound-cidr=127.0.0.0/8")[0], issue(s, "-bound-cidr=10.0.0.0/8")[0]
    s.answer("a token of this network", s.request("GET", CATALOG, token=near), 200)
    s.tap.equal(s.request("GET", CATALOG, token=far).status, 403, "a token of another one")

    # Revoking
    (token, parent), (other, other_accessor) = issue(s), issue(s)
    son = child(s, parent)[1]
    grandson = child(s, son)[1]
    s.answer("before it is revoked", s.request("GET", CATALOG, token=token), 200)
    done = run(s, "revoke", "-", text=token + "\n")
    s.tap.equal((done.returncode, done.stdout, done.stderr), (0, SUCCESS, ""), "revoke by a token from standard input")
    s.answer("the very next request is refused", s.request("GET", CATALOG, token=token), 403, errors=[BAD_TOKEN])
    s.tap.equal(stored(s, parent, son, grandson, other_accessor), [False, False, False, True],
                "its children go with it, and nobody else")
    done = run(s, "revoke", token)
    s.tap.equal((done.returncode, done.stdout, done.stderr), (0, SUCCESS, NOTHING), "again: a warning")
    done = run(s, "revoke", "-accessor=" + "x" * 24)
    s.tap.equal((done.returncode, done.stdout, done.stderr), (0, SUCCESS, NOTHING), "an accessor that is not: a warning")
    s.tap.equal(run(s, "revoke", other).stderr, "", "revoke by a token")
    s.tap.equal(stored(s, other_accessor), [False], "revokes it")

    parent = issue(s)[1]
    son = child(s, parent)[1]
    grandson = child(s, son)[1]
    s.tap.equal(run(s, "revoke", "-mode=orphan", "-accessor", parent).stdout, SUCCESS, "revoke by accessor, without children")
    s.tap.equal(stored(s, parent, son, grandson), [False, True, True], "leaves them")
    s.tap.equal((lookup(s, son)["orphan"], lookup(s, grandson)["parent"]), (True, son), "the next ones as orphans")
    expire(s, son)
    s.tap.equal(run(s, "revoke", "-mode=orphan", f"-accessor={son}").stdout, SUCCESS, "a token that has expired")
    s.tap.equal(stored(s, son, grandson), [False, False], "takes its children along: they had ended with it")
    change = s.cluster.sql("SELECT role_name || operation FROM runtime_catalog.change"
                           f" WHERE key->>'accessor' = '{parent}' ORDER BY id DESC LIMIT 1")
    s.tap.equal(change, "anndelete", "the history says who revoked")

    # A process list shows the token no longer than until it was read.
    listener = socket.socket(socket.AF_UNIX)
    (s.folder / "stuck").mkdir()
    listener.bind(str(s.folder / "stuck/.s.PGSQL.5432"))
    listener.listen(1)
    listener.settimeout(20)
    dsn = f"host={s.folder / 'stuck'} user=ann dbname=x"
    with subprocess.Popen([s.folder / "bin/runtime-catalog", "token", "revoke", "hvs.seen"], stderr=subprocess.PIPE,
                          text=True, env=os.environ | {"RUNTIME_CATALOG_DSN": dsn}) as child_process:
        connection = listener.accept()[0]
        with open(f"/proc/{child_process.pid}/cmdline", "rb") as file:
            line = file.read()
        connection.close()
        errors = child_process.communicate()[1]
    s.tap.ok(line.count(b"revoke") == 1 and b"seen" not in line, "a token among the arguments is blanked", line)
    s.tap.ok(child_process.returncode == 2 and "storage is not available" in errors,
             "and a database that goes away is told", errors)
