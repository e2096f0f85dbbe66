-- The ledger of one account's budget: a process reports what it holds and wants, and gets what it
-- may hold now. Everything is decided here, atomically, by this server's clock.
--
-- KEYS[1] is the ledger, and the channel on which messages to the processes are published.
-- ARGV[1] is the message of the process, as JSON; the answer is JSON. Times are microseconds.
--
-- A permit is either in the pool, with the moment from which it may be used, or held by a process,
-- never both: pool + held = permits, or less while it is not known which process holds what.

local said = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local stored = redis.call('GET', KEYS[1])
local before = stored and cmsgpack.unpack(stored)
local s = before
local told = {}

if before and before.version ~= said.version then
  if now < (before.quiet or math.huge) then
    return cjson.encode({refused = 'version'})
  end
  -- No process of the older version is left.
  s, before = nil, nil
end
if s and s.run == run then
  -- If the clock was set back, `now` stands still for as long: things happen late, never early.
  s.behind = math.max(s.behind, s.now - now)
  now = now + s.behind
end

-- As in exotel_async/limiter/learned_limit.py. A limit or a moment of 0 means none.
local function nothing_learned()
  return {
    limit = 0, base = 0, held = 0, high = 0, high_at = 0, steps = 0, trying = false, fell = false,
    next_step = 0, full_since = 0, proven = false, refused_first = 0, refused_at = 0, seen = 0,
  }
end

-- A server that was restarted may have lost its last seconds even if it kept its data, as may a
-- replica that was promoted.
if not s or s.run ~= run then
  s = {
    version = said.version, run = run, epoch = string.format('%s:%.0f', run, now), opened = now,
    released = false, recovered = false, hold = 0, members = {}, pool = {}, behind = 0, quiet = 0,
    asked = {}, interactive = 0, debt = 0, short = 0, processes = 0,
    limit = before and before.limit, per = before and before.per,
    strict = before and before.strict or false,
    factor = before and before.factor or 1, slowed = before and before.slowed or now,
    learned = before and before.learned or nothing_learned(),
    gate = {
      epoch = before and before.gate.epoch + 1 or 0,
      half = true, sent = false, till = 0, paused = 0, began = 0, row = 0, by = 0, prober = '',
      cleared = before and before.gate.cleared,
    },
  }
end
local known = next(s.members) ~= nil
local per = said.per
local gate, pool, learned = s.gate, s.pool, s.learned
local limit, permits, interval

local function keep_to_learned()
  if learned.limit >= said.limit then learned.limit = 0 end
  limit = learned.limit > 0 and learned.limit or said.limit
  permits = math.max(1, limit - 1)
  interval = per / limit
end
keep_to_learned()

local function live(member)
  return member.till > now
end

local function sum(of, where)
  local total = 0
  for _, member in pairs(s.members) do
    if not where or where(member) then total = total + of(member) end
  end
  return total
end

local function held(member) return member.held end

-- The statistics of the account.

