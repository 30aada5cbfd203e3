#!/usr/bin/python3
"""nginx's rates.conf: a client that asks too much gets 429 in Vault's shape, with Retry-After, and the
others are served. The numbers are smaller here; what counts as one client is as it stands."""
import concurrent.futures
import contextlib
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CHECKOUT, CONTAINER, stack  # noqa: E402

BURST, AT_ONCE = 10, 4
TOO_MANY = "too many requests; try again soon"
# Addresses, in the order that they come, and whether they are the first of their client.
CLIENTS = [("192.0.2.1", True), ("192.0.2.2", True), ("192.0.2.1", False), ("2001:db8:0:1::1", True), ("2001:db8:0:1:ffff::2", False),
           ("2001:db8:0:2::1", True), ("2001:db8:a0a:1::1", True), ("::ffff:192.0.2.3", True), ("2001:db8:a0a:1::2", False)]
DEFAULTS = [("rates-http.conf", "rate=100r/s;"), ("rates.conf", "burst=200 nodelay;"), ("rates.conf", "limit_conn runtime_catalog_connections 32;")]


def with_rates(text, folder):
    """The site with its comments made lines; who asks is what a header says, as behind a proxy."""
    snippets = folder / "nginx/snippets/runtime-catalog"
    for name, old, new in ((DEFAULTS[0] + ("rate=1r/m;",)), DEFAULTS[1] + (f"burst={BURST} nodelay;",),
                           DEFAULTS[2] + (f"limit_conn runtime_catalog_connections {AT_ONCE};",)):
        (snippets / name).write_text((snippets / name).read_text().replace(old, new))
    text = text.replace("# include snippets/runtime-catalog/rates", "include snippets/runtime-catalog/rates")
    return text.replace("server_tokens off;", "server_tokens off; set_real_ip_from 127.0.0.1; real_ip_header X-Client;")


# Read now: where the checkout lies may be closed to whom the test becomes.
SNIPPETS = {name: (CHECKOUT / "nginx/snippets" / name).read_text() for name, *_ in DEFAULTS}

with stack(plan=len(CLIENTS) + 11, edit_site=with_rates) as s:
    s.expect("nginx", "limiting (requests|connections)")
    s.tap.equal([row for row in DEFAULTS if row[1] not in SNIPPETS[row[0]]], [], "the snippets have the README's numbers")

    def ask(address, method="GET", path=CATALOG, connection=None):
        return s.request(method, path, headers=[("X-Client", address)], connection=connection)

    def answers(address, count):
        return [ask(address) for _ in range(count)]

    for number, (address, is_new) in enumerate(CLIENTS):
        statuses = [one.status for one in answers(address, BURST + 3)]
        wanted = [200] * (BURST + 1) + [429] * 2 if is_new else [429] * (BURST + 3)
        s.tap.equal(statuses, wanted, f"{number}: {address}: {'a client of its own' if is_new else 'has had its share'}")
    refused = ask(CLIENTS[0][0])
    s.answer("the refusal", refused, 429, errors=[TOO_MANY])
    s.tap.equal(refused.header("Retry-After"), "1", "says when to come again")
    done = s.curl("--http2", "--header", f"X-Client: {CLIENTS[0][0]}", "--include", f"https://localhost:{s.client.port}{CATALOG}")
    s.tap.ok(done.stdout.startswith("HTTP/2 429") and "retry-after: 1" in done.stdout and TOO_MANY in done.stdout, "over HTTP/2, too", done)
    s.answer("whoever did not ask much is served", ask("198.51.100.1"), 200)

    # Requests at once: bodies that do not end, a byte a while.
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(contextlib.closing(s.client.connect())) for _ in range(AT_ONCE)]
        for one in slow:
            one.putrequest("PUT", CONTAINER + "example")
            for header in (("X-Client", "203.0.113.1"), ("X-Vault-Token", s.root_token), ("Content-Length", "2")):
                one.putheader(*header)
            one.endheaders(b"{")
        crowd = ask("203.0.113.1")
        s.answer("one more than a client may have at once", crowd, 429, errors=[TOO_MANY])
        s.tap.equal(crowd.header("Retry-After"), "1", "and when to come again")
        s.answer("another client has its own", ask("203.0.113.2"), 200)
        for one in slow:
            one.send(b"}")
        s.tap.equal({one.getresponse().status for one in slow}, {204}, "those that were let in are served")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        many = list(clients.map(lambda number: ask(f"203.0.113.{number}").status, range(3, 60)))
    s.tap.equal(set(many), {200}, "fifty clients that each ask once")
    s.answer("and whoever is below the limit again", ask("203.0.113.1"), 200)
