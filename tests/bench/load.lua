-- What wrk sends: the same request over keys that are drawn at random, each thread with its own
-- dice. The environment says what: METHOD, BODY (empty: none), PATH_TO_ASK, in which %d becomes
-- a number from 1 to KEYS, and TOKEN, in which it becomes one from 1 to TOKENS.
-- At the end one line for ./dev bench to read: microseconds, and what went wrong.

local method, path, body = os.getenv("METHOD"), os.getenv("PATH_TO_ASK"), os.getenv("BODY")
local keys, token, tokens = tonumber(os.getenv("KEYS")), os.getenv("TOKEN"), tonumber(os.getenv("TOKENS"))
local FORMATTED = 10000 -- so many are made once and for all
local requests, threads = {}, 0

function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end

local function format(key)
    wrk.headers["X-Vault-Token"] = string.format(token, math.random(tokens))
    return wrk.format(method, string.format(path, key))
end

function init(arguments)
    math.randomseed(seed)
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
