-- Rebuild: empties the lock domain for one rebuilder, and opens it again under a generation.
-- Holders and waiters are loaded in between by admission.lua, guarded by the rebuilder's token.
--
-- KEYS (one hash tag, none with a TTL)
--   1 generation  string  generation "@" run id of the server that was loaded; there: it is ready
--   2 rebuild     string  generation ":" token "@" run id, of the rebuilder at work; newest wins
--   3 pending     zset    marks that admission.lua has still to work off
--   4... all other keys of the lock domain
-- ARGV  1 "begin" or "finish", 2 generation, 3 the rebuilder's "generation:token"
-- Returns {"ok"}, {"stale", newer generation found}, {"superseded"} or {"pending", marks left}.

local GENERATION, REBUILD, PENDING = KEYS[1], KEYS[2], KEYS[3]
local operation, generation, token = ARGV[1], ARGV[2], ARGV[3]

local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local function here(text) return text .. '@' .. server end

local function begin()
  local ready = string.match(redis.call('GET', GENERATION) or '-1', '^-?%d+')
  local underway = string.match(redis.call('GET', REBUILD) or '-1:', '^(.-):')
  local newest = math.max(tonumber(ready), tonumber(underway))
  if newest > tonumber(generation) then return {'stale', tostring(newest)} end
  redis.call('UNLINK', unpack(KEYS))
  redis.call('SET', REBUILD, here(token))
  return {'ok'}
end

local function finish()
  if redis.call('GET', REBUILD) ~= here(token) then return {'superseded'} end
  local left = redis.call('ZCARD', PENDING)
  if left > 0 then return {'pending', left} end
  redis.call('SET', GENERATION, here(generation))
  redis.call('DEL', REBUILD)
  return {'ok'}
end

if operation == 'begin' then return begin() end
return finish()
