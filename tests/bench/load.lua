-- wrk script: what to send is told by the environment. BENCH_KIND read|insert|batch|health, BENCH_PATHS file with one path a line
-- (taken in turn), BENCH_TOKEN bearer, BENCH_TABLE what is read, BENCH_SHAPE holdfast|sqld. Counts answers other than 200.
local kind, shape = os.getenv("BENCH_KIND"), os.getenv("BENCH_SHAPE")
local paths = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN") }
local at = 0
local proposed, tokens = 0, {}
math.randomseed(7)

local note = '"an order of some length, as people have them"'
local statement = '{"sql":"INSERT INTO orders(note) VALUES(?)","params":[' .. note .. ']}'
local batch = '{"transaction":true,"statements":[' .. string.rep(statement .. ",", 99) .. statement .. ']}'

local function body()
  if kind == "batch" then return batch end
  local sql, params
  if kind == "read" then
    sql, params = "SELECT id, email FROM " .. os.getenv("BENCH_TABLE") .. " WHERE id = ?", tostring(math.random(1, 10000))
  else
    sql, params = "INSERT INTO orders(note) VALUES(?)", note
  end
  if shape == "sqld" then
    local typed = kind == "read" and '{"type":"integer","value":"' .. params .. '"}' or '{"type":"text","value":' .. params .. '}'
    return '{"requests":[{"type":"execute","stmt":{"sql":"' .. sql .. '","args":[' .. typed .. ']}},{"type":"close"}]}'
  end
  return '{"sql":"' .. sql .. '","params":[' .. params .. ']}'
end

-- The first path proposes a change of the next row, the second applies what was proposed.
local function pair()
  local token = table.remove(tokens)
  if token then return wrk.format("POST", paths[2], headers, '{"executionToken":"' .. token .. '"}') end
  proposed = proposed % 100000 + 1
  return wrk.format("POST", paths[1], headers, '{"sql":"UPDATE narrow SET n = n + 1 WHERE id = ?","params":[' .. proposed .. ']}')
end

function request()
  if kind == "pairs" then return pair() end
  at = at % #paths + 1
  if kind == "health" then return wrk.format("GET", paths[at]) end
  return wrk.format("POST", paths[at], headers, body())
end

function response(status, _, body)
  if kind == "pairs" then
    local token = body:match('"executionToken":"([^"]+)"')
    if token then tokens[#tokens + 1] = token end
  end
  if status ~= 200 then wrk.thread:stop() end
end

function done(summary, latency)
  io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
