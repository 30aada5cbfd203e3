#!/usr/bin/python3
"""A site fixed to a namespace knows nothing above it; a client of a site that is not names its own;
a site that forgot to choose serves nobody."""
import json
import shutil
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CONTAINER, NOT_ALLOWED, UNCACHED, stack  # noqa: E402

CHOICE = "set $runtime_catalog_namespace none;"
SERVER = """
server {
    listen "unix:%s";
    %s
    include snippets/runtime-catalog/errors.conf;
    include snippets/runtime-catalog/locations.conf;
}
"""
CARELESS = """
server {
    listen "unix:%s";
    set $runtime_catalog_namespace team-a/;
    include snippets/runtime-catalog/errors.conf;
    location /v1/ {
        include snippets/runtime-catalog/worker.conf;
        location /v1/sys/ {
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI    $request_uri;
            fastcgi_param DOCUMENT_URI   $document_uri;
            fastcgi_pass runtime_catalog;
        }
    }
}
"""


def four_sites(text, folder):
    """The site itself is fixed to team-a; behind a socket each, one for all, one that forgot to choose, and
    one that chose, but in a location sets parameters, whereupon nginx drops the inherited ones."""
    return (text.replace(CHOICE, "set $runtime_catalog_namespace team-a/;")
            + SERVER % (folder / "open.sock", CHOICE) + SERVER % (folder / "forgetful.sock", "") + CARELESS % (folder / "careless.sock"))


def through(s, site, namespace, token, method, path):
    """The status, and what `data` or `errors` hold, as the other sites answer."""
    done = s.curl("--unix-socket", s.folder / f"{site}.sock", "--request", method,
                  *(["--header", f"X-Vault-Namespace: {namespace}"] if namespace else []),
                  *(["--header", f"X-Vault-Token: {token}"] if token else []),
                  "--write-out", "%{http_code}", f"http://localhost{path}")
    body, status = done.stdout[:-3], int(done.stdout[-3:])
    answer = json.loads(body) if body else {}
    return status, answer.get("data", answer.get("errors"))


def names(data):
    return sorted(runtime["name"] for runtime in data["runtimes"])


with stack(plan=29, edit_site=four_sites, worker=UNCACHED) as s:
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id)"
                  " SELECT unnest(ARRAY['team-a/', 'team-b/']), id FROM runtime_catalog.namespace WHERE path = '';"
                  " INSERT INTO runtime_catalog.namespace (path, parent_id)"
                  " SELECT 'team-a/child/', id FROM runtime_catalog.namespace WHERE path = 'team-a/'")
    team_a = s.token("root", namespace="team-a/")
    team_b = s.token("root", namespace="team-b/")
    child = s.token("root", namespace="team-a/child/")
    in_child = [("X-Vault-Namespace", "child")]

    s.answer("team-a's token registers", s.request("PUT", CONTAINER + "a", {}, token=team_a), 204)
    s.tap.equal(s.cluster.sql("SELECT path FROM runtime_catalog.runtime JOIN runtime_catalog.namespace"
                              " ON namespace.id = namespace_id WHERE name = 'a'"), "team-a/", "in team-a")
    s.answer("and below it", s.request("PUT", CONTAINER + "c", {}, token=team_a, headers=in_child), 204)
    s.answer("with the child's own token, too", s.request("PUT", CONTAINER + "c2", {}, token=child, headers=in_child), 204)
    s.tap.equal(names(s.request("LIST", CATALOG, token=team_a).data), ["a"], "each namespace has its own list")
    s.tap.equal(names(s.request("LIST", CATALOG, token=team_a, headers=in_child).data), ["c", "c2"], "the child's")
    s.answer("the child's token does not reach up", s.request("LIST", CATALOG, token=child), 403, errors=[BAD_TOKEN])
    s.answer("nothing above the site exists: not the root's token", s.request("LIST", CATALOG), 403, errors=[BAD_TOKEN])
    s.answer("nor its neighbour's", s.request("LIST", CATALOG, token=team_b), 403, errors=[BAD_TOKEN])
    s.answer("nor its neighbour by name, which is looked up below the site",
             s.request("LIST", CATALOG, token=team_a, headers=[("X-Vault-Namespace", "team-b")]), 404, like="no handler")

    s.tap.equal(through(s, "open", "", s.root_token, "LIST", CATALOG), (200, {"runtimes": []}),
                "a site for all: the root namespace by default")
    s.tap.equal(names(through(s, "open", "team-a", s.root_token, "LIST", CATALOG)[1]), ["a"],
                "and any by name, for the root's token")
    s.tap.equal(names(through(s, "open", "/team-a/child/", team_a, "LIST", CATALOG)[1]), ["c", "c2"],
                "slashes around the name do not matter")
    s.tap.equal(through(s, "open", "team-a", team_b, "LIST", CATALOG), (403, [BAD_TOKEN]),
                "but not for a neighbour's")
    s.tap.equal(through(s, "open", "nowhere", s.root_token, "LIST", CATALOG)[0], 404, "nor one that is not there")
    s.tap.equal(through(s, "open", "team-a/../team-b", team_a, "LIST", CATALOG)[0], 400, "nor by a detour")

    # Beside a Vault such a path may be a KV engine's: only the site for the whole API takes it.
    for before in ("team-a/", "team-a%2F", "child/", "team-a/child/"):
        for path in (CATALOG, CONTAINER + "a"):
            s.answer(f"the site of the catalog alone leaves /v1/{before}… to others",
                     s.request("GET", path.replace("/v1/", f"/v1/{before}"), token=team_a), 404, errors=["no handler for this path"])
    for token, name in ((s.root_token, "with a token"), (None, "without one")):
        s.tap.equal(through(s, "forgetful", "", token, "LIST", CATALOG), (500, ["internal error"]),
                    f"a site that forgot, beside one that did not: 500 {name}")
    refusal = "the web server did not send RUNTIME_CATALOG_NAMESPACE; a location that sets a parameter must include them all"
    s.expect("worker", f"500 MISCONFIGURED: {refusal}")
    for token, name in ((team_a, "with a token"), (None, "without one")):
        s.tap.equal(through(s, "careless", "", token, "LIST", CATALOG), (500, [refusal]), f"a location that drops it: 500 {name}")

    forgotten = s.folder / "forgotten"
    shutil.copytree(s.folder / "nginx", forgotten)
    site = forgotten / "site.conf"
    site.write_text("\n".join(line for line in site.read_text().splitlines()
                              if "set $runtime_catalog_namespace" not in line))
    done = subprocess.run(["nginx", "-t", "-p", forgotten, "-c", "nginx.conf", "-e", "stderr"],
                          capture_output=True, text=True, check=False)
    s.tap.ok(done.returncode != 0 and 'unknown "runtime_catalog_namespace" variable' in done.stderr,
             "nginx refuses to start where nobody chose", done.stderr)
