#!/usr/bin/python3
"""nginx/shared-hosting.conf as it stands: two customers, one worker, one database. Whatever one of them
sends, by whichever way, it neither sees nor changes anything of the other's."""
import collections
import http.client
import json
import re
import socket
import ssl
import sys

sys.path.append(sys.path[0] + "/../lib")
from client import Response  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CHECKOUT, CONTAINER, UNCACHED, stack  # noqa: E402

HOST = "customer-%s.example.com"
SPACES = "/v1/sys/namespaces"
TOKEN = "/v1/auth/token/"
MERGE = ("Content-Type", "application/merge-patch+json")
SPACE = "X-Vault-Namespace"
NO_HANDLER = 'no handler for route "%s". route entry not found.'
CANONICAL = "path: must be canonical, without //, /./ and /../"
HEADER = "header X-Vault-Namespace: segments of letters, digits, '_', '-' and '.', 512 bytes at most"
PATH = "path, as far as it is a namespace: segments of letters, digits, '_', '-' and '.', 512 bytes at most"
TWICE = "header X-Vault-Namespace: sent more than once"


def sample(text, folder):
    """The sample, with this machine's address, certificate and logs."""
    listen = re.search(r"listen (127\.0\.0\.1:\d+) ssl http2;", text)[1]
    text = (CHECKOUT / "nginx/shared-hosting.conf").read_text()
    for pattern, filled, count in ((r"listen 443 ", f"listen {listen} ", 3), (r"listen \[::\]:443 .*", "", 3),
                                   (r"/etc/ssl/certs/.*\.pem", f"{folder}/nginx/server.pem", 2),
                                   (r"/etc/ssl/private/.*\.key", f"{folder}/nginx/server.key", 2),
                                   (r"/var/log/nginx/.*\.access\.log", f"{folder}/nginx/access.log", 2),
                                   (r"/var/log/nginx/.*\.error\.log", f"{folder}/nginx/error.log", 3)):
        text, found = re.subn(pattern, filled, text)
        if found != count:
            raise RuntimeError(f"nginx/shared-hosting.conf has {found} of {pattern}")
    return text


def ask(s, host, method, path, headers=(), body=None, sni=None):
    """One request on a connection of its own. The certificate is this machine's, not the host's."""
    context = ssl.create_default_context(cafile=s.folder / "nginx/ca.pem")
    context.check_hostname = False
    connection = http.client.HTTPConnection("127.0.0.1", s.client.port)
    plain = socket.create_connection(("127.0.0.1", s.client.port), timeout=40)
    connection.sock = context.wrap_socket(plain, server_hostname=sni or host)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in [("Host", host), *headers]:
        connection.putheader(name, value)
    body = json.dumps(body).encode() if body is not None else None
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    response = Response(answer.status, answer.getheaders(), answer.read(), answer.reason)
    connection.close()
    return response


class Customer:
    """One who has what the other has, under the same names."""

    def __init__(self, s, letter):
        self.s, self.letter, self.name, self.host = s, letter, f"customer-{letter}", HOST % letter
        s.tool("namespace", "create", self.name, "-max-runtimes=2")
        self.token = s.token("root", namespace=self.name)
        self.accessor = self.ask("GET", TOKEN + "lookup-self").data["accessor"]
        for method, path, body in (("PUT", CONTAINER + "same", {"oci_runtime": f"secret-of-{letter}"}),
                                   ("PUT", CONTAINER + f"only-{letter}", {}),
                                   ("PUT", "/v1/sys/policies/acl/same", {"policy": f'path "secret-of-{letter}" {{ policy = "read" }}'}),
                                   ("PUT", SPACES + "/team", {"custom_metadata": {"of": f"secret-of-{letter}"}})):
            response = self.ask(method, path, body=body)
            if response.status not in (200, 204):
                raise RuntimeError(f"{self.name} {path}:\n{response}")

    def ask(self, method, path, headers=(), body=None, token=None, **more):
        return ask(self.s, more.pop("host", self.host), method, path,
                   [("X-Vault-Token", token or self.token), *headers], body, **more)

    def rows(self):
        """All that is stored of it."""
        return self.s.cluster.sql(f"""
            SELECT string_agg(row::text, ' ' ORDER BY row::text)
              FROM runtime_catalog.namespace AS own,
                   LATERAL (SELECT to_jsonb(x) FROM runtime_catalog.runtime AS x WHERE x.namespace_id = own.id UNION ALL
                            SELECT to_jsonb(x) FROM runtime_catalog.policy  AS x WHERE x.namespace_id = own.id UNION ALL
                            SELECT to_jsonb(x) FROM runtime_catalog.plugin  AS x WHERE x.namespace_id = own.id UNION ALL
                            SELECT to_jsonb(x) FROM runtime_catalog.token   AS x WHERE x.namespace_id = own.id UNION ALL
                            SELECT to_jsonb(own)) AS held (row)
             WHERE starts_with(own.path, '{self.name}/')""")


