#!/usr/bin/python3
"""auth/token/: what a token issues, who may look it up, renew it and revoke it, and when it ends:
with its parent, its time, its last use; on every worker at the very next request."""
import collections
import concurrent.futures
import contextlib
import hashlib
import re
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from client import UnixConnection  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, NOT_ALLOWED, NO_TOKEN, UNCACHED, stack, start, stop, wait_for  # noqa: E402
from processes import wait_for_listener  # noqa: E402

TOKEN = "/v1/auth/token/"
MAX = 768 * 3600
DAY = 86400
UNKNOWN = "hvs.unknown"
NO_ACCESSOR = "0" * 24
CAPPED = 'TTL of "%s" exceeded the effective max_ttl of "%s"; TTL value is capped accordingly'
CAPPED_PERIOD = 'period of "%s" exceeded the effective max_ttl of "%s"; period value is capped accordingly'
MISSING = 'Policy "%s" does not exist'
IGNORED = "Endpoint ignored these unrecognized parameters: [%s]"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"

LOCATIONS = "include snippets/runtime-catalog/locations.conf;"
SECOND_SITE = """
server {
    listen "unix:%s/second-site.sock";
    set $runtime_catalog_namespace none;
    location / {
        include snippets/runtime-catalog/params.conf;
        fastcgi_pass "unix:%s/second.sock";
    }
}
"""


def whole_api(text, folder):
    """A site of all of Vault's paths, and one on a socket that leads to a second worker."""
    everything = "location ^~ /v1/ { include snippets/runtime-catalog/worker.conf; }"
    return text.replace(LOCATIONS, LOCATIONS + "\n    " + everything) + SECOND_SITE % (folder, folder)


# --- create: caller, body, what the child is (over DEFAULTS), warnings

DEFAULTS = {"policies": ["default", "p"], "ttl": MAX, "explicit_max_ttl": 0, "period": None, "num_uses": 0,
            "display_name": "token", "meta": None, "renewable": True, "orphan": False, "path": "auth/token/create",
            "namespace_path": None, "bound_cidrs": None}
ROOT = {"policies": ["root"], "ttl": 0, "renewable": False}
P = {"policies": ["p"]}

