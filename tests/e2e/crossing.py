#!/usr/bin/python3
"""Every route × every method × tokens of every kind × every way to name a namespace: whatever a tenant
sends, nothing of another's is read or changed, nor does any answer tell whether there is one.

Each attempt is made in two worlds that differ in one thing: tenant bravo is in the first alone. It is a
crossing if an answer shows what was planted in bravo, if a row that is not the attacker's has changed,
or if the two worlds answer differently. That is tried on the worker as built, on one without the checks
in C, and on a database without row-level security, where there must be none; and with one memory for all,
without either, and without authenticate()'s part, where there must be some, or the test could not see them.

The long form of ./dev soak makes at least 100,000 attempts in each of the first three.
RUNTIME_CATALOG_SEED=number repeats the attempts of an earlier run.
"""
import collections
import concurrent.futures
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
import fastcgi  # noqa: E402
import routes  # noqa: E402
import tenants  # noqa: E402
from client import UnixConnection  # noqa: E402
from cluster import BIN, DATABASE  # noqa: E402
from harness import SOAK, build_mutant, stack  # noqa: E402
from processes import start, stop, wait_for_listener  # noqa: E402
from tenants import ATTACKERS, BRAVO, BRAVO_ID, KINDS, NAMES, PLANTED, TEAM, accessor_of, token_of  # noqa: E402

