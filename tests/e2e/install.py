#!/usr/bin/python3
"""The commands of README.md that put the catalog behind an nginx and a PostgreSQL that are there,
with either site, and the lines of nginx/README.md for a server that is there: run as they stand.

What is not as on a server: what lies below /etc, /run, /usr and /var lies below a private folder,
the port is not 443, all are one user, so that no user is made, packages are only asked for, and of systemd there is what
reads its files.
"""
import getpass
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import ALARMS, CATALOG, CHECKOUT, database, listen  # noqa: E402
from processes import leftovers, start, stop, wait_for  # noqa: E402
from tap import Tap  # noqa: E402

HOST = "catalog.my-company.example"
OTHER = "vault.my-company.example" # a server that was there before
FRAME = """
pid %(root)s/run/nginx.pid;
events {}
http {
    client_body_temp_path %(root)s/temp/body;
    fastcgi_temp_path %(root)s/temp/fastcgi;
    proxy_temp_path %(root)s/temp/proxy;
    scgi_temp_path %(root)s/temp/scgi;
    uwsgi_temp_path %(root)s/temp/uwsgi;
    access_log %(root)s/var/log/nginx/access.log;
    %(http)s
    server {
        listen 127.0.0.1:%(port)s ssl http2;
        server_name %(other)s;
        ssl_certificate %(root)s/etc/ssl/certs/%(host)s.pem;
        ssl_certificate_key %(root)s/etc/ssl/private/%(host)s.key;
        location / { return 200 "was here before"; }
        %(server)s
    }
}
"""
# What only root may run, and what finds its files below / by itself.
STAND_INS = {
    "runtime-catalogd": 'exec "$ROOT/usr/sbin/runtime-catalogd" -c "$ROOT/etc/runtime-catalog/runtime-catalog.conf" "$@"',
    "runuser": 'shift 3; exec "$@"',
    "systemd-sysusers": 'exec /usr/bin/systemd-sysusers --dry-run "$ROOT/usr/lib/sysusers.d/runtime-catalog.conf" >/dev/null',
    "systemd-tmpfiles": r"""awk '$1 == "d" { print ENVIRON["ROOT"] $2 }' "$ROOT/usr/lib/tmpfiles.d/runtime-catalog.conf" | xargs mkdir""",
    "install": r"""
arguments=()
while (($#)); do
    case $1 in -o | -g) shift ;; *) arguments+=("$1") ;; esac
    shift
done
exec /usr/bin/install "${arguments[@]}"
""",
}
LIST_WITH_TOKEN = f"""
token=$(RUNTIME_CATALOG_DSN='dbname=runtime_catalog' runtime-catalog token issue -policy=root -field=token)
curl --header "X-Vault-Token: $token" --request LIST "https://{HOST}{CATALOG}"
"""
PRELUDE = """
set -euE
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
trap 'kill $(jobs -p); wait; rm -f "$ROOT/run/runtime-catalog/worker.sock"' EXIT
apt-get() { shift 2; dpkg-query -W "$@"; }
# A reload has happened when nginx's old workers, which answer until then, are gone.
nginx() {
    local pid before="" i
    pid=$(<"$ROOT/run/nginx.pid")
    [[ $* != "-s reload" ]] || before=$(<"/proc/$pid/task/$pid/children")
    command nginx -p "$ROOT/etc/nginx" -c nginx.conf -e "$ROOT/var/log/nginx/error.log" "$@"
    for pid in $before; do
        for ((i = 0; i < 1000; i++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.02
        done
    done
}
# What the units say: the socket, and the program that takes it.
systemctl() {
    local units=$ROOT/usr/lib/systemd/system socket command
    [[ $* == "enable --now runtime-catalogd.socket runtime-catalogd.service" ]] || return 0
    socket=$(sed -n "s/^ListenStream=//p" "$units/runtime-catalogd.socket")
    command=$(sed -n "s/^ExecStart=//p" "$units/runtime-catalogd.service")
    systemd-socket-activate --listen="$ROOT$socket" $command &
}
curl() {
    local i
    for ((i = 0; i < 1000; i++)); do
        [[ -S $ROOT/run/runtime-catalog/worker.sock ]] && break
        sleep 0.02
    done
    command curl -sS --cacert "$ROOT/etc/ssl/certs/$HOST.pem" --connect-to "::127.0.0.1:$PORT" "$@"
}
"""


def section(path, title):
    text = (CHECKOUT / path).read_text()
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


def blocks(text):
    """What is indented, block by block."""
    return re.findall(r"(?:^    .*\n)+", text, re.M)


def copy_checkout(folder):
    """As a clone has it; root's home may be closed to whom we are later."""
    shutil.copytree(CHECKOUT, folder / "checkout",
                    ignore=shutil.ignore_patterns(".git", ".dev", "configure", "autom4te.cache", "build-aux", "__pycache__"))