CREATED = [
    ("root", {}, ROOT, []),
    ("root", None, ROOT, []),
    ("root", {"policies": []}, ROOT, []),
    ("root", {"policies": None}, ROOT, []),
    ("root", {"no_default_policy": True}, ROOT, []),
    ("root", {"policies": ["p"]}, {}, []),
    ("root", {"policies": "p"}, {}, []),
    ("root", {"policies": "p,q"}, {"policies": ["default", "p,q"]}, [MISSING % "p,q"]),
    ("root", {"policies": ["P ", "\tq", "p", ""]}, {"policies": ["default", "p", "q"]}, []),
    ("root", {"policies": [""]}, {"policies": ["default"]}, []),
    ("root", {"policies": ""}, {"policies": ["default"]}, []),
    ("root", {"policies": ["p", "ROOT"]}, ROOT, []),
    ("root", {"policies": ["p"], "no_default_policy": True}, {"policies": ["p"]}, []),
    ("root", {"policies": ["p", "default"], "no_default_policy": True}, {"policies": ["p"]}, []),
    ("root", {"policies": ["p", "gone", "absent"]}, {"policies": ["absent", "default", "gone", "p"]},
     [MISSING % "absent", MISSING % "gone"]),
    ("root", {"ttl": "1h"}, {"policies": ["root"], "ttl": 3600}, []),
    ("root", {"explicit_max_ttl": "1h"}, {"policies": ["root"], "ttl": 3600, "explicit_max_ttl": 3600}, []),
    ("root", {"period": "1h"}, {"policies": ["root"], "ttl": 3600, "period": 3600}, []),
    ("root", P | {"ttl": "1h"}, {"ttl": 3600}, []),
    ("root", P | {"ttl": "1h30m"}, {"ttl": 5400}, []),
    ("root", P | {"ttl": "2d"}, {"ttl": 2 * DAY}, []),
    ("root", P | {"ttl": "3600"}, {"ttl": 3600}, []),
    ("root", P | {"ttl": 3600}, {"ttl": 3600}, []),
    ("root", P | {"ttl": 0}, {}, []),
    ("root", P | {"ttl": ""}, {}, []),
    ("root", P | {"ttl": None}, {}, []),
    ("root", P | {"ttl": "768h"}, {}, []),
    ("root", P | {"ttl": "800h"}, {}, [CAPPED % ("800h", "768h")]),
    ("root", P | {"ttl": MAX + 65}, {}, [CAPPED % ("768h1m5s", "768h")]),
    ("root", P | {"lease": "1h"}, {"ttl": 3600}, []),
    ("root", P | {"lease": "1h", "ttl": "2h"}, {"ttl": 7200}, []),
    ("root", P | {"explicit_max_ttl": "1h"}, {"ttl": 3600, "explicit_max_ttl": 3600}, [CAPPED % ("768h", "1h")]),
    ("root", P | {"explicit_max_ttl": "1h", "ttl": "30m"}, {"ttl": 1800, "explicit_max_ttl": 3600}, []),
    ("root", P | {"explicit_max_ttl": "1h", "ttl": "90m"}, {"ttl": 3600, "explicit_max_ttl": 3600}, [CAPPED % ("1h30m", "1h")]),
    ("root", P | {"explicit_max_ttl": "800h", "ttl": "790h"}, {"explicit_max_ttl": 800 * 3600}, [CAPPED % ("790h", "768h")]),
    ("root", P | {"period": "1h"}, {"ttl": 3600, "period": 3600}, []),
    ("root", P | {"period": "2h", "ttl": "1h"}, {"ttl": 7200, "period": 7200}, []),
    ("root", P | {"period": "800h"}, {"period": 800 * 3600}, [CAPPED_PERIOD % ("800h", "768h")]),
    ("root", P | {"period": "2h", "explicit_max_ttl": "1h"}, {"ttl": 3600, "period": 7200, "explicit_max_ttl": 3600},
     [CAPPED_PERIOD % ("2h", "1h")]),
    ("root", P | {"renewable": False}, {"renewable": False}, []),
    ("root", P | {"renewable": "false"}, {"renewable": False}, []),
    ("root", P | {"renewable": None}, {}, []),
    ("root", P | {"num_uses": 5}, {"num_uses": 5}, []),
    ("root", P | {"num_uses": "5"}, {"num_uses": 5}, []),
    ("root", P | {"num_uses": 2147483647}, {"num_uses": 2147483647}, []),
    ("root", P | {"display_name": "ann"}, {"display_name": "token-ann"}, []),
    ("root", P | {"display_name": "A-b_c d/é."}, {"display_name": "token-A-b-c-d--"}, []),
    ("root", P | {"display_name": "-"}, {"display_name": "token-"}, []),
    ("root", P | {"display_name": ""}, {}, []),
    ("root", P | {"meta": {"b": "2", "a": "<1>"}}, {"meta": {"a": "<1>", "b": "2"}}, []),
    ("root", P | {"meta": ["a=1", "b=x=y", "c="]}, {"meta": {"a": "1", "b": "x=y", "c": ""}}, []),
    ("root", P | {"meta": None}, {}, []),
    ("root", P | {"type": "service", "id": "", "entity_alias": ""}, {}, []),
    ("root", P | {"no_parent": True}, {"orphan": True}, []),
    ("root", P | {"no_parent": False}, {}, []),
    ("root", P | {"z": 1, "a": None}, {}, [IGNORED % "a z"]),
    ("root", {"policies": ["absent"], "ttl": "800h", "z": 1}, {"policies": ["absent", "default"]},
     [CAPPED % ("800h", "768h"), MISSING % "absent", IGNORED % "z"]),
    ("expiring root", {"ttl": "1h"}, {"policies": ["root"], "ttl": 3600}, []),
    ("expiring root", P, {}, []),
    ("plain", {}, {"policies": ["default", "maker", "p"]}, []),
    ("plain", {"no_default_policy": True}, {"policies": ["maker", "p"]}, []),
    ("plain", P, {}, []),
    ("plain", P | {"no_default_policy": True}, {"policies": ["p"]}, []),
    ("plain", {"policies": ["P", "default"]}, {}, []),
    ("plain", {"policies": [""]}, {"policies": ["default"]}, []),
    ("plain", P | {"ttl": "2d"}, {"ttl": 2 * DAY}, []),
    ("without default", {}, {"policies": ["maker", "p"]}, []),
    ("without default", P, {"policies": ["p"]}, []),
    ("sudo", {}, {"policies": ["admin"]}, []),
    ("sudo", {"policies": ["q"]}, {"policies": ["default", "q"]}, []),
    ("sudo", P | {"no_parent": True, "period": "1h"}, {"orphan": True, "ttl": 3600, "period": 3600}, []),
]
ORPHANED = {"orphan": True, "path": "auth/token/create-orphan"}
CREATED_ORPHANS = [
    ("root", {}, ROOT, []),
    ("root", P | {"ttl": "1h", "num_uses": 2}, {"ttl": 3600, "num_uses": 2}, []),
    ("root", P | {"no_parent": True}, {}, []),
    ("plain", P, {}, []),
]
LIST_OF_STRINGS = "policies: must be a list of strings"
MAP = 'meta: must be an object of strings, or a list of texts such as "key=value"'
SECONDS = ': must be a number of seconds or a duration such as "1h30m"'
SUBSET = "child policies must be subset of parent"
NOT_CREATED = [
    ("root", "create", {"policies": 5}, LIST_OF_STRINGS),
    ("root", "create", {"policies": ["p", 5]}, LIST_OF_STRINGS),
    ("root", "create", {"policies": {"p": True}}, LIST_OF_STRINGS),
    ("root", "create", {"policies": ["response-wrapping"]}, 'cannot assign policy "response-wrapping"'),
    ("root", "create", {"policies": ["p", "Control-Group"]}, 'cannot assign policy "control-group"'),
    ("root", "create", {"policies": ["x" * 4097]}, "policies: 4096 bytes at most"),
    ("root", "create", {"ttl": "-1h"}, "ttl must be positive"),
    ("root", "create", {"ttl": -1}, "ttl must be positive"),
    ("root", "create", {"ttl": "soon"}, "ttl" + SECONDS),
    ("root", "create", {"ttl": 1.5}, "ttl" + SECONDS),
    ("root", "create", {"ttl": True}, "ttl" + SECONDS),
    ("root", "create", {"lease": "-1h"}, "lease must be positive"),
    ("root", "create", {"explicit_max_ttl": "-1s"}, "explicit_max_ttl must be positive"),
    ("root", "create", {"explicit_max_ttl": []}, "explicit_max_ttl" + SECONDS),
    ("root", "create", {"period": "-5"}, "period must be positive"),
    ("root", "create", {"ttl": 3162240001}, "ttl: must be a hundred years at most"),
    ("root", "create", {"renewable": "maybe"}, "renewable: must be true or false"),
    ("root", "create", {"no_parent": 2}, "no_parent: must be true or false"),
    ("root", "create", {"no_default_policy": "x"}, "no_default_policy: must be true or false"),
    ("root", "create", {"num_uses": -1}, "number of uses cannot be negative"),
    ("root", "create", {"num_uses": 2147483648}, "num_uses: must be 2147483647 at most"),
    ("root", "create", {"num_uses": "x"}, "num_uses: must be an integer of 64 bits"),
    ("root", "create", {"display_name": 5}, "display_name: must be a string"),
    ("root", "create", {"display_name": "x" * 4001}, "display_name: 4000 bytes at most"),
    ("root", "create", {"meta": "k"}, MAP),
    ("root", "create", {"meta": {"k": 1}}, MAP),
    ("root", "create", {"meta": ["k"]}, MAP),
    ("root", "create", {"meta": {"k": "x" * 4096}}, "meta: 4096 bytes at most"),
    ("root", "create", {"type": "batch"}, "type: batch tokens are not offered"),
    ("root", "create", {"type": "x"}, "invalid 'token_type' value"),
    ("root", "create", {"id": "mine"}, "id: tokens are made by the server alone"),
    ("root", "create", {"entity_alias": "ann"}, "'entity_alias' is only allowed in combination with token role"),
    ("root", "create/r", {}, "unknown role r"),
    ("expiring root", "create", {}, "expiring root tokens cannot create non-expiring root tokens"),
    ("expiring root", "create", {"policies": ["root"]}, "expiring root tokens cannot create non-expiring root tokens"),
    ("plain", "create", {"policies": ["q"]}, SUBSET),
    ("plain", "create", {"policies": ["p", "q"]}, SUBSET),
    ("plain", "create", {"policies": ["root"]}, SUBSET),
    ("plain", "create-orphan", {"policies": ["q"]}, SUBSET),
    ("plain", "create", {"no_parent": True}, "root or sudo privileges required to create orphan token"),
    ("plain", "create", {"period": "1h"}, "root or sudo privileges required to create periodic token"),
    ("without default", "create", {"policies": ["p", "default"]}, SUBSET),
    ("sudo", "create", {"policies": ["root"]}, "root tokens may not be created without parent token being root"),
    ("of 50 uses", "create", {}, "restricted use token cannot generate child tokens"),
    ("of 50 uses", "create-orphan", {"policies": ["p"]}, "restricted use token cannot generate child tokens"),
]

