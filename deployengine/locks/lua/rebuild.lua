-- Rebuild: empties the lock domain for one rebuilder, and opens it again under a generation.
-- Holders and waiters are loaded in between by admission.lua, guarded by the rebuilder's token.
--
-- KEYS (one hash tag, none with a TTL)
--   1 generation  string  present: ready, under this generation
--   2 rebuild     string  generation ":" token of the rebuilder at work; the newest one wins
--   3 pending     zset    marks that admission.lua has still to work off
--   4... all other keys of the lock domain
-- ARGV  1 "begin" or "finish", 2 generation, 3 the rebuilder's "generation:token"
-- Returns {"ok"}, {"stale", newer generation found}, {"superseded"} or {"pending", marks left}.

local GENERATION, REBUILD, PENDING = KEYS[1], KEYS[2], KEYS[3]
local operation, generation, token = ARGV[1], ARGV[2], ARGV[3]

local function begin()
  local ready = redis.call('GET', GENERATION) or '-1'
  local underway = string.match(redis.call('GET', REBUILD) or '-1:', '^(.-):')
  local newest = math.max(tonumber(ready), tonumber(underway))
  if newest > tonumber(generation) then return {'stale', tostring(newest)} end
  redis.call('UNLINK', unpack(KEYS))
  redis.call('SET', REBUILD, token)
  return {'ok'}
end

local function finish()
  if redis.call('GET', REBUILD) ~= token then return {'superseded'} end
  local left = redis.call('ZCARD', PENDING)
  if left > 0 then return {'pending', left} end
  redis.call('SET', GENERATION, generation)
  redis.call('DEL', REBUILD)
  return {'ok'}
end

if operation == 'begin' then return begin() end
return finish()