class Vault(http.server.BaseHTTPRequestHandler):
    """What stands behind the site that has the catalog only: it says what reached it."""

    protocol_version = "HTTP/1.1"

    def do_LIST(self): # pylint: disable=invalid-name
        seen = f"{self.command} {self.path} for {self.headers['Host']} from {self.headers['X-Forwarded-For']}".encode()
        self.send_response(429)
        self.send_header("Content-Length", str(len(seen)))
        self.end_headers()
        self.wfile.write(seen)

    def log_message(self, *_):
        pass


def with_vault_behind(text, port):
    """The site with its last location uncommented, in place of the one above it."""
    text = text.replace("\n    location / {\n        return 404;\n    }\n", "\n")
    return re.sub(r"^    #(?=\S|    )", "    ", text, flags=re.M).replace(":8200;", f":{port};")


class Machine:
    """A private folder that looks like a server with nginx, and the checkout's copy."""

    def __init__(self, folder, cluster, listener):
        self.root, self.checkout = folder / "machine", folder / "checkout"
        self.port, self.listener = listener.getsockname()[1], listener
        for name in ("run", "temp", "var/log/nginx", "etc/nginx/sites-available", "etc/nginx/sites-enabled",
                     "etc/ssl/certs", "etc/ssl/private"):
            (self.root / name).mkdir(parents=True)
        (self.root / "run/postgresql").symlink_to(cluster.socket)
        self.environment = dict(
            os.environ, ROOT=str(self.root), PORT=str(self.port), HOST=HOST, PGHOST=str(cluster.socket),
            PGUSER="postgres",
            PATH=f"{self.root}/moved:{self.root}/usr/sbin:{self.root}/usr/bin:/usr/lib/postgresql/15/bin:{os.environ['PATH']}:/usr/sbin")
        (self.root / "etc/postgresql/15").mkdir(parents=True)
        (self.root / "etc/postgresql/15/main").symlink_to(cluster.data)
        (self.root / "moved").mkdir()
        for name, command in STAND_INS.items():
            (self.root / "moved" / name).write_text(f"#!/bin/bash\n{command}\n")
            (self.root / "moved" / name).chmod(0o755)
        self.make_certificate()
        self.move_checkout()
        self.configure_nginx()

    def moved(self, text):
        text = text.replace("  runtime-catalog  ", f"  {getpass.getuser()}  ") # pg_ident.conf
        return re.sub(r"(?<![\w./\"-])/(usr|etc|run|var)(?=[/ \n])|(?<=[=\":])/(usr|etc|run|var)(?=[/ \n])",
                      lambda match: str(self.root) + match[0], text)

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:{OTHER}",
                        "-out", self.root / f"etc/ssl/certs/{HOST}.pem",
                        "-keyout", self.root / f"etc/ssl/private/{HOST}.key"], check=True, capture_output=True)

    def move_checkout(self):
        """What has paths in it that lie elsewhere here."""
        for name in ("nginx/runtime-catalog.conf", "nginx/runtime-catalog-only.conf",
                     "nginx/snippets/http.conf", "src/runtime-catalog.conf.sample"):
            path = self.checkout / name
            text = self.moved(path.read_text()).replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
            path.write_text(re.sub(r"listen \[::\].*\n", "\n", text))

    def configure_nginx(self, http="include sites-enabled/*;", server=""):
        (self.root / "etc/nginx/nginx.conf").write_text(FRAME % {
            "root": self.root, "port": self.port, "host": HOST, "other": OTHER, "http": http,
            "server": self.moved(server)})

    def start_nginx(self):
        number = self.listener.fileno()
        error_log = self.root / "var/log/nginx/error.log"
        nginx = start(["nginx", "-p", self.root / "etc/nginx", "-c", "nginx.conf", "-e", error_log],
                      self.root / "nginx.out", pass_fds=[number], env=dict(os.environ, NGINX=f"{number};"))
        wait_for((self.root / "run/nginx.pid").exists, 20, f"nginx runs, see {error_log}")
        return nginx

    def run(self, script):
        with open(self.root / "worker.log", "a", encoding="utf-8") as errors:
            return subprocess.run(["bash", "-c", PRELUDE + self.moved(script)], cwd=self.checkout, env=self.environment,
                                  stdout=subprocess.PIPE, stderr=errors, text=True, check=False, timeout=400)