# --- the rest: caller, method, endpoint, body, status, and the answer's one error, its warnings, or
# None. {X} stands for a token, <X> for an accessor.

SELF = object() # data or auth of the token meant

ANSWERS = [
    ("plain", "GET", "lookup-self", None, 200, SELF),
    ("sudo", "POST", "lookup-self", {"token": "{target}"}, 200, SELF),
    ("sudo", "POST", "lookup-self", {"x": 1}, 200, [IGNORED % "x"]),
    ("sudo", "POST", "lookup", {"token": "{target}"}, 200, SELF),
    ("sudo", "PUT", "lookup", {"token": "{target}"}, 200, SELF),
    ("sudo", "POST", "lookup", {}, 200, SELF),
    ("sudo", "POST", "lookup", {"token": ""}, 200, SELF),
    ("sudo", "GET", "lookup", None, 200, SELF),
    ("sudo", "POST", "lookup", {"token": UNKNOWN}, 403, "bad token"),
    ("sudo", "POST", "lookup", {"token": "{elsewhere}"}, 403, "bad token"),
    ("sudo", "POST", "lookup", {"token": "{expired}"}, 403, "bad token"),
    ("sudo", "POST", "lookup", {"token": "{of expired}"}, 403, "bad token"),
    ("sudo", "POST", "lookup", {"token": "{used up}"}, 403, "bad token"),
    ("sudo", "POST", "lookup", {"token": 5}, 400, "token: must be a string"),
    ("sudo", "GET", "lookup?token={target}", None, 400, "query parameter token: a token does not belong in a URL; use POST"),
    ("sudo", "POST", "lookup-accessor", {"accessor": "<target>"}, 200, SELF),
    ("sudo", "POST", "lookup-accessor", {"accessor": "<elsewhere>"}, 400, "invalid accessor"),
    ("sudo", "POST", "lookup-accessor", {"accessor": "<expired>"}, 400, "invalid accessor"),
    ("sudo", "POST", "lookup-accessor", {"accessor": NO_ACCESSOR}, 400, "invalid accessor"),
    ("sudo", "POST", "lookup-accessor", {"accessor": "{target}"}, 400, "invalid accessor"),
    ("sudo", "POST", "lookup-accessor", {}, 400, "missing accessor"),
    ("sudo", "POST", "renew", {}, 400, "missing token ID"),
    ("sudo", "POST", "renew", {"token": UNKNOWN}, 400, "token not found"),
    ("sudo", "POST", "renew", {"token": "{elsewhere}"}, 400, "token not found"),
    ("sudo", "POST", "renew", {"token": "{expired}"}, 400, "token not found"),
    ("sudo", "POST", "renew", {"token": "{of expired}"}, 400, "token not found"),
    ("sudo", "POST", "renew", {"token": "{endless}"}, 400, "invalid lease ID"),
    ("sudo", "POST", "renew", {"token": "{fixed}"}, 400, "lease is not renewable"),
    ("sudo", "POST", "renew", {"token": "{target}", "increment": "x"}, 400, "increment" + SECONDS),
    ("sudo", "POST", "renew", {"token": "{target}", "increment": -5}, 400, "increment must be positive"),
    ("sudo", "POST", "renew-accessor", {}, 400, "missing accessor"),
    ("sudo", "POST", "renew-accessor", {"accessor": NO_ACCESSOR}, 400, "invalid accessor"),
    ("sudo", "POST", "renew-accessor", {"accessor": "<elsewhere>"}, 400, "invalid accessor"),
    ("sudo", "POST", "renew-accessor", {"accessor": "<fixed>"}, 400, "lease is not renewable"),
    ("sudo", "POST", "renew-self", {}, 200, SELF),
    ("root", "POST", "renew-self", {}, 400, "invalid lease ID"),
    ("plain", "POST", "renew-self", {"token": "{target}"}, 200, SELF),
    ("sudo", "POST", "renew", {"token": "{target}"}, 200, SELF),
    ("sudo", "PUT", "renew-accessor", {"accessor": "<target>"}, 200, SELF),
    ("sudo", "POST", "revoke", {}, 400, "missing token ID"),
    ("sudo", "POST", "revoke", {"token": UNKNOWN}, 204, None),
    ("sudo", "POST", "revoke", {"token": "{elsewhere}"}, 204, None),
    ("sudo", "POST", "revoke-orphan", {}, 400, "missing token ID"),
    ("sudo", "POST", "revoke-orphan", {"token": UNKNOWN}, 400, "token to revoke not found"),
    ("sudo", "POST", "revoke-orphan", {"token": "{elsewhere}"}, 400, "token to revoke not found"),
    ("sudo", "POST", "revoke-accessor", {}, 400, "missing accessor"),
    ("sudo", "POST", "revoke-accessor", {"accessor": NO_ACCESSOR}, 200, ["No token found with this accessor"]),
    ("sudo", "POST", "revoke-accessor", {"accessor": "<elsewhere>"}, 200, ["No token found with this accessor"]),
    ("plain", "POST", "lookup", {"token": "{target}"}, 403, NOT_ALLOWED),
    ("plain", "POST", "revoke", {"token": "{target}"}, 403, NOT_ALLOWED),
    ("all but sudo", "POST", "revoke", {"token": UNKNOWN}, 204, None),
    ("all but sudo", "POST", "revoke-orphan", {"token": "{target}"}, 403, NOT_ALLOWED),
    ("all but sudo", "LIST", "accessors", None, 403, NOT_ALLOWED),
    ("all but sudo", "POST", "tidy", {}, 202, ["Tokens that had ended were deleted."]),
]

