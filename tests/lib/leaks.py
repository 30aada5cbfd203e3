"""Looks for secrets in all that a stack leaves behind: the files of its folder, and the memory of a
process that has nothing to do."""
import contextlib
import hashlib
import os
import re
import subprocess
import tempfile

PIECE = 1 << 24
REGION_MAX = 1 << 33 # what is larger is a sanitizer's shadow, which has no texts
TOKEN = re.compile(rb"\bhvs\.[0-9A-Za-z]{24}\b")
TAIL = 12 # of a token: the allocator writes over the first bytes of what is freed
HEAD = 12 # of a token, or of its hash: what is written somewhere may have been cut


def tokens_in(data):
    return {token.decode() for token in TOKEN.findall(data)}


def hashes(secrets):
    """Of tokens, as they are stored."""
    return {hashlib.sha256(secret.encode()).hexdigest() for secret in secrets if tokens_in(secret.encode())}


@contextlib.contextmanager
def grep(patterns, *arguments, **more):
    """grep -F looks for any number of texts in one go. Its output, bytes, is there when it has ended."""
    with tempfile.NamedTemporaryFile("w") as file, tempfile.TemporaryFile() as output:
        file.write("\n".join(sorted(patterns)))
        file.flush()
        child = subprocess.Popen(["grep", "-aoF", "-f", file.name, *arguments], stdout=output, env={"LC_ALL": "C"}, **more)

        def end():
            if child.stdin:
                child.stdin.close()
            if child.wait() > 1:
                raise RuntimeError(f"grep {arguments} failed")
            output.seek(0)
            return output.read()
        yield child.stdin, end


def heads_of(secrets):
    """What is enough of each to be a leak. Not of tokens that a test made up of a few digits, nor of what is no token
    and no hash, a password for instance."""
    return {secret[:HEAD] if re.fullmatch(r"hvs\.\w+|[0-9a-f]{64}", secret) and len(set(secret[4:HEAD])) > 3 else secret for secret in secrets}


def in_folder(secrets, folder):
    """FILE:SECRET for each place in a file where one stands."""
    if not secrets:
        return []
    with grep(heads_of(secrets), "-r", folder) as (_, end):
        return end().decode(errors="backslashreplace").splitlines()


def regions(pid):
    """What the process can write to, and is there: start, end, name."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S\S)\S+ \S+ \S+ \S+ *(.*)", line):
                start, end, rights, name = int(match[1], 16), int(match[2], 16), match[3], match[4]
            elif line.startswith("Rss:") and line.split()[1] != "0" and rights == "rw" and end - start <= REGION_MAX:
                yield start, end, name or "anonymous"


def ends_of(secrets):
    """Not those of tokens that a test made up of one digit, which stand in a memory by themselves."""
    return {secret[-TAIL:] for secret in secrets if len(set(secret[-TAIL:])) > 3}


def in_memory(secrets, pid):
    """(bytes looked at, REGION:SECRET'S END for each place where one stands)"""
    looked, places = 0, []
    with (open(f"/proc/{pid}/mem", "rb", buffering=0) as memory,
          grep(ends_of(secrets), "-zb", stdin=subprocess.PIPE) as (pipe, end_of_grep)):
        for start, end, name in regions(pid):
            places.append((looked, name))
            for at in range(start, end, PIECE):
                with contextlib.suppress(OSError): # a device's
                    looked += pipe.write(os.pread(memory.fileno(), min(PIECE, end - at), at))
        found = [line.split(b":") for line in end_of_grep().split(b"\0")[:-1]]
    return looked, [f"{[name for start, name in places if start <= int(at)][-1]}:{end.decode()}" for at, end in found]