OWN = object()  # the answer is what it is without the attempt
Attempt = collections.namedtuple("Attempt", "name method path headers body status errors", defaults=([], None, 200, OWN))
ROUTE = "sys/plugins/runtimes/catalog/container/same"


def by_name(own, other):
    """What is looked for below the customer's own namespace, where nothing is called that."""
    read = [CONTAINER + "same", "GET"]
    for named in (other, f"/{other}/", f"{other}/team", own, f"{own}/team", f"{own}/{other}", "root", "-", "Team"):
        yield Attempt(f"header {named}", read[1], read[0], [(SPACE, named)], None, 404, [NO_HANDLER % f"{named.strip('/')}/{ROUTE}"])
    for before in (other, other + "/team", own, own + "/team", "team/" + other):
        yield Attempt(f"path {before}", read[1], f"/v1/{before}/{ROUTE}", [], None, 404, [NO_HANDLER % f"{before}/{ROUTE}"])
    for before in (f"%63{other[1:]}/", other + "%2F", other + "%2f", f"%63{other[1:]}%2f"):
        yield Attempt(f"path {before}", read[1], f"/v1/{before}{ROUTE}", [], None, 404, [NO_HANDLER % f"{other}/{ROUTE}"])
    yield Attempt("path %2Fsys%2F…", "GET", f"/v1/{other}%2F" + ROUTE.replace("/", "%2F"), [], None, 404, [NO_HANDLER % f"{other}/{ROUTE}"])
    yield Attempt("path root", "GET", f"/v1/root/{ROUTE}", [], None, 404, [NO_HANDLER % f"root/{ROUTE}"])
    yield Attempt("path root, then it", "GET", f"/v1/root/{other}/{ROUTE}", [], None, 404, [NO_HANDLER % f"root/{other}/{ROUTE}"])
    yield Attempt("header and path", "GET", f"/v1/{other}/{ROUTE}", [(SPACE, "team")], None, 404, [NO_HANDLER % f"team/{other}/{ROUTE}"])
    yield Attempt("header, of the path's namespace", "GET", f"/v1/team/{ROUTE}", [(SPACE, other)], None, 404,
                  [NO_HANDLER % f"{other}/team/{ROUTE}"])


def by_detour(own, other):
    """What is no name at all."""
    for named in (f"../{other}", f"team/../../{other}", "..", ".", f"{other}/..", f"team,{other}", f"team, {other}", f"{other}%2F",
                  f"{own}/../{other}", f"team//{other}", "*", "+", f"team\\..\\{other}", f"team;{other}"):
        yield Attempt(f"header {named}", "GET", CONTAINER + "same", [(SPACE, named)], None, 400, [HEADER])
    for before in (f"./{other}", f"/{other}", f"team//{other}", f"team/%2E./{other}", f"%2f{other}", f"team/../{other}", f"../v1/{other}"):
        yield Attempt(f"path {before}", "GET", f"/v1/{before}/{ROUTE}", [], None, 400, [CANONICAL])
    for before in (f"../{other}", f"team/../../{other}", f"%2e%2e/{other}", f"%2e%2e%2f{other}", f"..%2f{other}"):
        yield Attempt(f"path {before}", "GET", f"/v1/{before}/{ROUTE}", [], None, 404, ["no handler for this path"]) # nginx: not below /v1/
    for before in (f"%252e%252e/{other}/", f"team%5C..%5C{other}/", f"{other};/", f"{other}%20/", f"*/{other}/", "+/", "%2A/",
                   f"{other}%252F/"):
        yield Attempt(f"path {before}", "GET", f"/v1/{before}{ROUTE}", [], None, 400, [PATH])
    yield Attempt(f"path {other}%252F", "GET", f"/v1/{other}%252F{ROUTE}", [], None, 404, [NO_HANDLER % f"{other}%2F{ROUTE}"])