SEED = int(os.environ.get("RUNTIME_CATALOG_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LONG = 100_000           # attempts, at least, in the long form
ROUNDS = 2               # of each path and method, in the short one
OVER_NGINX = 10          # every so many rounds through nginx; the others are FastCGI's bytes
OWN_READS = 8            # every so many attempts bravo reads something itself, so that the worker remembers it
TWIN = "without_bravo"   # the database of the second world
LANES = len(ATTACKERS)   # processes, an attacker each

# --- ways to name a namespace

SPACE = "X-Vault-Namespace"

# uri(path): with the path of a route; named: whatever comes of it, it is not the site's own namespace and
# none that is not named; bearer: with bravo's token in another header than the token's.
Form = collections.namedtuple("Form", "name uri headers named bearer", defaults=((), True, False))


def plain(path):
    return "/v1/" + path


def before(text):
    return lambda path: f"/v1/{text}{path}"


def with_query(query):
    return lambda path: f"/v1/{path}?{query}"


def in_header(*values):
    return [Form(f"header {value[:40]!r}", plain, [(SPACE, value)]) for value in values]


def in_path(*texts):
    return [Form(f"path {text!r}", before(text)) for text in texts]


def spelled(own, other):
    """Names, right or wrong."""
    yield from in_header(other, f"/{other}/", f"{other}/{TEAM}", f"{TEAM}/{other}", f"root/{other}", other.upper(), f"{other}.", f"{other}-",
                         f"{other}0", f"{own}/{other}", f"{other}/{own}", f"{other}/sys", f"sys/{other}", "root")
    yield from in_path(f"{other}/", f"{other}/{TEAM}/", f"{TEAM}/{other}/", f"root/{other}/", f"{own}/{other}/", f"{other.upper()}/", f"{other}.../",
                       f"%62{other[1:]}/", f"{other}%2F", f"{other}%2f", f"sys/{other}/", f"{other}/v1/", "root/")
    yield Form("all of the path encoded", lambda path: "/v1/" + f"{other}/{path}".replace("/", "%2F"))
    for header, text in ((other, f"{TEAM}/"), (TEAM, f"{other}/"), (other, f"{other}/"), (own, f"{other}/"), ("/", f"{other}/"),
                         (other, f"{own}/"), (other[:2], f"{other[2:]}/")):
        yield Form(f"header {header!r} and path {text!r}", before(text), [(SPACE, header)])


def misspelled(own, other):
    """What is no name, or no way to give one."""
    yield from in_header(f"../{other}", f"{own}/../{other}", f"{TEAM}/../../{other}", f"{other}/..", "..", ".", f"{TEAM}//{other}", f"{other}%2F",
                         f"%62{other[1:]}", f"{other}, {own}", f"{own}, {other}", f"{other},", "*", "+", f"{other[:1]}*", f"{other};", f"\\{other}",
                         f"{other}\x01", f"{other}\x7f", f"{other}\xa0", f"{other}' OR true --", '{"path": "%s/"}' % other, "n/" * 300)
    yield from in_path(f"{other}%252F", f"{TEAM}/%2E./{other}/", f"{TEAM}/../{other}/", f"./{other}/", f"/{other}/", f"%2f{other}/", f"{TEAM}//{other}/",
                       f"../v1/{other}/", f"../../{other}/", f"..%2f{other}/", f"%2e%2e/{other}/", f"{other};/", f"{other}%20/", f"{other}%00/",
                       f"{other}%0a/", f"{other}%3F/", f"{other}%23/", f"{other}%5C", f"*/{other}/", "+/", "%2A/", f"{other}%C2%A0/")
    yield Form("behind a detour", lambda path: f"/v1/{path}/../../{other}/{path}")
    for header, text in ((other, "../"), ("..", f"{other}/")):
        yield Form(f"header {header!r} and path {text!r}", before(text), [(SPACE, header)])
    for first, second in ((TEAM, other), (other, TEAM), (other, other), ("", other), (other, "")):
        yield Form(f"header {first!r}, then {second!r}", plain, [(SPACE, first), (SPACE, second)])
    yield Form("header in two spellings", plain, [(SPACE, TEAM), (SPACE.lower(), other)])


def unheard(own, other):
    """What names the site's own, whatever else it says."""
    yield Form("nothing", plain, named=False)
    yield Form("behind the path", lambda path: f"/v1/{path}/{other}", named=False)
    for value in ("", "/", "//"):
        yield Form(f"header {value!r}", plain, [(SPACE, value)], named=False)
    for name, value in (("namespace", other), (SPACE, other), ("RUNTIME_CATALOG_NAMESPACE", f"{other}/"), ("site", f"{other}/"), ("x", f"%23/{other}"),
                        ("namespace_id", BRAVO_ID), ("token", token_of(BRAVO, "root")), ("accessor", accessor_of(BRAVO, "root"))):
        yield Form(f"parameter {name}={value}"[:40], with_query(f"{name}={value}"), named=False)
    for name in ("RUNTIME_CATALOG_NAMESPACE", "Runtime-Catalog-Namespace", "X_Vault_Namespace", "X-Namespace", "X-Forwarded-Host",
                 "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "Forwarded", "X-Vault-Inconsistent", "X-Forwarded-For"):
        yield Form(f"header {name}", plain, [(name, f"{other}/")], named=False)
    del own


def two_tokens(own, other):
    """bravo's beside one's own, which is the one that counts."""
    bearer = ("Authorization", f"Bearer {token_of(BRAVO, 'root')}")
    yield Form("its token as a bearer's", plain, [bearer], named=False, bearer=True)
    yield Form("its token twice", plain, [("X-Vault-Token", token_of(BRAVO, "root"))], named=False, bearer=True)
    yield Form("its token and its name", plain, [bearer, (SPACE, other)], bearer=True)
    del own


def forms(own, other, suits=lambda form: True):
    """Groups, each of which is tried as often as the others."""
    groups = [[form for form in ways(own, other) if suits(form)] for ways in (spelled, misspelled, unheard, two_tokens)]
    return [group for group in groups if group]


# --- who tries: with which token, at a site that is fixed to which namespace. told: the two worlds may
# differ, because who holds that token knows of bravo.

Stance = collections.namedtuple("Stance", "name site token forms told", defaults=(False,))


def stances(lane):
    """The same of each attacker."""
    own = ATTACKERS[lane]
    every, one_token = forms(own, BRAVO), forms(own, BRAVO, lambda form: not form.bearer)
    for kind in KINDS:
        yield Stance(f"{kind}, site for all", "", token_of(own, kind), every)
        yield Stance(f"{kind}, at home in the site for all", "", token_of(own, kind), [[*in_header(own), *in_path(f"{own}/")]])
        yield Stance(f"{kind}, own site", f"{own}/", token_of(own, kind), every)
        yield Stance(f"{kind}, bravo's site", f"{BRAVO}/", token_of(own, kind), one_token)
        yield Stance(f"bravo's {kind}, attacker's site", f"{own}/", token_of(BRAVO, kind), every)
    parent = token_of(f"parent {own}", "root")
    yield Stance("the parent's, attacker's site", f"{own}/", parent, every)
    yield Stance("the parent's for the attacker, site for all", "", parent, forms(BRAVO, own, lambda form: form.named and not form.bearer))
    yield Stance("one of below bravo, site for all", "", token_of(f"below {BRAVO} {own}", "root"),
                 forms(own, BRAVO, lambda form: not form.bearer and TEAM not in form.name), told=True)
    for name, token in (("none", None), ("an unknown one", "hvs." + "0" * 28)):
        for where, site in (("for all", ""), ("attacker's", f"{own}/"), ("bravo's", f"{BRAVO}/")):
            yield Stance(f"{name}, site {where}", site, token, one_token)


# --- what is asked: a path of each route with each name, and one that is no route's

METHODS = ["GET", "GET?list=true", "GET?type=unknown", "LIST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "HELP"]
WRITES = {"POST", "PUT", "PATCH"}
FILLED = {"type": ["container"], "plugin_type": ["secret"], "name": NAMES, "rest": NAMES}


def paths_of(route):
    """A placeholder that is not known here is an error: a new one needs values."""
    names = re.findall(r"\{(\w+)\}", route.path)
    for values in itertools.product(*(FILLED[name] for name in names)):
        yield re.sub(r"\{\w+\}", "%s", route.path) % values


ROUTES = routes.read()
PATHS = [path for route in ROUTES for path in paths_of(route)] + ["sys/plugins/runtimes/catalog/container/only/below", "sys/nothing", "auth/token/roles"]


# What shows bravo something of its own, if with one of these queries.
OWN = [(method, path) for route in ROUTES for operation, method in (("read", "GET"), ("list", "LIST")) if route.operations.get(operation)
       for path in paths_of(route)]
QUERIES = ("", "?type=unknown")


def bodies():
    """Whatever a route reads, with what is bravo's in it."""
    common = {"oci_runtime": "x", "cpu_nanos": 1, "command": "c", "sha256": "0" * 64, "policy": 'path "x" { capabilities = ["read"] }',
              "paths": ["sys/plugins/runtimes/catalog/container/only", f"{BRAVO}/sys/policies/acl/only"], "ttl": "1h",
              "custom_metadata": {"x": "y"}, "policies": NAMES}
    for kind in KINDS:
        yield json.dumps(common | {"token": token_of(BRAVO, kind), "accessor": accessor_of(BRAVO, kind), "runtime": "only"}).encode()
    yield json.dumps(common | {"token": token_of(BRAVO, "root"), "accessor": accessor_of(BRAVO, "root"), "policies": ["default"]}).encode()
    yield b"{}"


BODIES = list(bodies())

Attempt = collections.namedtuple("Attempt", "path method form stance body over_nginx")


CELLS = list(itertools.product(PATHS, METHODS))

# What is tried: names of stances, and paths with methods.
Scope = collections.namedtuple("Scope", "names cells")
EVERYTHING = Scope([stance.name for stance in stances(0)], CELLS)
BY_ROOT = Scope(["root, site for all", "root, own site"], CELLS)
READ_BY_ROOT = Scope(["root, own site"], [(path, method) for method, path in OWN])


def attempts(lane, scope):
    """Endless, in rounds of each path with each method, of which each lane has its part; after as many
    rounds as there are stances each of those pairs was tried in each."""
    who, common, own = [stance for stance in stances(lane) if stance.name in scope.names], random.Random(SEED), random.Random(f"{SEED} {lane}")
    turns = {cell: common.sample(who, len(who)) for cell in scope.cells}
    for number in itertools.count():
        for path, method in common.sample(scope.cells, len(scope.cells))[lane::LANES]:
            stance = turns[path, method][number % len(who)]
            yield Attempt(path, method, own.choice(own.choice(stance.forms)), stance, own.choice(BODIES) if method in WRITES else b"",
                          number % OVER_NGINX == 0)


# --- asking

def as_sent(attempt):
    """(method, uri, headers, body)"""
    method, _, query = attempt.method.partition("?")
    uri = attempt.form.uri(attempt.path)
    if query:
        uri += ("&" if "?" in uri else "?") + query
    headers = list(attempt.form.headers)
    if attempt.stance.token:
        headers.insert(0, ("X-Vault-Token", attempt.stance.token))
    if attempt.body:
        headers.append(("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json"))
    return method, uri, headers, attempt.body


class OverNginx(UnixConnection):
    """Answers look like the worker's own."""

    def send_attempt(self, *attempt):
        self.sent = attempt
        try:
            self.write(*attempt)
        except OSError: # nginx has closed what was idle for long
            self.close()
            self.write(*attempt)

    def write(self, method, uri, headers, body):
        self.putrequest(method, uri, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value)
        if body:
            self.putheader("Content-Length", str(len(body)))
        self.endheaders(body or None)

    def receive(self):
        try:
            answer = self.getresponse()
        except ConnectionError: # likewise
            self.close()
            self.write(*self.sent)
            answer = self.getresponse()
        headers = sorted(f"{name}: {value}\r\n" for name, value in answer.getheaders() if name != "Date")
        return f"Status: {answer.status}\r\n{''.join(headers)}\r\n".encode() + answer.read()


class World:
    """One lane's way to one world: its worker's socket, nginx's for each site, its database."""

    def __init__(self, folder, name, dsn, lane):
        self.folder, self.name, self.lane = folder, name, lane
        self.worker, self.sites, self.waits = fastcgi.Connection(folder / f"{name}.sock"), {}, None
        self.psql = subprocess.Popen([BIN / "psql", "-XqAt", "-d", dsn], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, attempt):
        method, uri, headers, body = as_sent(attempt)
        if attempt.over_nginx:
            self.waits = self.sites.setdefault(attempt.stance.site, OverNginx(self.folder / site_socket(self.name, attempt.stance.site)))
            self.waits.send_attempt(method, uri, headers, body)
        else:
            self.waits = self.worker
            self.worker.send(fastcgi.as_nginx(method, uri, headers, body, attempt.stance.site))

    def receive(self):
        return self.waits.receive()

    def begin_reset(self):
        self.psql.stdin.write(f"SELECT crossing.reset({self.lane});\n")
        self.psql.stdin.flush()

    def end_reset(self):
        """The digest of what is no lane's."""
        return self.psql.stdout.readline().strip()

    def close(self):
        for connection in [self.worker, *self.sites.values()]:
            connection.close()
        self.psql.communicate()


def site_socket(world, site):
    return f"{world}-{site.strip('/') or 'open'}.sock"


# --- judging

# What differs without anybody's being there: times, what is random or a number of its own, and how long all
# that is.
VARIES = re.compile(rb'"(?:request_id|client_token|accessor|id|ttl|lease_duration|[a-z]+_time|[a-z]+_renewal|server_time_utc)":(?:"[^"]*"|[-0-9]+|null)'
                    rb'|"[0-9A-Za-z]{24}"|Content-Length: [0-9]+')


BUSY = b"Status: 503" # a machine with much to do, not an answer


# What a worker counts, in either form: never the same twice, and said to the root namespace's tokens alone (metrics.py).
COUNTED = re.compile(rb'Status: 200.*\r\n\r\n(# HELP |\{"Counters":|\{"Gauges":|\{"Timestamp":)', re.S)


def same(left, right):
    return left == right or VARIES.sub(b"", left) == VARIES.sub(b"", right) or bool(COUNTED.match(left) and COUNTED.match(right))


class Result:
    def __init__(self):
        self.count, self.statuses, self.kinds = 0, collections.Counter(), collections.Counter()
        self.crossings, self.tried, self.stances = [], set(), set()

    def add(self, other):
        self.count += other.count
        self.statuses += other.statuses
        self.kinds += other.kinds
        self.crossings += other.crossings
        self.tried |= other.tried
        self.stances |= other.stances


class Lane:
    """One process: attempts one after the other, each in both worlds at once."""

    def __init__(self, folder, dsns, lane):
        self.worlds = [World(folder, name, dsn, lane) for name, dsn in dsns.items()]
        self.result = Result()
        self.own = itertools.cycle([(method, path + query) for method, path in OWN for query in QUERIES])
        self.digest = self.reset()

    def reset(self):
        for world in self.worlds:
            world.begin_reset()
        return [world.end_reset() for world in self.worlds]

    def ask(self, attempt):
        asked = self.worlds[:1] if attempt.stance.told else self.worlds
        for world in asked:
            world.send(attempt)
        return [world.receive() for world in asked]

    def read_own(self):
        """As bravo."""
        method, path = next(self.own)
        self.worlds[0].worker.send(fastcgi.as_nginx(method, f"/v1/{path}", [("X-Vault-Token", token_of(BRAVO, "root"))], site=f"{BRAVO}/"))
        self.worlds[0].worker.receive()

    def judge(self, attempt):
        if self.result.count % OWN_READS == 0:
            self.read_own()
        answers = self.ask(attempt)
        for _ in range(20):
            if BUSY in answers[0] + answers[-1]:
                self.reset()
                answers = self.ask(attempt)
        status = int(answers[0][8:11])
        self.note(attempt, status)
        if PLANTED in answers[0].lower():
            self.crossed("read", attempt, answers)
        if not same(answers[0], answers[-1]):
            self.crossed("told apart", attempt, answers)
        wrote = status < 300 and attempt.method.split("?")[0] not in ("GET", "LIST", "HEAD", "HELP")
        if (wrote or answers[0][8:11] != answers[-1][8:11]) and self.reset() != self.digest:
            self.crossed("changed", attempt, answers)

    def note(self, attempt, status):
        self.result.count += 1
        self.result.statuses[status] += 1
        self.result.tried.add((attempt.path, attempt.method))
        self.result.stances.add(attempt.stance.name)

    def crossed(self, kind, attempt, answers):
        self.result.kinds[kind] += 1
        if len(self.result.crossings) < 5:
            method, uri, headers, body = as_sent(attempt)
            self.result.crossings.append("\n".join([
                f"{kind}: {attempt.stance.name}; {attempt.form.name}{' over nginx' if attempt.over_nginx else ''}",
                f"{method} {uri} {headers} {body.decode()}", *(answer.decode("utf-8", "backslashreplace") for answer in answers)]))

    def close(self):
        for world in self.worlds:
            world.close()


def run_lane(folder, dsns, lane, plan):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    done, deadline = Lane(folder, dsns, lane), time.monotonic() + plan.seconds
    result = done.result
    for attempt in attempts(lane, plan.scope):
        if result.count >= plan.most / LANES and time.monotonic() >= deadline or plan.wanted and plan.wanted <= set(result.kinds):
            break
        done.judge(attempt)
    if done.reset() != done.digest:
        result.kinds["changed"] += 1
    done.close()
    return result


# How long a lane goes on: until the lanes have made that many attempts and the seconds are over, or until
# it has found all the kinds of crossings that are wanted.
Plan = collections.namedtuple("Plan", "most seconds scope wanted", defaults=(0, EVERYTHING, set()))


# --- configurations

SERVER = """
server {
    listen "unix:%s/%s";
    set $runtime_catalog_namespace %s;
    include snippets/runtime-catalog/errors.conf;
    include snippets/runtime-catalog/error-page.conf;
    location ^~ /v1/ { include snippets/runtime-catalog/world-%s.conf; }
    location / { return 404; }
}
"""


def two_worlds(text, folder):
    """A site for all, one for each attacker and bravo's, in either world, on a socket each. Connections to
    the workers are not kept, which are to stop at once."""
    snippets = folder / "nginx/snippets/runtime-catalog"
    for world in ("worker", "twin"):
        snippet = (snippets / "worker.conf").read_text().replace("fastcgi_pass runtime_catalog;", f"fastcgi_pass {world};")
        (snippets / f"world-{world}.conf").write_text(snippet)
        text += f'upstream {world} {{ server "unix:{folder}/{world}.sock" max_fails=0; }}\n'
        for site in ("", BRAVO, *ATTACKERS):
            text += SERVER % (folder, site_socket(world, site), f"{site}/" if site else "none", world)
    return text


ROW_SECURITY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'runtime_catalog' LOOP
        EXECUTE format('ALTER TABLE runtime_catalog.%%I %s ROW LEVEL SECURITY', name);
    END LOOP;
END
$$
"""
# authenticate() then finds any namespace for any token.
WIDE_OPEN = """
DO $$ BEGIN
    EXECUTE replace(pg_get_functiondef('runtime_catalog.authenticate'::regproc), 'AND starts_with(site || named, token_namespace)', '');
END $$
"""


class Worlds:
    def __init__(self, s):
        self.s, self.twin = s, None
        self.dsns = {"worker": s.cluster.dsn(), "twin": s.cluster.dsn().replace(f"dbname={DATABASE}", f"dbname={TWIN}")}

    def make(self):
        """bravo and the attackers, then a copy without bravo."""
        self.s.stop_worker()
        self.execute("worker", tenants.everybody())
        self.s.cluster.psql("-c", f"CREATE DATABASE {TWIN} TEMPLATE {DATABASE}", database="postgres")
        self.execute("twin", tenants.without_bravo())

    def execute(self, world, statements):
        subprocess.run([BIN / "psql", "-XqAt", "-1", "-v", "ON_ERROR_STOP=1", "-d", self.dsns[world]], input=statements,
                       check=True, text=True, stdout=subprocess.DEVNULL)

    def start(self, program):
        s = self.s
        s.program = program
        s.configure_worker(edit=lambda text: text.replace('"debug"', '"info"'))
        text = (s.folder / "worker.conf").read_text()
        (s.folder / "twin.conf").write_text(text.replace(f"dbname={DATABASE}", f"dbname={TWIN}").replace("worker.sock", "twin.sock"))
        s.start_worker()
        self.twin = start([s.folder / "bin" / program, "-c", s.folder / "twin.conf"], s.folder / "worker-twin.log")
        wait_for_listener(self.twin, s.folder / "twin.sock", s.folder / "worker-twin.log")

    def stop(self):
        self.s.stop_worker()
        self.s.worker_status = self.s.worker_status or stop(self.twin, signal.SIGTERM)

    def attempt(self, program, row_security, plan):
        for world in self.dsns:
            self.execute(world, ROW_SECURITY % ("ENABLE" if row_security else "DISABLE"))
        self.start(program)
        result, started = Result(), time.monotonic()
        with concurrent.futures.ProcessPoolExecutor(LANES, multiprocessing.get_context("fork")) as pool:
            for lane in [pool.submit(run_lane, self.s.folder, self.dsns, lane, plan) for lane in range(LANES)]:
                result.add(lane.result())
        self.stop()
        print(f"# {result.count} attempts in {time.monotonic() - started:.0f} s:",
              ", ".join(f"{status} {count}" for status, count in sorted(result.statuses.items())),
              "; crossings:", ", ".join(f"{kind} {count}" for kind, count in sorted(result.kinds.items())) or "none")
        return result

    def ask(self, method, path, token, site=""):
        connection = fastcgi.Connection(self.s.folder / "worker.sock")
        connection.send(fastcgi.as_nginx(method, f"/v1/{path}", [("X-Vault-Token", token)], b"", site))
        answer = connection.receive()
        connection.close()
        return answer


def unrouted(worlds):
    """Paths that are not those of the route that they were made for."""
    for route in ROUTES:
        for path in paths_of(route):
            if f"Matching Route: {route.path}\\n".encode() not in worlds.ask("HELP", path, token_of(BRAVO, "root"), f"{BRAVO}/"):
                yield path


def unplanted(worlds):
    """What bravo's own root token sees, but nothing that a search would find."""
    for method, path in OWN:
        if not any(PLANTED in worlds.ask(method, path + query, token_of(BRAVO, "root"), f"{BRAVO}/").lower() for query in QUERIES):
            yield f"{method} {path}"


def kept_apart(s, result, name, most):
    s.tap.ok(not result.kinds, f"{name}: {result.count} attempts, no crossing", result.kinds, f"RUNTIME_CATALOG_SEED={SEED}", *result.crossings)
    missing = set(CELLS) - result.tried | set(EVERYTHING.names) - result.stances
    s.tap.ok(result.count >= most and not missing, f"{name}: each path with each method, and each who tries", result.count, *missing)


NO_CHECKS, ONE_MEMORY = "no-tenants", "memory-for-all"
AS_BUILT = "runtime-catalogd"


def bring(folder):
    for name in (NO_CHECKS, ONE_MEMORY):
        build_mutant(name, folder)


with stack(plan=2 + 3 * 2 + 1 + 3, site="stand-alone", edit_site=two_worlds, bring=bring) as s:
    print(f"# RUNTIME_CATALOG_SEED={SEED}, {len(PATHS)} paths, {len(METHODS)} methods, {len(EVERYTHING.names)} who try")
    worlds = Worlds(s)
    worlds.make()
    worlds.start(AS_BUILT)
    s.tap.equal(list(unrouted(worlds)), [], "each route has a path, and the path is that route's")
    s.tap.equal(list(unplanted(worlds)), [], "what a route shows of bravo to bravo's own token would be found")
    worlds.stop()

    most = LONG if SOAK else ROUNDS * len(CELLS)
    for name, program, row_security in (("as built", AS_BUILT, True), ("without the checks in C", f"{AS_BUILT}-{NO_CHECKS}", True),
                                        ("without row-level security", AS_BUILT, False)):
        kept_apart(s, worlds.attempt(program, row_security, Plan(most, SOAK / 3)), name, most)
    s.tap.equal(s.complaints(), ([], []), "nobody had anything to complain of")

    # The test can fail. What memory answers is a matter of moments; the others show at once.
    s.expect("worker", ".")
    result = worlds.attempt(f"{AS_BUILT}-{ONE_MEMORY}", True, Plan(20_000, scope=READ_BY_ROOT, wanted={"read"}))
    s.tap.ok(result.kinds["read"], "with one memory for all one is read", result.kinds)
    result = worlds.attempt(f"{AS_BUILT}-{NO_CHECKS}", False, Plan(2_000, scope=BY_ROOT, wanted={"read", "told apart"}))
    s.tap.ok(result.kinds["read"] and result.kinds["told apart"], "without either one is read and told apart", result.kinds)
    for world in worlds.dsns:
        worlds.execute(world, WIDE_OPEN)
    result = worlds.attempt(f"{AS_BUILT}-{NO_CHECKS}", False, Plan(2_000, scope=BY_ROOT, wanted={"read", "changed", "told apart"}))
    s.tap.ok(len(result.kinds) == 3, "without authenticate()'s part one is changed, too", result.kinds)
    s.start_worker()