ENDPOINTS = {"create": {"POST", "PUT"}, "create-orphan": {"POST", "PUT"}, "create/r": {"POST", "PUT"},
             "lookup": {"GET", "POST", "PUT"}, "lookup-self": {"GET", "POST", "PUT"}, "lookup-accessor": {"POST", "PUT"},
             "renew": {"POST", "PUT"}, "renew-self": {"POST", "PUT"}, "renew-accessor": {"POST", "PUT"},
             "revoke": {"POST", "PUT"}, "revoke-self": {"POST", "PUT"}, "revoke-orphan": {"POST", "PUT"},
             "revoke-accessor": {"POST", "PUT"}, "tidy": {"POST", "PUT"}, "accessors/": {"LIST"}}
METHODS = ["GET", "POST", "PUT", "DELETE"]

# Renewals: what the token is created with, seconds since, what is asked for; the new ttl, warnings.
RENEWED = [
    ({"ttl": "1h"}, 0, None, 3600, None),
    ({"ttl": "1h"}, 0, "2h", 7200, None),
    ({"ttl": "1h"}, 0, 60, 60, None),
    ({"ttl": "1h"}, 600, None, 3600, None),
    ({"ttl": "1h"}, 600, "800h", MAX - 600, r'TTL of "800h" exceeded the effective max_ttl of "767h(50m|49m5\ds)"; TTL'),
    ({}, 600, None, MAX - 600, r'TTL of "768h" exceeded the effective max_ttl of "767h(50m|49m5\ds)"; TTL'),
    ({"ttl": "1h", "explicit_max_ttl": "2h"}, 600, "3h", 6600, r'TTL of "3h" exceeded the effective max_ttl of "1h(50m|49m5\ds)"; TTL'),
    ({"ttl": "1h", "explicit_max_ttl": "2h"}, 600, None, 3600, None),
    ({"period": "1h"}, 600, None, 3600, None),
    ({"period": "1h"}, 600, "5h", 3600, None),
    ({"period": "1h"}, MAX + 600, None, 3600, None),
    ({"period": "1h", "explicit_max_ttl": "2h"}, 5400, None, 1800, r'TTL of "1h" exceeded the effective max_ttl of "(30m|29m5\ds)"; TTL'),
    ({"ttl": "1h"}, MAX + 1, None, "past the max TTL, cannot renew", None),
    ({"ttl": "1h", "explicit_max_ttl": "2h"}, 7201, None, "past the max TTL, cannot renew", None),
    ({"period": "1h", "explicit_max_ttl": "2h"}, 7201, None, "past the max TTL, cannot renew", None),
]

# A grandparent, parent and child; which of them each manner of revoking the parent leaves.
REVOKED = [
    ("revoke", {"token": "{parent}"}, [True, False, False]),
    ("revoke-accessor", {"accessor": "<parent>"}, [True, False, False]),
    ("revoke-self", {}, [True, False, False]),
    ("revoke-orphan", {"token": "{parent}"}, [True, False, True]),
]

# What ends the parent, in SQL, with {} for its accessor.
ENDINGS = {
    "expired": "UPDATE runtime_catalog.token SET expires_at = clock_timestamp() WHERE accessor = '{}'",
    "deleted": "DELETE FROM runtime_catalog.token WHERE accessor = '{}'",
}

CLIENTS = 50
USES = 100

# Writes that are held up by a lock while their token goes: the table that is locked.
WRITES = [
    ("runtime", "PUT", CONTAINER + "held", {}),
    ("token", "POST", TOKEN + "create", P),
    ("policy", "PUT", "/v1/sys/policies/acl/held", {"policy": 'path "x" { capabilities = ["read"] }'}),
]
STORED = ("SELECT (SELECT count(*) FROM runtime_catalog.runtime WHERE name = 'held'),"
          "       (SELECT count(*) FROM runtime_catalog.policy WHERE name = 'held'),"
          "       (SELECT count(*) FROM runtime_catalog.token)")

PLAN = (len(CREATED) + len(CREATED_ORPHANS) + len(NOT_CREATED) + len(ANSWERS) + 3 * len(ENDPOINTS) + len(RENEWED)
        + len(REVOKED) + 2 * len(ENDINGS) + 2 * len(WRITES) + 53)