def unheard(own, other):
    """What nobody listens to: the answer is the customer's own."""
    for name in ("namespace", SPACE, "RUNTIME_CATALOG_NAMESPACE", "site", "HTTP_X_VAULT_NAMESPACE"):
        for value in (other, other + "/"):
            yield Attempt(f"parameter {name}={value}", "GET", f"{CONTAINER}same?{name}={value}")
    for name in ("RUNTIME_CATALOG_NAMESPACE", "Runtime-Catalog-Namespace", "X_Vault_Namespace", "HTTP-X-Vault-Namespace", "X-Namespace",
                 "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "Forwarded"):
        for value in (other + "/", HOST % other[-1], f"/v1/{other}/{ROUTE}"):
            yield Attempt(f"header {name}: {value}", "GET", CONTAINER + "same", [(name, value)])
    yield Attempt("no name", "GET", CONTAINER + "same", [(SPACE, "/")])
    yield Attempt("no name", "GET", CONTAINER + "same", [(SPACE, "")])
    yield Attempt("a fragment's sign", "GET", f"{CONTAINER}same?x=%23/{other}")
    del own


def doubled(own, other):
    for first, second in (("team", other), (other, "team"), (other, other), ("", other), (other, "")):
        yield Attempt(f"header {first!r}, then {second!r}", "GET", CONTAINER + "same", [(SPACE, first), (SPACE, second)], None, 400, [TWICE])
    yield Attempt("header in two spellings", "GET", CONTAINER + "same", [(SPACE, "team"), ("x-vault-namespace", other)], None, 400, [TWICE])
    del own


def by_token(own, other):
    """Tokens and accessors of the other's, shown to endpoints about tokens."""
    accessor, token = {"accessor": other.accessor}, {"token": other.token}
    yield Attempt("its accessor", "POST", TOKEN + "lookup-accessor", [], accessor, 400, ["invalid accessor"])
    yield Attempt("its accessor", "POST", TOKEN + "renew-accessor", [], accessor, 400, ["invalid accessor"])
    yield Attempt("its accessor", "POST", TOKEN + "revoke-accessor", [], accessor, 200, None) # with a warning, as of one that is not there
    yield Attempt("its accessor", "POST", "/v1/sys/capabilities-accessor", [], {**accessor, "paths": ["x"]}, 400, ["invalid accessor"])
    yield Attempt("its token", "POST", TOKEN + "lookup", [], token, 403, ["bad token"])
    yield Attempt("its token", "POST", "/v1/sys/capabilities", [], {**token, "paths": ["x"]}, 400, ["invalid token"])
    yield Attempt("its token", "POST", TOKEN + "renew", [], token, 400, ["token not found"])
    yield Attempt("its token", "POST", TOKEN + "revoke", [], token, 204, None) # likewise
    yield Attempt("its token", "POST", TOKEN + "revoke-orphan", [], token, 400, ["token to revoke not found"])
    for path in ("lookup-accessor", "revoke-accessor"):
        yield Attempt("its accessor, by its name", "POST", f"/v1/{other.name}/auth/token/{path}", [], accessor, 404,
                      [NO_HANDLER % f"{other.name}/auth/token/{path}"])
    yield Attempt("both tokens", "GET", CONTAINER + "same", [("X-Vault-Token", other.token)], None, 400,
                  ["header X-Vault-Token: sent more than once"])
    del own


def by_space(own, other):
    """The endpoints about namespaces."""
    for name in (other.name, own.name, "root"):
        missing = [f'namespace "{name}/" does not exist']
        yield Attempt("its namespace", "GET", f"{SPACES}/{name}", [], None, 404, [])
        yield Attempt("its namespace", "PATCH", f"{SPACES}/{name}", [MERGE], {"custom_metadata": {"x": "y"}}, 404, missing)
        yield Attempt("its namespace", "DELETE", f"{SPACES}/{name}", [], None, 200, None) # with a warning
    yield Attempt("its namespace's", "GET", f"{SPACES}/{other.name}/team", [], None, 400, ["name must not contain /"])
    yield Attempt("its namespace's", "DELETE", f"{SPACES}/{other.name}%2Fteam", [], None, 400, ["name must not contain /"])
    for name in (f"../{other.name}", f"..%2F{other.name}", f"%2e%2e%2f{other.name}", f"team/../../{other.name}"):
        for method in ("GET", "POST", "DELETE"):
            yield Attempt("its namespace", method, f"{SPACES}/{name}", [], {} if method == "POST" else None, 400, [CANONICAL])
    for method in ("LIST", "POST"):
        path = "sys/namespaces/" + ("x" if method == "POST" else "")
        yield Attempt("those of its namespace", method, "/v1/" + path, [(SPACE, other.name)], {} if method == "POST" else None, 404,
                      [NO_HANDLER % f"{other.name}/{path}"])
        yield Attempt("those of its namespace", method, f"/v1/{other.name}/{path}", [], {} if method == "POST" else None, 404,
                      [NO_HANDLER % f"{other.name}/{path}"])


def attempts(own, other):
    for ways in (by_name, by_detour, unheard, doubled):
        yield from ways(own.name, other.name)
    for ways in (by_token, by_space):
        yield from ways(own, other)


def attempted(s, own, other):
    plain = own.ask("GET", CONTAINER + "same").data
    marks = [f"secret-of-{other.letter}", f"only-{other.letter}", other.accessor]
    for attempt in attempts(own, other):
        response = own.ask(attempt.method, attempt.path, attempt.headers, attempt.body)
        name = f"{own.letter}: {attempt.method} {attempt.name}"
        seen = [mark for mark in marks if mark.encode() in response.body and mark != (attempt.body or {}).get("accessor")]
        if attempt.errors is OWN:
            s.tap.ok(response.status == 200 and response.data == plain and not seen, name + ": its own", response)
        else:
            s.tap.ok(response.status == attempt.status and response.errors == attempt.errors and not seen, name,
                     f"wanted {attempt.status} {attempt.errors}", response)


# --- a token at another site than its own

EVERYWHERE = [("LIST", CATALOG, None), ("GET", CONTAINER + "same", None), ("PUT", CONTAINER + "new", {}), ("DELETE", CONTAINER + "same", None),
              ("GET", TOKEN + "lookup-self", None), ("POST", TOKEN + "create", {}), ("POST", TOKEN + "revoke-self", {}),
              ("LIST", TOKEN + "accessors", None), ("LIST", "/v1/sys/policies/acl", None), ("DELETE", "/v1/sys/policies/acl/same", None),
              ("LIST", SPACES, None), ("POST", SPACES + "/new", {}), ("DELETE", SPACES + "/team", None),
              ("POST", "/v1/sys/capabilities-self", {"paths": ["x"]}), ("GET", "/v1/team/sys/namespaces/x", None), ("GET", "/v1/nowhere", None)]


def foreign(s, site, token, whose):
    for method, path, body in EVERYWHERE:
        response = site.ask(method, path, body=body, token=token)
        s.tap.ok(response.status == 403 and response.errors == [BAD_TOKEN], f"{whose} token at {site.letter}'s: {method} {path}", response)


def by_host(s, own, other):
    """The host is what chooses a site, however it is given."""
    refused = [("Host of the other, on a connection to its own", {"host": other.host, "sni": own.host}, CONTAINER + "same"),
               ("Host of the other", {"host": other.host}, CONTAINER + "same"),
               ("an absolute address", {}, f"https://{other.host}{CONTAINER}same"),
               ("Host in capitals", {"host": other.host.upper()}, CONTAINER + "same"),
               ("Host with a dot", {"host": other.host + ".", "sni": own.host}, CONTAINER + "same"),
               ("Host with a port", {"host": f"{other.host}:443", "sni": own.host}, CONTAINER + "same")]
    for name, more, path in refused:
        response = own.ask("GET", path, **more)
        s.tap.ok(response.status == 403 and response.errors == [BAD_TOKEN], f"{own.letter}: {name}", response)
    for host in ("customer.example.com", "localhost", "127.0.0.1", f"x.{other.host}", f"{own.host}.{other.host}"):
        response = own.ask("GET", CONTAINER + "same", host=host, sni=own.host)
        s.answer(f"{own.letter}: Host {host}, which is nobody's", response, 421, errors=["this connection was made for another host"])
    for host in (f"{own.host}, {other.host}", f"{own.host} {other.host}", ""):
        response = own.ask("GET", CONTAINER + "same", host=host, sni=own.host)
        s.tap.ok(response.status in (400, 421) and b"secret" not in response.body, f"{own.letter}: Host {host!r}", response)
    response = own.ask("GET", CONTAINER + "same", [("Host", other.host)])
    s.answer(f"{own.letter}: two hosts", response, 400, errors=["nginx could not read the request"])


def handshake(s, name):
    try:
        ask(s, "x", "GET", "/", sni=name)
        return "a connection"
    except ssl.SSLError as error:
        return error.reason


COUNT = sum(1 for _ in attempts(*[collections.namedtuple("Who", "name letter accessor token")(f"customer-{x}", x, "", "") for x in "ab"]))
with stack(plan=2 * COUNT + 5 * len(EVERYWHERE) + 2 * 15 + 2 + 13, site="stand-alone", edit_site=sample, worker=UNCACHED) as s:
    a, b = Customer(s, "a"), Customer(s, "b")
    before = {customer: customer.rows() for customer in (a, b)}
    for own, other in ((a, b), (b, a)):
        attempted(s, own, other)
        by_host(s, own, other)
    foreign(s, a, b.token, "the other's")
    foreign(s, b, a.token, "the other's")
    foreign(s, a, s.root_token, "the host's")
    s.tool("namespace", "create", "customer-ab")
    foreign(s, a, s.token("root", namespace="customer-ab"), "a longer name's")
    deep = a.ask("POST", "/v1/team/auth/token/create", body={"policies": ["default"], "ttl": "1h"}).json["auth"]["client_token"]
    s.secrets.append(deep)
    foreign(s, b, deep, "a lower")
    for name in ("nobody.example.com", "example.com"):
        s.tap.equal(handshake(s, name), "TLSV1_UNRECOGNIZED_NAME", f"no connection is made to {name}")
    s.cluster.sql("DELETE FROM runtime_catalog.token WHERE display_name = 'token' AND path = 'auth/token/create' AND parent IS NOT NULL")
    for customer in (a, b):
        s.tap.equal(customer.rows(), before[customer], f"{customer.letter}: nothing has changed")

    # What one creates under the other's name is its own.
    response = a.ask("POST", f"{SPACES}/customer-b", body={})
    s.tap.ok(response.status == 200 and response.data["path"] == "customer-b/", "a namespace of the other's name", response)
    s.tap.equal(s.cluster.sql("SELECT path FROM runtime_catalog.namespace WHERE path LIKE '%customer-b/'"),
                "customer-b/\ncustomer-a/customer-b/", "is another one")
    s.answer("which is empty", a.ask("LIST", CATALOG, [(SPACE, "customer-b")]), 200, data={"runtimes": []})
    s.answer("and goes", a.ask("DELETE", f"{SPACES}/customer-b"), 204)
    s.tap.equal(b.rows(), before[b], "the other's stays")
    response = a.ask("GET", TOKEN + "lookup-self")
    s.tap.ok(response.status == 200 and b"customer" not in response.body, "its own namespace has no name for the customer", response)
    s.answer("its limit holds", a.ask("PUT", CONTAINER + "third", body={}), 400, errors=["the limit of runtimes is reached: max_runtimes = 2"])
    s.answer("below it, too", a.ask("PUT", CONTAINER + "third", [(SPACE, "team")], {}), 400,
             errors=["the limit of runtimes is reached: max_runtimes = 2"])
    s.answer("it makes room", a.ask("DELETE", CONTAINER + "only-a"), 204)
    s.answer("for itself", a.ask("PUT", CONTAINER + "third", body={}), 204)
    s.answer("not for the other", b.ask("PUT", CONTAINER + "third", body={}), 400,
             errors=["the limit of runtimes is reached: max_runtimes = 2"])
