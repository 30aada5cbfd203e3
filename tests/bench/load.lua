-- What wrk sends: the same request over keys that are drawn at random, each thread with its own
-- dice. The environment says what: METHOD, TOKEN, BODY (empty: none), and PATH, in which %d
-- becomes a number from 1 to KEYS.
-- At the end one line for ./dev bench to read: microseconds, and what went wrong.

local method, path, body = os.getenv("METHOD"), os.getenv("PATH_TO_ASK"), os.getenv("BODY")
local keys = tonumber(os.getenv("KEYS"))
local FORMATTED = 10000 -- so many are made once and for all
local requests, threads = {}, 0

function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end

local function format(key)
    return wrk.format(method, string.format(path, key))
end

function init(arguments)
    math.randomseed(seed)
    wrk.headers["X-Vault-Token"] = os.getenv("TOKEN")
    if body ~= "" then
        wrk.body = body
        wrk.headers["Content-Type"] = "application/json"
    end
    if keys <= FORMATTED then
        for key = 1, keys do
            requests[key] = format(key)
        end
    end
end

function request()
    local key = math.random(keys)
    return requests[key] or format(key)
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format("\nBENCH %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
        errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