tap = Tap(15)
readme = blocks(section("README.md", "Behind the nginx and the PostgreSQL that you have"))
server = blocks(section("nginx/README.md", "In a server that you already have"))[0]
listener = listen()
with database(copy_checkout) as cluster:
    cluster.sql("CREATE DATABASE empty")
    subprocess.run(["/usr/lib/postgresql/15/bin/dropdb", "-h", cluster.socket, "-U", "postgres", "runtime_catalog"],
                   check=True)
    machine = Machine(cluster.socket, cluster, listener)
    nginx = machine.start_nginx()
    done = machine.run("".join(readme))
    log = machine.root / "worker.log"
    tap.equal(len(readme), 5, "five blocks of commands: programs, database, worker, nginx, token")
    tap.ok(done.returncode == 0, "all of them succeed", done.stdout[-2000:], *lines_of(log)[-20:])
    answer = done.stdout.splitlines()[-1:]
    tap.ok(answer and '"data":{"runtimes":[]}' in answer[0], "and end with Vault's answer", *answer)
    tap.ok("configuration, database, schema and policies are good" in log.read_text(), "-t had said so", *lines_of(log)[-20:])

    # Which of the two sites: the whole API, or the catalog's paths and whatever is behind them.
    health = f'curl "https://{HOST}/v1/sys/health"\n'
    site = next(block for block in readme if "sites-enabled" in block)
    done = machine.run("runtime-catalogd &\n" + health)
    tap.ok('"initialized":true' in done.stdout, "the site that stands alone answers for health as well", done.stdout)
    (machine.root / "etc/nginx/sites-enabled/runtime-catalog.conf").unlink()
    only = site.replace("runtime-catalog.conf", "runtime-catalog-only.conf")
    done = machine.run("runtime-catalogd &\n" + only + LIST_WITH_TOKEN + health)
    tap.ok(done.returncode == 0, "the other site is put there in the same way", done.stdout, *lines_of(log)[-20:])
    lines = done.stdout.splitlines()[-2:]
    tap.ok(len(lines) == 2 and '"data":{"runtimes":[]}' in lines[0], "and has the catalog", done.stdout)
    tap.equal(lines[-1:], ['{"errors":["no handler for this path"]}'], "and nothing else")

    with http.server.HTTPServer(("127.0.0.1", 0), Vault) as vault:
        threading.Thread(target=vault.serve_forever, daemon=True).start()
        file = machine.root / "etc/nginx/sites-available/runtime-catalog-only.conf"
        file.write_text(with_vault_behind(file.read_text(), vault.server_port))
        done = machine.run("runtime-catalogd &\nnginx -t\nnginx -s reload\n" + LIST_WITH_TOKEN + f"""
curl --write-out " %{{http_code}}\\n" -X LIST -H "X-Forwarded-For: 10.0.0.1" "https://{HOST}/v1/a%2Fb/c%20d?list=1&x=%41"
""")
        vault.shutdown()
    lines = done.stdout.splitlines()[-2:]
    tap.ok(len(lines) == 2 and '"data":{"runtimes":[]}' in lines[0], "with a Vault behind it, it has the catalog",
           done.stdout, *lines_of(log)[-20:])
    tap.equal(lines[-1:], [f"LIST /v1/a%2Fb/c%20d?list=1&x=%41 for {HOST} from 127.0.0.1 429"],
              "and the rest reaches that as the client sent it, and its answer the client")
    (machine.root / "etc/nginx/sites-enabled/runtime-catalog-only.conf").unlink()

    # The same worker, in a server that was there: one include in the http block, three lines in it.
    machine.configure_nginx("include snippets/runtime-catalog/http.conf;", server)
    done = machine.run(f"""
runuser -u runtime-catalog -- runtime-catalogd &
nginx -t
nginx -s reload
export RUNTIME_CATALOG_DSN='dbname=runtime_catalog' VAULT_ADDR=https://{OTHER}
token=$(runtime-catalog token issue -policy=root -field=token)
curl --header "X-Vault-Token: $token" --request LIST "$VAULT_ADDR{CATALOG}"
curl "$VAULT_ADDR/elsewhere"
""")
    tap.ok(done.returncode == 0, "an include and three lines in a server that is there", *lines_of(log)[-20:])
    lines = done.stdout.splitlines()[-2:]
    tap.ok(len(lines) == 2 and '"data":{"runtimes":[]}' in lines[0], "put the catalog there", done.stdout)
    tap.equal(lines[-1:], ["was here before"], "and leave the rest of it alone")

    stop(nginx, signal.SIGQUIT)
    alarms = [line for line in lines_of(log) + lines_of(machine.root / "var/log/nginx/error.log")
              if re.search(ALARMS + r"|\[(alert|emerg|crit|error|ERROR)\]", line)]
    tap.equal(alarms, [], "neither nginx nor the worker has anything to complain of")
    cluster.stop()
    tap.equal(leftovers(), [], "no process is left")
sys.exit(tap.exit_status())