class Tokens:
    """Tokens by the names that the tables give them."""

    def __init__(self, s):
        self.s = s
        self.by_name = {}

    def __getitem__(self, name):
        return self.by_name[name]

    def add(self, name, token):
        self.by_name[name] = token
        if token not in self.s.secrets:
            self.s.secrets.append(token)
        return token

    def create(self, name, body, caller="root", path="create", **more):
        response = self.s.request("POST", TOKEN + path, body, token=self[caller], **more)
        if response.status != 200:
            raise RuntimeError(f"cannot create {name}:\n{response}")
        return self.add(name, response.key("auth")["client_token"])

    def accessor(self, name):
        return self.s.cluster.sql("SELECT accessor FROM runtime_catalog.token"
                                  f" WHERE hash = '\\x{hashlib.sha256(self[name].encode()).hexdigest()}'")

    def end(self, name, how="expired"):
        self.s.cluster.sql(ENDINGS[how].format(self.accessor(name)))

    def age(self, name, seconds):
        """As if it had been created earlier; its end stays."""
        self.s.cluster.sql(f"UPDATE runtime_catalog.token SET created_at = created_at - interval '{seconds} s'"
                           f" WHERE accessor = '{self.accessor(name)}'")

    def fill(self, value):
        """{X} and <X> in a body or a path."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        value = re.sub(r"\{(.+?)\}", lambda match: self[match[1]], value)
        return re.sub(r"<(.+?)>", lambda match: self.accessor(match[1]), value)

    def works(self, name, connection=None):
        response = self.s.request("GET", TOKEN + "lookup-self", token=self[name], connection=connection)
        if response.status not in (200, 403) or response.status == 403 and response.errors != [BAD_TOKEN]:
            raise RuntimeError(f"{name}:\n{response}")
        return response.status == 200


def faults_of_keys(got, want, what):
    """want's values may be patterns or functions; the keys come in want's order."""
    if not isinstance(got, dict):
        return [f"{what} is {got!r}"]
    faults = [] if list(got) == list(want) else [f"{what} has the keys {list(got)} instead of {list(want)}"]
    for key in want.keys() & got.keys():
        expected = want[key]
        fits = (expected(got[key]) if callable(expected)
                else bool(expected.fullmatch(str(got[key]))) if isinstance(expected, re.Pattern) else got[key] == expected)
        if not fits or isinstance(got[key], bool) != isinstance(expected, bool) and not callable(expected):
            faults.append(f"{key} of {what} is {got[key]!r}, not {expected!r}")
    return faults


def about(seconds):
    return lambda got: isinstance(got, int) and seconds - 20 <= got <= seconds


def auth_of(child):
    return {"client_token": re.compile(r"hvs\.[0-9A-Za-z]{24,}"), "accessor": re.compile("[0-9A-Za-z]{24}"),
            "policies": child["policies"], "token_policies": child["policies"], "metadata": child["meta"],
            "lease_duration": child["ttl"], "renewable": child["renewable"], "entity_id": "", "token_type": "service",
            "orphan": child["orphan"], "mfa_requirement": None, "num_uses": child["num_uses"]}


def data_of(child, token):
    """What lookup says of it."""
    ends = child["ttl"] > 0
    data = {"accessor": re.compile("[0-9A-Za-z]{24}"), "bound_cidrs": child["bound_cidrs"],
            "creation_time": lambda got: isinstance(got, int), "creation_ttl": child["ttl"],
            "display_name": child["display_name"], "entity_id": "",
            "expire_time": re.compile(TIME) if ends else None, "explicit_max_ttl": child["explicit_max_ttl"], "id": token,
            "issue_time": re.compile(TIME) if ends else None, "meta": child["meta"],
            "namespace_path": child["namespace_path"], "num_uses": child["num_uses"], "orphan": child["orphan"],
            "path": child["path"], "period": child["period"], "policies": child["policies"],
            "renewable": child["renewable"] if ends else None, "ttl": about(child["ttl"]) if ends else 0, "type": "service"}
    left_out = ["bound_cidrs", "namespace_path", "period", *([] if ends else ["issue_time", "renewable"])]
    return {key: value for key, value in data.items() if not (value is None and key in left_out)}


def check_created(s, tokens, name, response, child, warnings):
    """One assertion on a whole answer of create, and on what lookup then says."""
    faults = [*s.faults_of(response, 200), *faults_of_keys(response.key("auth"), auth_of(child), "auth")]
    for key, value in (("data", None), ("warnings", warnings or None), ("lease_id", ""), ("mount_type", "token")):
        if response.key(key) != value:
            faults.append(f"{key} is {response.key(key)!r}, not {value!r}")
    token = tokens.add("child", (response.key("auth") or {}).get("client_token", UNKNOWN))
    space = [("X-Vault-Namespace", child["namespace_path"])] if child["namespace_path"] else []
    found = s.request("POST", TOKEN + "lookup", {"token": token}, headers=space)
    faults += faults_of_keys(found.data, data_of(child, token), "what lookup says")
    s.tap.ok(not faults, name, *faults, response, found)


def creating(s, tokens):
    for caller, body, child, warnings in CREATED:
        check_created(s, tokens, f"{caller} creates {body}", s.request("POST", TOKEN + "create", body, token=tokens[caller]),
                      DEFAULTS | child, warnings)
    for caller, body, child, warnings in CREATED_ORPHANS:
        check_created(s, tokens, f"{caller} creates an orphan {body}",
                      s.request("PUT", TOKEN + "create-orphan", body, token=tokens[caller]), DEFAULTS | ORPHANED | child, warnings)
    before = s.cluster.sql("SELECT count(*) FROM runtime_catalog.token")
    for caller, path, body, error in NOT_CREATED:
        text = str(body) if len(str(body)) < 80 else str(body)[:60] + "…"
        s.answer(f"{caller}, {path} {text}: refused", s.request("POST", TOKEN + path, body, token=tokens[caller]), 400, errors=[error])
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.token"), before, "none of them is stored")


def in_namespaces(s, tokens):
    below = [("X-Vault-Namespace", "team-a")]
    check_created(s, tokens, "root creates one below", s.request("POST", TOKEN + "create", P, headers=below),
                  DEFAULTS | {"namespace_path": "team-a/"}, [MISSING % "p"])
    check_created(s, tokens, "without policies it gets default alone", s.request("POST", TOKEN + "create", {}, headers=below),
                  DEFAULTS | {"namespace_path": "team-a/", "policies": ["default"]}, [])
    for caller, body, error in (
            ("root", {"policies": ["Root"]}, "root tokens may not be created from a parent namespace"),
            ("below", P, "root or sudo privileges required to directly generate a token in a child namespace"),
            ("below", {}, "root or sudo privileges required to directly generate a token in a child namespace")):
        s.answer(f"{caller} creates {body} below: refused",
                 s.request("POST", TOKEN + "create", body, token=tokens[caller], headers=below), 400, errors=[error])
    check_created(s, tokens, "a namespace's own root token creates another there",
                  s.request("POST", TOKEN + "create", {}, token=tokens["elsewhere"], headers=below),
                  DEFAULTS | ROOT | {"namespace_path": "team-a/"}, [])
    s.answer("a token of the namespace above is out of its reach",
             s.request("POST", TOKEN + "lookup", {"token": tokens["target"]}, token=tokens["elsewhere"], headers=below),
             403, errors=["bad token"])
    s.answer("the one above reaches it by naming the namespace",
             s.request("POST", TOKEN + "lookup", {"token": tokens["elsewhere"]}, headers=below), 200)
    s.answer("and itself there", s.request("GET", TOKEN + "lookup-self", headers=below), 200)


def check_answer(s, tokens, case):
    caller, method, endpoint, body, status, expected = case
    response = s.request(method, TOKEN + tokens.fill(endpoint), tokens.fill(body), token=tokens[caller])
    name = f"{caller}: {method} {endpoint} {body or ''}"
    if status >= 400:
        return s.answer(name, response, status, errors=[expected])
    faults = list(s.faults_of(response, status))
    if expected is SELF:
        meant = (body or {}).get("accessor") or endpoint.endswith("-self") or (body or {}).get("token") or "self"
        by_accessor = "accessor" in (body or {})
        whose = caller if endpoint.endswith("-self") or meant == "self" else meant.strip("<{}>")
        shown = "" if by_accessor else tokens[whose]
        got = response.data["id"] if "lookup" in endpoint else response.key("auth")["client_token"]
        accessor = (response.data or response.key("auth"))["accessor"]
        if (got, accessor) != (shown, tokens.accessor(whose)):
            faults.append(f"it is about {accessor}, {got!r}, not {tokens.accessor(whose)}, {shown!r}")
    elif response.key("warnings") != expected:
        faults.append(f"the warnings are not {expected!r}")
    return s.tap.ok(not faults, name, *faults, response)


def methods(s):
    for endpoint, allowed in ENDPOINTS.items():
        # A write to a path that ends in a slash is refused before anybody asks whose it is.
        answers = [s.request(method, TOKEN + endpoint) for method in METHODS
                   if method not in allowed and not (method in ("POST", "PUT") and endpoint.endswith("/"))]
        s.tap.ok(all(answer.status == 405 and answer.errors == ["unsupported operation"] for answer in answers),
                 f"{endpoint}: {', '.join(sorted(allowed))} and no other method", *answers)
        method = sorted(allowed)[-1]
        s.answer(f"{endpoint}: not without a token", s.request(method, TOKEN + endpoint, token=None), 403, errors=[NO_TOKEN])
        s.answer(f"{endpoint}: not with an unknown one", s.request(method, TOKEN + endpoint, token=UNKNOWN), 403, errors=[BAD_TOKEN])


def renewing(s, tokens):
    for body, age, increment, expected, warning in RENEWED:
        token = tokens.create("renewed", P | body)
        tokens.age("renewed", age)
        response = s.request("POST", TOKEN + "renew", {"token": token, **({"increment": increment} if increment else {})})
        name = f"{body}, {age} s old, renewed for {increment}"
        if isinstance(expected, str):
            s.answer(name, response, 400, errors=[expected])
            continue
        data = s.request("POST", TOKEN + "lookup", {"token": token}).data
        warnings = response.key("warnings") or []
        faults = [*s.faults_of(response, 200),
                  *faults_of_keys(response.key("auth"), auth_of(DEFAULTS) | {"client_token": token, "lease_duration": about(expected)}, "auth")]
        if not (about(expected)(data["ttl"]) and isinstance(data.get("last_renewal_time"), int)
                and re.fullmatch(TIME, data.get("last_renewal", ""))):
            faults.append(f"lookup says {data}")
        if len(warnings) != bool(warning) or warning and not re.match(warning, warnings[0]):
            faults.append(f"the warnings are not like {warning!r}")
        s.tap.ok(not faults, name, *faults, response)
    s.request("POST", TOKEN + "renew", {"token": tokens["reference"]})
    s.tap.equal(s.cluster.sql("SELECT operation, new->>'renewed_at' IS NOT NULL, accessor, request_id IS NOT NULL"
                              f" FROM runtime_catalog.change WHERE key->>'accessor' = '{tokens.accessor('reference')}' ORDER BY id DESC LIMIT 1"),
                f"update|t|{tokens.accessor('root')}|t", "history says who renewed, and in which request")


def family(tokens):
    """Three generations, each issued by the one before."""
    grandparent = tokens.create("grandparent", {"ttl": "1h"})
    parent = tokens.create("parent", {"ttl": "1h"}, caller="grandparent")
    child = tokens.create("child", {"ttl": "2h"}, caller="parent")
    return grandparent, parent, child


def ending(s, tokens, second):
    for endpoint, body, expected in REVOKED:
        family(tokens)
        response = s.request("POST", TOKEN + endpoint, tokens.fill(body),
                             token=tokens["parent"] if endpoint == "revoke-self" else s.root_token)
        left = [tokens.works(name, connection()) for connection in (second, lambda: None) for name in ("grandparent", "parent", "child")]
        s.tap.ok(response.status == 204 and left == expected * 2, f"{endpoint}: who is left, on the second worker, then on the first",
                 response, left)
    s.tap.ok(s.request("POST", TOKEN + "lookup", {"token": tokens["child"]}).data["orphan"], "a child that was left is an orphan")
    for how in ENDINGS:
        for connection, where in ((second, "the second worker"), (lambda: None, "the first")):
            family(tokens)
            before = [tokens.works(name, connection()) for name in ("parent", "child")]
            tokens.end("grandparent", how)
            after = [tokens.works(name, connection()) for name in ("parent", "child")]
            s.tap.equal((before, after), ([True, True], [False, False]), f"a grandparent {how}: child and grandchild, on {where}, at once")
    # Each worker has answered for the token before the other revokes it.
    for here, there, where in ((lambda: None, second, "first"), (second, lambda: None, "second")):
        token = tokens.create("moment", {"policies": ["admin"]})
        tokens.works("moment", there())
        gone = s.request("POST", TOKEN + "revoke-self", token=token, connection=here())
        s.answer(f"revoked on the {where} worker, refused on the other", s.request("GET", TOKEN + "lookup-self", token=token, connection=there()),
                 403, errors=[BAD_TOKEN])
        s.tap.equal(gone.status, 204, "and that was a 204")


def last_use(s, tokens):
    tokens.create("short", {"policies": ["default"], "num_uses": 3})
    changes = s.cluster.sql("SELECT count(*) FROM runtime_catalog.change")
    answers = [s.request("GET", TOKEN + "lookup-self", token=tokens["short"]) for _ in range(4)]
    s.tap.equal([answer.status == 200 and answer.data["num_uses"] for answer in answers], [2, 1, -1, False],
                "what lookup-self says of a token with 3 uses")
    s.answer("a fourth there is not", answers[3], 403, errors=[BAD_TOKEN])
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.change"), changes, "none of it is history")
    for number, (method, path, status) in enumerate([("GET", TOKEN + "lookup-self", 200), ("LIST", CATALOG, 403),
                                                     ("GET", TOKEN + "lookup-self?help=1", 200), ("GET", "/v1/nowhere", 403)]):
        tokens.create("spent", {"policies": ["default"], "num_uses": 1})
        s.answer(f"use {number}, {method} {path}", s.request(method, path, token=tokens["spent"]), status)
        if number == 3:
            s.tap.ok(not tokens.works("spent"), "each of these takes one")
    tokens.create("spent", {"policies": ["default"], "num_uses": 1})
    s.request("POST", TOKEN + "lookup", '{"token":', token=tokens["spent"])
    s.request("GET", "/v1/sys/health", token=tokens["spent"])
    s.tap.ok(tokens.works("spent"), "a malformed body takes none, nor does a path that is open to all")
    tokens.create("spent", {"policies": ["root"], "ttl": "1h", "num_uses": 1})
    s.answer("the last use may write", s.request("PUT", CONTAINER + "last", {}, token=tokens["spent"]), 204)
    s.answer("and is the last", s.request("PUT", CONTAINER + "last", {}, token=tokens["spent"]), 403, errors=[BAD_TOKEN])


def many_at_once(s, tokens, second):
    """On both workers."""
    token = tokens.create("shared", {"policies": ["root"], "ttl": "1h", "num_uses": USES})
    changes = s.cluster.sql("SELECT count(*) FROM runtime_catalog.change")

    def use(number):
        with contextlib.closing(second() if number % 2 else s.client.connect()) as connection:
            return collections.Counter(s.request("LIST", CATALOG, token=token, connection=connection).status for _ in range(6))

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        statuses = sum(pool.map(use, range(CLIENTS)), collections.Counter())
    s.tap.equal(statuses, {200: USES, 403: 6 * CLIENTS - USES}, f"{CLIENTS} clients on two workers use a token of {USES} uses")
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.change"), changes, "which is no history either")


def bound(s, tokens):
    tokens.add("bound", s.token("root", **{"bound-cidr": "127.0.0.0/8", "ttl": "1h"}))
    tokens.add("bound elsewhere", s.token("root", **{"bound-cidr": "192.0.2.7"}))
    s.answer("a token from a network that it is bound to", s.request("LIST", CATALOG, token=tokens["bound"]), 200)
    s.answer("from another", s.request("LIST", CATALOG, token=tokens["bound elsewhere"]), 403, errors=[NO_TOKEN])
    found = s.request("POST", TOKEN + "lookup", {"token": tokens["bound elsewhere"]})
    s.tap.equal(found.data.get("bound_cidrs"), ["192.0.2.7"], "lookup names an address without a mask")
    check_created(s, tokens, "its child is bound, too", s.request("POST", TOKEN + "create", P, token=tokens["bound"]),
                  DEFAULTS | {"bound_cidrs": ["127.0.0.0/8"]}, [])
    check_created(s, tokens, "its orphan is not", s.request("POST", TOKEN + "create-orphan", P, token=tokens["bound"]),
                  DEFAULTS | ORPHANED, [])


def hold(s, table, write, meanwhile):
    """What a write answers that was held up by a lock on a table while SQL ran in the transaction
    that had it."""
    locker = s.cluster.session()
    locker.stdin.write(f"BEGIN; LOCK TABLE runtime_catalog.{table} IN EXCLUSIVE MODE; SELECT 'locked';\n")
    locker.stdin.flush()
    if locker.stdout.readline().strip() != "locked":
        raise RuntimeError(f"cannot lock {table}")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(write)
        try:
            wait_for(lambda: s.lock_waits() == 1 or answer.done(), 10, "the write waits")
        finally:
            locker.communicate(f"{meanwhile};\nCOMMIT;\n")
        return answer.result()


def writing(s, tokens):
    for table, method, path, body in WRITES:
        token = tokens.create("writer", {"policies": ["root"], "ttl": "1h"})
        before = s.cluster.sql(STORED).split("|")
        response = hold(s, table, lambda: s.request(method, path, body, token=token), ENDINGS["deleted"].format(tokens.accessor("writer")))
        before[2] = str(int(before[2]) - 1)
        s.answer(f"{method} {path} by a token that is revoked before it writes", response, 403, errors=[BAD_TOKEN])
        s.tap.equal(s.cluster.sql(STORED).split("|"), before, "and nothing is stored")
    tokens.create("spent", {"policies": ["root"], "ttl": "1h", "num_uses": 1})
    s.answer("a token is not tidied away before the write of its last use",
             hold(s, "runtime", lambda: s.request("PUT", CONTAINER + "late", {}, token=tokens["spent"]),
                  "SELECT runtime_catalog.tidy_tokens(1000)"), 204)
    # Gone between the look at the parent and the child's own row.
    tokens.create("parent", {"policies": ["root"], "ttl": "1h"})
    locker = s.cluster.session()
    locker.stdin.write("BEGIN; " + ENDINGS["deleted"].format(tokens.accessor("parent")) + "; SELECT 'deleted';\n")
    locker.stdin.flush()
    locker.stdout.readline()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(s.request, "POST", TOKEN + "create", P, token=tokens["parent"])
        wait_for(lambda: s.lock_waits() == 1 or answer.done(), 10, "the child waits for its parent")
        locker.communicate("COMMIT;\n")
        s.answer("a child whose parent is being revoked", answer.result(), 403, errors=[BAD_TOKEN])


def listing(s, tokens):
    stored = s.cluster.sql("SELECT accessor FROM runtime_catalog.token WHERE namespace_id = 1 AND uses_left IS DISTINCT FROM 0"
                           " AND runtime_catalog.token_is_live(accessor) ORDER BY accessor").split()
    for method, path in (("LIST", "accessors"), ("LIST", "accessors/"), ("GET", "accessors?list=true")):
        s.answer(f"{method} {path}", s.request(method, TOKEN + path), 200, data={"keys": stored})
    s.tap.ok(tokens.accessor("expired") not in stored and tokens.accessor("elsewhere") not in stored, "they are live, and of the namespace")
    s.answer("a namespace without any", s.request("LIST", TOKEN + "accessors", headers=[("X-Vault-Namespace", "empty")]), 404, errors=[])


def tidying(s, tokens):
    ended = "SELECT count(*) FROM runtime_catalog.token WHERE uses_left = 0 OR NOT runtime_catalog.token_is_live(accessor)"
    live = "SELECT count(*) FROM runtime_catalog.token WHERE uses_left IS DISTINCT FROM 0 AND runtime_catalog.token_is_live(accessor)"
    before = s.cluster.sql(live)
    s.cluster.sql("UPDATE runtime_catalog.token SET used_up_at = used_up_at - interval '5 minutes'")
    s.tap.ok(int(s.cluster.sql(ended)) > 3, "there are tokens that have ended", s.cluster.sql(ended))
    foreign = "runtime_catalog.token WHERE accessor = repeat('f', 24)"
    s.cluster.sql("INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, expires_at) SELECT sha256('f'),"
                  " repeat('f', 24), id, '{}', now() FROM runtime_catalog.namespace WHERE path = 'empty/'")
    s.answer("tidy", s.request("PUT", TOKEN + "tidy"), 202)
    s.tap.equal(s.cluster.sql(f"SELECT count(*) FROM {foreign}"), "1", "leaves those of other namespaces alone")
    s.cluster.sql(f"DELETE FROM {foreign}")
    s.tap.equal(s.cluster.sql(ended), "0", "deletes the others")
    s.tap.equal(s.cluster.sql(live), before, "and no other")

    s.stop_worker()
    s.configure_worker(storage='tidy_interval = "50ms"', **UNCACHED)
    s.start_worker()
    s.cluster.sql("INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, expires_at)"
                  " SELECT sha256(i::text::bytea), lpad(i::text, 24, '0'), 1, '{}', clock_timestamp() FROM generate_series(1, 250) AS i")
    s.request("LIST", CATALOG)
    wait_for(lambda: s.cluster.sql(ended) == "0", 20, "what has ended is deleted in the background")
    s.tap.equal(s.cluster.sql(live), before, "in the background a worker deletes what has ended, more than a batch of it, and no other")
    # Quiet from here on: once its last round is over, whatever the time, it sends nothing.
    queries = ("SELECT coalesce(max(query_start)::text, ''), bool_and(state = 'idle') FROM pg_stat_activity"
               " WHERE usename = 'runtime_catalog_worker'")
    seen = []

    def settled():
        seen.append(s.cluster.sql(queries + " AND query_start < clock_timestamp() - interval '500 ms'"))
        return seen[-1] == s.cluster.sql(queries) and seen[-1].endswith("|t")

    wait_for(settled, 20, "an idle worker is idle for ten intervals")
    s.tap.ok(True, "an idle worker sends no query")
    tokens.create("brief", P)
    wait_for(settled, 20, "idle again")
    tokens.end("brief")
    row = f"SELECT count(*) FROM runtime_catalog.token WHERE accessor = '{tokens.accessor('brief')}'"
    until = s.cluster.sql("SELECT clock_timestamp() + interval '500 ms'")
    wait_for(lambda: s.cluster.sql(f"SELECT clock_timestamp() > '{until}'") == "t", 10, "ten intervals pass")
    s.tap.equal(s.cluster.sql(row), "1", "not even for a token that ends meanwhile")
    s.answer("which a request then finds ended", s.request("GET", TOKEN + "lookup-self", token=tokens["brief"]), 403, errors=[BAD_TOKEN])
    wait_for(lambda: s.cluster.sql(row) == "0", 20, "it is deleted")
    s.tap.ok(True, "and after which it is deleted")


def prepare(s):
    """The callers and targets of the tables."""
    tokens = Tokens(s)
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id) VALUES ('team-a/', 1), ('empty/', 1)")
    s.policy("p", 'path "x" { capabilities = ["read"] }')
    s.policy("q", 'path "y" { capabilities = ["read"] }')
    s.policy("maker", 'path "auth/token/create*" { capabilities = ["update"] }')
    s.policy("below", 'path "team-a/auth/token/create" { capabilities = ["update"] }')
    s.policy("admin", 'path "auth/token/*" { capabilities = ["read", "update", "list", "sudo"] }')
    s.policy("no-sudo", 'path "auth/token/*" { capabilities = ["read", "update", "list"] }')
    tokens.add("root", s.root_token)
    tokens.add("elsewhere", s.token("root", namespace="team-a"))
    for name, body in (("expiring root", {"ttl": "1h"}), ("plain", {"policies": ["maker", "p"]}),
                       ("without default", {"policies": ["maker", "p"], "no_default_policy": True}),
                       ("below", {"policies": ["below", "p"]}), ("sudo", {"policies": ["admin"], "no_default_policy": True}),
                       ("all but sudo", {"policies": ["no-sudo"]}), ("of 50 uses", {"policies": ["maker", "p"], "num_uses": 50}),
                       ("target", P), ("reference", P), ("endless", {}), ("fixed", P | {"renewable": False}),
                       ("expired", {"ttl": "1h"}), ("used up", P | {"num_uses": 1})):
        tokens.create(name, body)
    tokens.create("of expired", P, caller="expired")
    tokens.end("expired")
    s.request("LIST", CATALOG, token=tokens["used up"])
    return tokens


def start_second(s):
    """A worker with a socket of its own, and how to reach it."""
    text = (s.folder / "worker.conf").read_text().replace("worker.sock", "second.sock")
    (s.folder / "second.conf").write_text(text)
    child = start([s.folder / "bin/runtime-catalogd", "-c", s.folder / "second.conf"], s.folder / "worker-second.log")

    def connection():
        return UnixConnection(s.folder / "second-site.sock")

    wait_for_listener(child, s.folder / "second.sock", s.folder / "worker-second.log")
    return child, connection


# Nothing is deleted behind the tables' back; tidying() is about that.
with stack(plan=PLAN, edit_site=whole_api, worker={"storage": 'tidy_interval = "10m"', **UNCACHED}) as s:
    tokens = prepare(s)
    child, second = start_second(s)
    creating(s, tokens)
    in_namespaces(s, tokens)
    for case in ANSWERS:
        check_answer(s, tokens, case)
    s.answer("nothing of this ended the token of another namespace",
             s.request("GET", TOKEN + "lookup-self", token=tokens["elsewhere"], headers=[("X-Vault-Namespace", "team-a")]), 200)
    methods(s)
    renewing(s, tokens)
    ending(s, tokens, second)
    last_use(s, tokens)
    many_at_once(s, tokens, second)
    bound(s, tokens)
    writing(s, tokens)
    s.tap.equal(stop(child, signal.SIGTERM), 0, "the second worker stops in order")
    listing(s, tokens)
    tidying(s, tokens)
