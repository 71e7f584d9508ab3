-- Admission: requests arrive, leave and are granted, in one atomic step.
-- The rule is the one of deployengine/domain/admission.py, which a test drives side by side.
--
-- KEYS (one hash tag, none with a TTL). Sorted sets have score 0 throughout: their order is that of
-- the members' bytes. "." stands for a NUL; ticket and limit have 16 digits; mode is "x" or "s".
--   1 guard              string  must equal ARGV[1] "@" this server's run id, or nothing is changed:
--                                the generation; for a rebuilder its token (the lines are not ready
--                                meanwhile). The run id tells a server that was restored or promoted
--   2 requests           hash    id -> submitted . granted . ticket . label {. mode . limit . resource}
--                                times in microseconds, granted 0: it waits; limit 0: none
--   3 holders            zset    resource . mode . id
--   4 waiters            zset    resource . ticket . mode . id
--   5 exclusive_waiters  zset    the same, those of mode "x" only
--   6 full               zset    resource . limit . ticket . id: candidates for the next free place.
--                                Holds every waiter whose only obstacle is that limit, and
--                                perhaps some that have others by now: looked at before use
--   7 pending            zset    marks: ticket . id [. "line" . resource | . "full" . resource . limit]
--                                waiters still to be looked at, the smallest ticket first; a mark
--                                with a trail goes on to the next one of that line or full house
-- ARGV  1 expected guard, 2 operation, 3 marks to work off at most, 4... operands:
--   submit    id, "ticket . label {. mode . limit . resource}", id, ...
--   hold      the same, without asking
--   release   id, id, ...                                         advance   none
--   exchange  how many leave, their ids, then who comes as in submit: nobody is let in between
-- Returns {"not ready", guard found or ""} or {"ok", marks left, requests looked at,
--   {id, ticket, granted, label, ...}}.

local GUARD, REQUESTS, HOLDERS, WAITERS, EXCLUSIVE_WAITERS, FULL, PENDING = unpack(KEYS)
local NUL, AFTER = '\0', '\1' -- prefix .. NUL up to prefix .. AFTER spans all that begins with it
local EXCLUSIVE, WAITS = 'x', '0'

local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local guard = redis.call('GET', GUARD)
if guard ~= ARGV[1] .. '@' .. server then return {'not ready', guard or ''} end

local operation, marks_allowed = ARGV[2], tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] .. string.format('%06d', clock[2])
local looked_at, grants = 0, {}