local function account()
  local processes, ready, idle, interactive, bulk = {}, 0, 0, 0, 0
  for _, moment in ipairs(pool) do
    if moment <= now then ready = ready + 1 end
  end
  for _, member in pairs(s.members) do
    if live(member) then
      idle = idle + math.max(0, member.held - member.used)
      interactive = interactive + member.interactive
      bulk = bulk + member.bulk
      processes[#processes + 1] = {
        name = member.name, granted = member.granted, held = member.held, used = member.used,
        interactive = member.interactive, bulk = member.bulk,
      }
    elseif now >= member.gone then
      ready = ready + member.held
    end
  end
  -- Permits that the next message would release count as free.
  if s.release and now >= s.release then
    ready = ready + math.max(0, permits - #pool - sum(held))
  end
  return {
    processes = processes, permits = permits, used = permits - ready - idle,
    interactive = interactive, bulk = bulk,
    paused = gate.half and math.max(0, gate.paused - now) or 0,
    opens = s.released and 0 or math.max(0, (s.release or now) - now), learned = learned.limit,
  }
end

if said.clear then
  -- The next request is the probe, as at the end of any pause, and begins a new epoch: refusals of
  -- requests sent before belong to the pause that is over.
  local left = gate.half and math.max(0, gate.paused - now) or 0
  if left > 0 then
    gate.till, gate.paused, gate.row, gate.sent, gate.prober = 0, 0, 0, false, ''
    gate.epoch = gate.epoch + 1
    gate.cleared = gate.epoch
    s.now = now
    redis.call('SET', KEYS[1], cmsgpack.pack(s), 'KEEPTTL')
    local hurry = sum(function(member) return live(member) and member.interactive or 0 end) > 0
    redis.call('PUBLISH', KEYS[1], cjson.encode({
      epoch = s.epoch, hurry = hurry, gate = {epoch = gate.epoch, left = 0, row = 0},
    }))
  end
  return cjson.encode({cleared = left})
end
if said.look then
  return cjson.encode({account = account()})
end

if known and (s.limit ~= said.limit or s.per ~= per) then
  for id, member in pairs(s.members) do
    if id ~= said.id and live(member) then
      return cjson.encode({refused = 'rate', limit = s.limit, per = s.per})
    end
  end
end
if s.limit ~= said.limit or s.per ~= per then
  learned = nothing_learned()
  s.learned = learned
  keep_to_learned()
end
s.limit, s.per = said.limit, per

-- A message that was sent again because its answer was lost changes nothing the second time.

local me = s.members[said.id]
if me and said.seq <= me.seq then
  return said.seq == me.seq and (me.answer or '{}') or cjson.encode({refused = 'stale'})
end

-- The permits of a process that has gone silent come back when the last request it can have sent
-- has left the service's window.

for id, member in pairs(s.members) do
  if now >= member.gone then
    for _ = 1, member.held do pool[#pool + 1] = now end
    s.members[id] = nil
  end
end
me = s.members[said.id]
if me and me.left then me = nil end

local function save()
  s.now, s.quiet = now, math.max(s.quiet, now + said.lease + said.hold)
  redis.call('SET', KEYS[1], cmsgpack.pack(s), 'PX', math.max(86400000, math.ceil(per / 100)))
end

if not me and said.epoch ~= '' and said.epoch ~= s.epoch then
  -- It knows an epoch whose data this ledger has lost. Its message may be old: it must send a new
  -- one, and until that comes it is assumed to hold permits if it says so here.
  if said.valid and said.held > 0 or said.used + #said.back > 0 then s.asked[said.id] = true end
  s.hold = math.max(s.hold, said.lease + said.hold)
  save()
  return cjson.encode({seq = said.seq, epoch = s.epoch, claim = true})
end

if me then
  for _, left in ipairs(said.back) do pool[#pool + 1] = now + left end
  me.held = math.max(0, me.held - #said.back)
  -- It knows better what it holds; permits it does not know of may have been used.
  for _ = said.held + 1, me.held do pool[#pool + 1] = now + said.lease + said.hold end
  me.held = math.min(me.held, said.held)
else
  me = {held = 0, pace = 0, burst = 0, granted = said.granted, base = said.granted, based = now}
  s.members[said.id] = me
  if said.claims then
    -- If it has held permits, other processes that do not report may have, too.
    if said.valid and said.held > 0 or said.used + said.gave > 0 then s.recovered = true end
    s.asked[said.id] = nil
    if said.valid and not s.released then me.held = said.held end
    if said.shut > 0 then
      gate.half, gate.row = true, math.max(gate.row, said.row)
      gate.till = math.max(gate.till, now + said.shut)
      gate.paused, gate.began = gate.till, now
    elseif gate.paused <= now and not gate.sent then
      gate.half = false
    end
  end
end
me.seq, me.name, me.used, me.largest = said.seq, said.name, said.used, said.burst
me.interactive, me.bulk, me.granted = said.interactive, said.bulk, said.granted
me.taken, me.told = said.taken, now
me.till = said.leave and now or now + said.lease
me.gone = me.till + said.hold
me.asked, me.called = me.asked or 0, me.called or 0
if now - me.based >= 4 * per then me.base, me.based = me.granted, now end
if said.interactive > 0 then s.interactive = now end

-- The pause, and the probe after it.

local function shut_for() return math.max(0, gate.till - now) end

-- How many responses in the last `per` asked for no pause, and the limit learned from that.

local function taken()
  local count = 0
  for _, member in pairs(s.members) do
    if (member.told or member.till) > now - per then count = count + member.taken end
  end
  return count
end

local function confirms(count, early)
  if now - learned.refused_at > 3 * per or count > 1.25 * learned.seen then
    learned.refused_first, learned.seen = now, count
  end
  learned.refused_at, learned.seen = now, math.min(learned.seen, count)
  return not early and now - learned.refused_first >= (learned.proven and 3 or 0.5) * per
end

local function refused(count, early, again)
  learned.full_since = 0
  count = math.max(1, count)
  if count >= learned.high or now - learned.high_at > per then
    learned.high, learned.high_at = count, now
  end
  if again then
    local close = learned.limit * 0.75 <= count and count < learned.limit
    if learned.fell or not close then return end
    learned.limit = count
  elseif learned.limit == 0 then
    if count >= 0.95 * said.limit or not confirms(count, early) then return end
    learned.proven, learned.limit = false, math.max(count, math.floor(0.75 * learned.high))
  elseif learned.trying then
    learned.trying, learned.fell = false, true
    learned.limit = math.max(learned.base, math.min(count, learned.held))
  elseif learned.fell then
    learned.limit, learned.fell = learned.base, false
  else
    local less = learned.limit - math.max(1, math.floor(learned.limit / 20))
    learned.limit = math.max(1, math.min(less, math.max(count, math.floor(0.75 * learned.limit))))
  end
  learned.next_step = now + 10 * per
end

local function took(count)
  if learned.limit == 0 then
    if count < 0.95 * said.limit then
      learned.full_since = 0
    elseif learned.full_since == 0 then
      learned.full_since = now
    elseif now - learned.full_since >= per then
      learned.proven = true
    end
  elseif now >= learned.next_step and count >= 0.9 * math.max(1, learned.limit - 2) then
    if not learned.trying then
      learned.trying, learned.fell = true, false
      learned.base, learned.steps = learned.limit, 0
    end
    learned.held = learned.limit
    local step = math.floor(learned.base * 0.1 * 2 ^ learned.steps + 0.5)
    learned.limit = learned.limit + math.max(1, step)
    learned.steps, learned.next_step = learned.steps + 1, now + per
    if learned.limit >= said.limit then
      learned.limit, learned.trying, learned.refused_at = 0, false, 0
    end
  end
end

local function pause(till)
  gate.till, gate.paused = till, till
  told.gate = {epoch = gate.epoch, left = shut_for(), row = gate.row}
end

for _, refusal in ipairs(said.refusals) do
  if refusal.epoch == gate.epoch then
    local delay = math.min(per, per / 60 * 2 ^ math.min(gate.row, 10))
    if refusal.after >= 0 then
      delay = math.max(refusal.after, gate.row > 0 and delay or 0)
    end
    if refusal.status == 429 then
      -- In the first `per`, a process that this ledger does not know may have spent the budget.
      local early, count = now - s.opened < per, taken()
      local again = gate.row > 0 and gate.by == 429
      if refusal.pressed then refused(count, early, again) end
      if not again and (count > 0 or not early) then
        s.strict = s.strict or not early
        s.factor = math.min(1, s.factor + 0.3 * (now - s.slowed) / per)
        s.factor, s.slowed = math.max(0.05, s.factor * 0.7), now
      end
    end
    gate.epoch, gate.row = gate.epoch + 1, gate.row + 1
    gate.half, gate.sent, gate.prober = true, false, ''
    gate.began, gate.by = now, refusal.status
    pause(now + math.min(delay, refusal.most))
  elseif gate.half and refusal.epoch >= (gate.cleared or 0) then
    local till = math.min(now + refusal.after, gate.began + refusal.most)
    if till > now + shut_for() then pause(till) end
  end
end
if #said.refusals == 0 then took(taken()) end
keep_to_learned()
if gate.half and said.answered == gate.epoch then
  gate.half, gate.sent, gate.row, gate.till, gate.paused = false, false, 0, 0, 0
  told.gate = {epoch = gate.epoch, left = -1, row = 0}
end

-- Account for all permits. Those that no process has claimed are free at once if none can have used
-- them, else when the last request that may have used them has left the window.

table.sort(pool)
local missing = permits - #pool - sum(held)
-- Permits it has used without a lease are taken from those that no other process can have used.
for _ = me.held + 1, said.used do
  if missing > 0 and not s.released then
    missing = missing - 1
  elseif #pool > 0 and pool[1] <= now then
    table.remove(pool, 1)
  else
    break
  end
  me.held = me.held + 1
end
while missing < 0 and #pool > 0 do
  table.remove(pool, 1)
  missing = missing + 1
end
local release = s.opened + ((s.recovered or next(s.asked)) and s.hold or said.settle)
s.release = release
local freed
if not s.released and now >= release then
  s.released, freed = true, now
elseif s.released then
  freed = now + per
end
if freed then
  for _ = 1, missing do pool[#pool + 1] = freed end
  table.sort(pool)
  missing = 0
end
missing = math.max(0, missing)

-- How many permits each process should hold: first for waiting interactive requests, then for what
-- it used in the last window and for waiting bulk requests. In both rounds, those that want little
-- get it all, and the others get equal parts of the rest.

local function fill(wants, capacity)
  table.sort(wants, function(a, b)
    if a.want ~= b.want then return a.want < b.want end
    return a.id < b.id
  end)
  local parts = {}
  for i, one in ipairs(wants) do
    local count = #wants - i + 1
    local equal = math.floor(capacity / count)
    if one.want > equal then
      local rest = {}
      for j = i, #wants do rest[#rest + 1] = wants[j] end
      -- The remainder stays with those that hold most; if parts are small, it rotates.
      table.sort(rest, function(a, b)
        if equal < 10 and a.recent ~= b.recent then return a.recent < b.recent end
        if a.held ~= b.held then return a.held > b.held end
        return a.id < b.id
      end)
      for j, other in ipairs(rest) do
        parts[other.id] = equal + (j <= capacity - equal * count and 1 or 0)
      end
      return parts
    end
    parts[one.id] = one.want
    capacity = capacity - one.want
  end
  return parts
end

local function wanted(of)
  local wants = {}
  for id, member in pairs(s.members) do
    if live(member) then
      wants[#wants + 1] = {
        id = id, want = math.min(permits, of(id, member)), held = member.held,
        recent = member.granted - member.base,
      }
    end
  end
  return wants
end

local recently = now - s.interactive < per
local reserve = permits >= 20 and 1 or 0
if recently and permits > 1 then
  reserve = math.max(reserve, math.floor(permits / 100 + 0.5), 1)
end
local capacity = permits - missing - sum(held, function(member) return not live(member) end)
local first = fill(wanted(function(_, member)
  return member.interactive > 0 and member.used + member.interactive or 0
end), math.max(0, capacity))
local taken = 0
for _, part in pairs(first) do taken = taken + part end
local second = fill(wanted(function(id, member)
  local waiting = member.interactive + member.bulk
  -- A process with waiting requests may have more to send than it has queued, so its use may double
  -- each time. Others keep a few permits in hand: a round trip costs more than they do.
  local more = waiting > 0 and math.max(3, member.used) or math.ceil(member.used / 4)
  return math.max(0, member.used + waiting + more - first[id])
end), math.max(0, capacity - taken - reserve))
local function target(id) return (first[id] or 0) + (second[id] or 0) end

-- The pace of each process follows what it holds. The pace of permits that no process holds goes to
-- the processes that are to get them, or else to all that are active.

local function lacks(id, member) return math.max(0, target(id) - member.held) end
local lacking, workers = 0, 0
for id, member in pairs(s.members) do
  if live(member) then
    lacking = lacking + lacks(id, member)
    if member.used + member.interactive + member.bulk > 0 then workers = workers + 1 end
  end
end
workers = math.max(1, workers)
if s.factor < 1 then
  s.factor = math.min(1, s.factor + 0.3 * (now - s.slowed) / per)
  s.slowed = now
end
local rate = (s.strict and math.max(limit - 2, 1) or limit) / per * s.factor
local burst = s.strict and 2 or said.burst
-- More than `permits`, until processes that hold too many have given them back.
local whole = math.max(permits, sum(held))
for _, member in pairs(s.members) do
  if live(member) then burst = math.min(burst, member.largest) end
end
local function fair_pace(id, member)
  local part = member.used + member.interactive + member.bulk > 0 and 1 / workers or 0
  if lacking > 0 then part = lacks(id, member) / lacking end
  local loose = math.max(0, permits - sum(held))
  return rate * math.max(1, member.held + loose * part) / whole
end
local others_burst = sum(function(member)
  return member == me and 0 or member.burst
end, live)

-- What this process gets.

local granted, waiting = {}, said.interactive
local room = said.leave and 0 or target(said.id) - me.held
local idle = math.max(0, me.held - me.used)
local ready = idle

local function grant(place)
  local moment = table.remove(pool, place)
  granted[#granted + 1] = math.max(0, moment - now)
  if moment <= now then ready = ready + 1 end
  me.held, room = me.held + 1, room - 1
end

while waiting > idle + #granted and room > 0 and #pool > 0 do grant(1) end
local served = math.min(waiting, ready)

me.pace = math.max(
  math.min(fair_pace(said.id, me), rate - sum(function(member)
    return member == me and 0 or member.pace
  end, live)),
  rate * math.max(1, me.held) / whole
)
-- A part of the burst is kept for interactive requests in any process.
local depth = math.max(1, math.min(3, math.floor(burst / 3)))
me.burst = math.max(1.1, math.min((burst - depth) / workers, burst - depth - others_burst))
if said.leave or me.held == 0 and said.interactive + said.bulk == 0 then
  me.pace, me.burst = 0, 0
end

-- Grant no more at a time than it can use in a quarter of a window: if it dies, fewer permits are
-- lost to the others.
local horizon = now + per / 4
local most = math.ceil(rate * per / 4 * target(said.id) / permits) + served
local near, more, place = ready, false, reserve + 1
while room > 0 and place <= #pool do
  if pool[place] > horizon then
    grant(place)
  elseif near < most then
    near = near + 1
    grant(place)
  else
    more = true
    place = place + 1
  end
end
served = math.min(waiting, ready)
-- A process that got what it asked for may ask again; otherwise it is called when there is more.
more = more or me.held >= said.used + said.interactive + said.bulk
me.waits = not more

-- Interactive requests may go ahead of their process's tokens. Bulk requests pay for that with
-- their tokens or, if none wait, whatever requests come.
local charge = 0
if s.debt > 0 and me.pace > 0 and said.owed == 0 then
  if said.bulk > 0 then
    charge = s.debt
  elseif sum(function(member) return member.bulk end, live) == 0 then
    charge = 1
  end
end
s.debt = s.debt - charge
local ahead = math.max(0, math.min(served, depth - s.debt))
s.debt = s.debt + ahead
me.interactive, me.used = waiting - served, me.used + served
-- Its pace covers at least the permits it now holds.
if me.pace > 0 then me.pace = math.max(me.pace, rate * math.max(1, me.held) / whole) end

local word = {epoch = gate.epoch, row = gate.row, state = 'open', left = 0}
if gate.half then
  word.state, word.left, word.paused = 'shut', shut_for(), gate.paused > now
  if said.probe and ready > 0 and (word.left == 0 or gate.prober == said.id) then
    word.state = 'probe'
    if word.left == 0 then
      gate.till = now + (gate.sent and interval or math.min(2000000, per / 30))
      gate.sent, gate.prober = true, said.id
    end
  end
end

local again = -1
if said.interactive + said.bulk > 0 then
  if not s.released and not s.recovered and not next(s.asked) then
    again = math.max(0, release - now)
  elseif waiting > ahead then
    -- It is called when there is a permit; for a token it must ask again, if its own are too slow.
    again = (served > ahead and me.pace < rate / 4 and 1 or 8) * interval
  end
end

-- Which processes lack permits, and which hold too many.

local lack, wanting, contended, largest = -math.max(0, #pool - reserve), {}, false, 0
for id, member in pairs(s.members) do
  if live(member) then
    local want = target(id)
    largest = math.max(largest, want)
    if want > member.held then
      lack = lack + want - member.held
      wanting[#wanting + 1] = {id = id, member = member, lacks = want - member.held}
    end
    contended = contended or id ~= said.id and (member.waits or member.interactive > 0)
  end
end
lack = lack + math.max(0, sum(held) - permits)
local hurry = sum(function(member) return member.interactive end, live)
local give = 0
-- No process is asked more often than a permit comes, whatever it answers: processes that wait for
-- something else would otherwise ask each other in turn, as fast as they can.
local slack = math.min(per / 30, interval)

local function ask_to_yield(id, member, number)
  if now - member.asked < slack then return end
  member.asked = now
  if id == said.id then
    give = number
  else
    told.yield = told.yield or {}
    told.yield[id] = number
  end
end

if lack >= (hurry > 0 and 1 or math.max(1, math.floor(largest / 25))) then
  for id, member in pairs(s.members) do
    local over = live(member) and member.held - target(id) or 0
    if over > 0 then ask_to_yield(id, member, over) end
  end
end
if not said.leave and me.pace > 0 and me.pace < 0.9 * fair_pace(said.id, me) then
  for id, member in pairs(s.members) do
    if id ~= said.id and live(member) and member.pace > 1.1 * fair_pace(id, member) then
      ask_to_yield(id, member, 0)
    end
  end
end

-- Call the processes that wait for permits that are free in the pool.
local loose = #pool
table.sort(wanting, function(a, b)
  local x, y = a.member.interactive > 0, b.member.interactive > 0
  if x ~= y then return x end
  if a.lacks ~= b.lacks then return a.lacks > b.lacks end
  return a.id < b.id
end)
for _, one in ipairs(wanting) do
  local urgent = one.member.interactive > 0
  local there = urgent and loose or loose - reserve
  if one.id ~= said.id and (one.member.waits or urgent)
    and there >= (urgent and 1 or math.max(1, math.floor(largest / 25)))
    and now - one.member.called >= slack then
    one.member.called, one.member.waits = now, false
    told.call = told.call or {}
    told.call[#told.call + 1] = one.id
    loose = loose - math.min(one.lacks, there)
  end
end

-- The next permit that becomes free anywhere goes to a process that waits at interactive priority,
-- or into the reserve for these.
local soon = 0
for _, moment in ipairs(pool) do
  if moment <= now + interval then soon = soon + 1 end
end
local short = math.max(0, math.min(reserve + math.min(hurry, 2), reserve + hurry - soon))
if sum(held, live) == 0 then short = 0 end
if short ~= s.short then
  s.short, told.short = short, short
end

local processes = math.max(
  redis.call('PUBSUB', 'NUMSUB', KEYS[1])[2],
  sum(function() return 1 end, live)
)
if processes ~= s.processes then
  s.processes, told.processes = processes, processes
end

local answer = {
  epoch = s.epoch, held = me.held, granted = granted, pace = me.pace, burst = me.burst,
  ahead = ahead, charge = charge, waiting = waiting - ahead, more = more, again = again,
  give = give, short = short, hurry = hurry > 0, contended = contended, gate = word,
  strict = s.strict, learned = learned.limit, processes = processes, seq = said.seq,
}
me.answer = cjson.encode(answer)
if said.leave then
  -- Only what is needed to recognize a late copy of a message.
  s.members[said.id] =
    {left = true, seq = me.seq, held = 0, till = me.till, gone = me.gone, taken = me.taken}
end
save()
if next(told) then
  told.epoch, told.hurry = s.epoch, hurry > 0
  redis.call('PUBLISH', KEYS[1], cjson.encode(told))
end
answer.account = account()
return cjson.encode(answer)
