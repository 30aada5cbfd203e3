#!/usr/bin/python3
"""runtime-catalog: its usage; and what runtime-catalogd -t says of policies. Tokens and policies:
tool_token.py, tool_policy.py; migrate and status, and what -t says of the schema: migrations.py."""
import os
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import stack  # noqa: E402

ISSUE = ["token", "issue", "-policy=p"]
TEST = ["policy", "test", "-policy=f", "-operation=read", "-path=a"]
DURATION = "a duration such as"

# Wrong usage is told before anything is opened: arguments, and what standard error holds.
WRONG = [
    ("no subcommand", [], "usage"),
    ("an unknown one", ["banana"], "unknown subcommand banana"),
    ("half of one", ["policy"], "policy write"),
    ("an unknown half", ["token", "banana"], "unknown subcommand"),
    ("help for an unknown one", ["help", "banana"], "unknown subcommand banana"),
    ("an unknown flag", ["status", "-banana=1"], "unknown flag -banana"),
    ("the start of a flag", ["status", "-form=json"], "unknown flag -form"),
    ("three dashes", ["status", "---format=json"], "unknown flag --format"),
    ("a flag of another one", ["migrate", "-ttl=1h"], "-ttl does not belong to migrate"),
    ("a flag that ends like one of its own", [*TEST, "-ttl=1h"], "-ttl does not belong to policy test"),
    ("a database for what needs none", [*TEST, "-config=x"], "-config does not belong to policy test"),
    ("a switch with a value", ["status", "-help=1"], "-help takes no value"),
    ("a flag without its value", ["token", "issue", "-policy"], "-policy: a value is missing"),
    ("an empty value", ["token", "issue", "-policy="], "-policy: a value"),
    ("a value that is not UTF-8", ["token", "issue", b"-policy=\xff"], "-policy: not UTF-8"),
    ("a format that is none", ["status", "-format=xml"], "-format: table or json"),
    ("an argument too many", ["status", "banana"], "one argument too many: banana"),
    ("an argument too few", ["policy", "write", "p"], "an argument is missing"),
    ("a policy's name is missing", ["policy", "read"], "an argument is missing"),
    ("two tokens, which are not shown", ["token", "lookup", "-", "hvs.x"], "one argument too many: (not shown)"),
    ("a token without policy", ["token", "issue"], "-policy: at least one"),
    ("root and another", [*ISSUE, "-policy=root"], "root must be the only"),
    ("a policy of blanks", ["token", "issue", "-policy= "], "-policy: 1 to 255"),
    ("a policy's name that is too long", ["token", "issue", "-policy=" + "p" * 256], "-policy: 1 to 255"),
    ("a policy that nobody may have", [*ISSUE, "-policy=Control-Group"], 'cannot assign policy "control-group"'),
    ("65 policies", ["token", "issue", *["-policy=p"] * 65], "-policy: a value that is not empty, 64 times"),
    ("a bad -ttl", [*ISSUE, "-ttl=soon"], f"-ttl: {DURATION}"),
    ("a -ttl of nothing", [*ISSUE, "-ttl=0"], f"-ttl: {DURATION}"),
    ("a -ttl below a second", [*ISSUE, "-ttl=999ms"], f"-ttl: {DURATION}"),
    ("a -ttl beyond a hundred years", [*ISSUE, "-ttl=36601d"], f"-ttl: {DURATION}"),
    ("a bad -explicit-max-ttl", [*ISSUE, "-explicit-max-ttl=-1h"], f"-explicit-max-ttl: {DURATION}"),
    ("a bad -period", [*ISSUE, "-period=1"+"0"*30], f"-period: {DURATION}"),
    ("-ttl and -period", [*ISSUE, "-ttl=1h", "-period=1h"], "-ttl: a token with -period"),
    ("a negative -use-limit", [*ISSUE, "-use-limit=-1"], "-use-limit: a number"),
    ("a -use-limit beyond an integer", [*ISSUE, "-use-limit=2147483648"], "-use-limit: a number"),
    ("a -use-limit that is no number", [*ISSUE, "-use-limit=1x"], "-use-limit: a number"),
    ("-metadata without a value", [*ISSUE, "-metadata=k"], "-metadata: key=value"),
    ("-metadata without a key", [*ISSUE, "-metadata==v"], "-metadata: key=value"),
    ("a network that is none", [*ISSUE, "-bound-cidr=10.0.0"], "-bound-cidr: an address"),
    ("a prefix that is too long", [*ISSUE, "-bound-cidr=10.0.0.0/33"], "-bound-cidr: an address"),
    ("a prefix that is none", [*ISSUE, "-bound-cidr=::1/"], "-bound-cidr: an address"),
    ("a display name that is too long", [*ISSUE, "-display-name=" + "n" * 4096], "-display-name: too long"),
    ("a namespace that is too long", [*ISSUE, "-namespace=" + "n" * 1100], "-namespace: the path"),
    ("a field that is not", [*ISSUE, "-field=x"], '-field: field "x" is not in the result, which has: token'),
    ("half a field", [*ISSUE, "-field=token_"], '-field: field "token_"'),
    ("no token", ["token", "lookup"], "a token is missing"),
    ("a token twice", ["token", "revoke", "-accessor=x", "-"], "-accessor: does not go with a token"),
    ("a mode that is none", ["token", "revoke", "-accessor=x", "-mode=path"], "-mode: orphan"),
    ("a test without a policy", ["policy", "test", *TEST[3:]], "-policy: at least one file"),
    ("a test without an operation", ["policy", "test", TEST[2], TEST[4]], "-operation is needed"),
    ("a test without a path", TEST[:4], "-path is needed"),
    ("a test of an operation that is none", [*TEST, "-operation=fly"], "-operation: create"),
    ("a test of a path with /v1/", [*TEST, "-path=/v1/a"], "-path: what follows /v1/"),
    ("a test of data that is no JSON", [*TEST, "-data={"], "-data: a JSON object"),
    ("a test of data that is a list", [*TEST, "-data=[]"], "-data: a JSON object"),
    ("a test of data with a key twice", [*TEST, '-data={"a":1,"a":2}'], "-data: a JSON object"),
    ("a test with a bad -wrap-ttl", [*TEST, "-wrap-ttl=x"], f"-wrap-ttl: {DURATION}"),
    ("cases and a policy", ["policy", "test", "-cases=-", "-policy=f"], "-policy does not go with -cases"),
]