local function join(...) return table.concat({...}, NUL) end

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '[^%z]+') do parts[#parts + 1] = part end
  return parts
end

-- The first member from `from` on and before `to`, or nil.
local function first(key, from, to)
  return redis.call('ZRANGE', key, '[' .. from, '(' .. to, 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- Requests -----------------------------------------------------------------------------------

local function parse(id, submitted, granted, body)
  local parts = split(body)
  local request = {id = id, submitted = submitted, granted = granted, body = body,
                   ticket = parts[1], label = parts[2], claims = {}}
  for i = 3, #parts, 3 do
    request.claims[#request.claims + 1] =
      {mode = parts[i], limit = parts[i + 1], resource = parts[i + 2]}
  end
  return request
end

local function load(id)
  local packed = redis.call('HGET', REQUESTS, id)
  if packed then return parse(id, string.match(packed, '^(%d+)%z(%d+)%z(.*)$')) end
end

local function save(request)
  redis.call('HSET', REQUESTS, request.id,
    join(request.submitted, request.granted, request.body))
end

local function report(request)
  grants[#grants + 1] = request.id
  grants[#grants + 1] = request.ticket
  grants[#grants + 1] = request.granted
  grants[#grants + 1] = request.label
end

local function holder_entry(request, claim) return join(claim.resource, claim.mode, request.id) end

local function waiter_entry(request, claim)
  return join(claim.resource, request.ticket, claim.mode, request.id)
end

local function full_entry(request, claim)
  return join(claim.resource, claim.limit, request.ticket, request.id)
end

local function enter_lines(request)
  for _, claim in ipairs(request.claims) do
    local entry = waiter_entry(request, claim)
    redis.call('ZADD', WAITERS, 0, entry)
    if claim.mode == EXCLUSIVE then redis.call('ZADD', EXCLUSIVE_WAITERS, 0, entry) end
  end
end

local function leave_full(request)
  for _, claim in ipairs(request.claims) do
    if tonumber(claim.limit) > 0 then redis.call('ZREM', FULL, full_entry(request, claim)) end
  end
end

local function leave_lines(request)
  for _, claim in ipairs(request.claims) do
    local entry = waiter_entry(request, claim)
    redis.call('ZREM', WAITERS, entry)
    if claim.mode == EXCLUSIVE then redis.call('ZREM', EXCLUSIVE_WAITERS, entry) end
  end
  leave_full(request)
end

local function add_holder(request)
  request.granted = now
  save(request)
  for _, claim in ipairs(request.claims) do
    redis.call('ZADD', HOLDERS, 0, holder_entry(request, claim))
  end
end

-- The rule -----------------------------------------------------------------------------------

local function any_holder(resource)
  return first(HOLDERS, resource .. NUL, resource .. AFTER)
end

local function exclusive_holder(resource)
  return first(HOLDERS, join(resource, EXCLUSIVE, ''), join(resource, EXCLUSIVE) .. AFTER)
end

local function earlier(key, resource, ticket)
  return first(key, resource .. NUL, join(resource, ticket))
end

-- Anything in the way of a claim but its limit.
local function obstacle(claim, ticket)
  if claim.mode == EXCLUSIVE then
    return any_holder(claim.resource) or earlier(WAITERS, claim.resource, ticket)
  end
  return exclusive_holder(claim.resource) or earlier(EXCLUSIVE_WAITERS, claim.resource, ticket)
end

local function holder_count(resource)
  return redis.call('ZLEXCOUNT', HOLDERS, '[' .. resource .. NUL, '(' .. resource .. AFTER)
end

local function limit_reached(claim)
  local limit = tonumber(claim.limit)
  return limit > 0 and holder_count(claim.resource) >= limit
end

-- Grants a waiter if every claim of it is free, else leaves it in its lines.
local function look_at(request)
  looked_at = looked_at + 1
  local crowded
  for _, claim in ipairs(request.claims) do
    if obstacle(claim, request.ticket) then return leave_full(request) end
    if limit_reached(claim) then crowded = claim end
  end
  if crowded then
    redis.call('ZADD', FULL, 0, full_entry(request, crowded))
    return
  end
  leave_lines(request)
  add_holder(request)
  report(request)
end

-- Whom to look at ----------------------------------------------------------------------------

local function mark(...) redis.call('ZADD', PENDING, 0, join(...)) end

-- Marks the next of a line: shared ones go on from there, an exclusive one ends the walk.
local function mark_line(resource, from)
  local entry = first(WAITERS, resource .. NUL .. from, resource .. AFTER)
  if not entry then return end
  local _, ticket, mode, id = unpack(split(entry))
  if mode == EXCLUSIVE then mark(ticket, id) else mark(ticket, id, 'line', resource) end
end

local function mark_full(resource, limit, from)
  local house = join(resource, limit)
  local entry = first(FULL, house .. NUL .. from, house .. AFTER)
  if not entry then return end
  local _, _, ticket, id = unpack(split(entry))
  mark(ticket, id, 'full', resource, limit)
end

-- An exclusive one kept back all behind it (as a holder: the whole line), unless another still does.
local function wake_behind_exclusive(resource, from)
  if exclusive_holder(resource) or earlier(EXCLUSIVE_WAITERS, resource, from) then return end
  mark_line(resource, from)
end

-- A shared one kept back an exclusive one at the head of the line and, as a holder, a place. That
-- is room for those only whose limit was the count before: higher limits had room already.
local function wake_after_shared(resource, held)
  local head = first(WAITERS, resource .. NUL, resource .. AFTER)
  if head and split(head)[3] == EXCLUSIVE and not any_holder(resource) then
    mark_line(resource, '')
  end
  if held then mark_full(resource, string.format('%016d', holder_count(resource) + 1), '') end
end

local function leave(request)
  local held = request.granted ~= WAITS
  redis.call('HDEL', REQUESTS, request.id)
  if not held then leave_lines(request) end
  for _, claim in ipairs(request.claims) do
    if held then redis.call('ZREM', HOLDERS, holder_entry(request, claim)) end
    if claim.mode == EXCLUSIVE then
      wake_behind_exclusive(claim.resource, held and '' or request.ticket)
    else
      wake_after_shared(claim.resource, held)
    end
  end
end

local function work_off(ticket, id, trail, resource, limit)
  local no_room = trail == 'full' and (holder_count(resource) >= tonumber(limit)
    or exclusive_holder(resource) or earlier(EXCLUSIVE_WAITERS, resource, ticket))
  if no_room then return end -- for all later ones of this full house as well
  local request = load(id)
  if request and request.granted == WAITS then look_at(request) end
  if trail == 'line' then mark_line(resource, ticket .. AFTER) end
  if trail == 'full' then mark_full(resource, limit, ticket .. AFTER) end
end

-- Operations ---------------------------------------------------------------------------------

local operations = {}
local since = {} -- of those who leave: who comes again at once has waited all the time

function operations.submit(id, body)
  local known = load(id)
  if known and known.granted ~= WAITS then report(known) end
  if known then return end
  local request = parse(id, since[id] or now, WAITS, body)
  save(request)
  enter_lines(request)
  mark(request.ticket, id)
end

function operations.hold(id, body)
  if not load(id) then add_holder(parse(id, now, now, body)) end
end

function operations.release(id)
  local request = load(id)
  if not request then return end
  since[id] = request.submitted
  leave(request)
end

if operation == 'exchange' then
  local last = 4 + tonumber(ARGV[4])
  for i = 5, last do operations.release(ARGV[i]) end
  for i = last + 1, #ARGV, 2 do operations.submit(ARGV[i], ARGV[i + 1]) end
else
  local width = (operation == 'release') and 1 or 2
  for i = 4, #ARGV, width do operations[operation](ARGV[i], ARGV[i + 1]) end
end

for _ = 1, marks_allowed do
  local popped = redis.call('ZPOPMIN', PENDING)
  if not popped[1] then break end
  work_off(unpack(split(popped[1])))
end
return {'ok', redis.call('ZCARD', PENDING), looked_at, grants}
