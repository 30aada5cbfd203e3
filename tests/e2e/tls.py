#!/usr/bin/python3
"""nginx's TLS as openssl s_client sees it: versions, ciphers, curves, tickets, resumption,
renegotiation. The client offers all that OpenSSL has, so that a refusal is the server's."""
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, stack  # noqa: E402

ANY = "ALL:@SECLEVEL=0"
VERSIONS = {"-tls1": None, "-tls1_1": None, "-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}
# What TLS 1.2 may agree on with this certificate, which has a key for ECDSA; one with an RSA key would
# have the ECDHE-RSA ones.
CIPHERS = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}
CURVES = {"X25519": True, "P-256": True, "P-384": True, "P-521": False, "X448": False}


def ciphers():
    """All that OpenSSL can offer in TLS 1.2."""
    done = subprocess.run(["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.strip().split(":") if not name.startswith("TLS_")]


with stack(plan=len(VERSIONS) + len(CURVES) + 11) as s:
    s.expect("nginx", "SSL_do_handshake", "client renegotiation disabled")

    def client(*arguments, text=""):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.client.port}", "-servername", "localhost",
                               "-CAfile", s.folder / "nginx/ca.pem", "-verify_return_error", *arguments],
                              input=text, capture_output=True, text=True, errors="replace", check=False, timeout=60)
        return done.stdout + done.stderr

    def renegotiate():
        """What comes of asking for another handshake; standard input stays open until nginx hangs up."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{s.client.port}", "-tls1_2", "-CAfile", s.folder / "nginx/ca.pem"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as done:
            done.stdin.write("R\n")
            done.stdin.flush()
            return done.stdout.read()

    def agreed(*arguments):
        """Version and cipher; None: no handshake."""
        found = re.search(r"^New, (TLSv[\d.]+), Cipher is (\S+)$", client(*arguments), re.M)
        return found and (found[1], found[2])

    for option, wanted in VERSIONS.items():
        said = client(option, "-cipher", ANY)
        spoken = re.search(r"Protocol  ?: (\S+)$|^New, (TLSv1.3), Cipher is TLS_", said, re.M)
        good = "Cipher is (NONE)" not in said and spoken and wanted in spoken.groups() if wanted else "alert protocol version" in said
        s.tap.ok(good, f"{option[1:]}: {'spoken' if wanted else 'refused, by the server'}", said)

    offered = ciphers()
    taken = {found[1] for name in offered if (found := agreed("-tls1_2", "-cipher", f"{name}:@SECLEVEL=0"))}
    print(f"# of {len(offered)} ciphers that OpenSSL offers TLS 1.2 takes {len(taken)}")
    s.tap.ok(len(offered) > 30, "OpenSSL offers weak ones, too", offered)
    s.tap.equal(taken, CIPHERS, "TLS 1.2: forward secrecy and authenticated encryption, and nothing else")
    s.tap.equal(agreed("-tls1_3")[1][:4], "TLS_", "TLS 1.3: one of its own")
    s.tap.equal(agreed("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256")[1],
                "ECDHE-ECDSA-CHACHA20-POLY1305", "the client, who knows its hardware, chooses")
    for curve, wanted in CURVES.items():
        s.tap.equal(bool(agreed("-tls1_3", "-curves", curve)), wanted, f"{curve}: {'taken' if wanted else 'refused'}")

    said = client("-tls1_2", "-sess_out", s.folder / "session")
    s.tap.ok("TLS session ticket" not in said and "Session-ID: " in said, "no tickets in TLS 1.2, whose keys would live as long as nginx", said)
    s.tap.ok("Compression: NONE" in said, "no compression", said)
    s.tap.ok("Verify return code: 0" in said and "Verification: OK" in said, "the certificate is verified", said)
    s.tap.ok(re.search("^Reused, TLSv1.2", client("-tls1_2", "-sess_in", s.folder / "session"), re.M), "a session is resumed by its id")
    said = client("-tls1_3", "-ign_eof", text=f"GET {CATALOG} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    s.tap.ok("Max Early Data: 0" in said and "HTTP/1.1 403" in said, "no data before the handshake, which could be sent again", said)
    said = renegotiate()
    s.tap.ok("RENEGOTIATING" in said and "no renegotiation" in said, "a client that renegotiates is refused", said)
    s.tap.ok("ALPN protocol: h2" in client("-alpn", "h2,http/1.1"), "HTTP/2 is agreed on in the handshake")