# arguments, and what standard output holds
HELP = [
    (["-h"], "token issue"), (["--help"], "policy test"), (["help"], "migrate"),
    (["help", "policy", "write"], "NAME FILE"), (["token", "revoke", "-h"], "-mode=orphan"),
    (["-version"], "runtime-catalog 0."), (["--version", "status"], "runtime-catalog 0."),
]


def run(s, *arguments, dsn=None):
    done = subprocess.run([s.folder / "bin/runtime-catalog", *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False,
                          env=os.environ | {"RUNTIME_CATALOG_DSN": dsn or s.cluster.dsn()})
    return done.returncode, done.stdout + done.stderr


with stack(plan=2 * len(WRONG) + 2 * len(HELP) + 5) as s:
    for name, arguments, like in WRONG:
        got, output = run(s, *arguments, dsn="host=/nowhere")
        s.tap.equal(got, 1, name)
        s.tap.ok(like in output, f"{name}: {like}", output)
    for arguments, like in HELP:
        got, output = run(s, *arguments, dsn="host=/nowhere")
        s.tap.equal(got, 0, " ".join(arguments))
        s.tap.ok(like in output, f"{' '.join(arguments)}: {like}", output)

    got, output = run(s, "token", "list", dsn="host=/nowhere")
    s.tap.ok(got == 2 and "storage is not available" in output, "a database that is away", output)
    got, output = run(s, "policy", "list", f"-config={s.folder / 'worker.conf'}", dsn="host=/nowhere")
    s.tap.ok(got == 2 and "permission denied" in output, "-config wins over the environment, and is the worker's", output)

    # runtime-catalogd -t
    def test():
        done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], text=True,
                              capture_output=True, check=False)
        return done.returncode, done.stderr

    status, output = test()
    s.tap.ok(status == 0, "-t finds nothing wrong", output)
    s.cluster.sql("INSERT INTO runtime_catalog.policy (namespace_id, name, text) "
                  "SELECT id, 'broken', 'path' FROM runtime_catalog.namespace")
    status, output = test()
    s.tap.ok(status == 1 and 'policy "broken" does not compile' in output, "a stored policy that does not compile", output)
    s.cluster.sql("DELETE FROM runtime_catalog.policy WHERE name = 'broken'")
    s.tap.equal(test()[0], 0, "and good again")
