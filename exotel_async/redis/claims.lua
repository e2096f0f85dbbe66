-- The key belongs to one event. Its value is "by " and the owner while the event is handled, then
-- "done". The server expires it by its own clock, after the lease or the time of remembering.
--
-- Arguments: the step, the milliseconds until what it writes expires, and the owner.
-- Answers: 1 done as asked, or claimed; 2 claimed by another owner; 3 already handled.

local step, stays, owner = ARGV[1], ARGV[2], 'by ' .. ARGV[3]

if step == 'done' then
  redis.call('SET', KEYS[1], 'done', 'PX', stays)
  return 1
end

local state = redis.call('GET', KEYS[1])
if step == 'release' then
  if state == owner then
    redis.call('DEL', KEYS[1])
  end
  return 1
end

if state == 'done' then
  return 3
elseif state and state ~= owner then
  return 2
end
redis.call('SET', KEYS[1], owner, 'PX', stays)
return 1
