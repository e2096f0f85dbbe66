-- The key is of one event. Its value is "by " and the owner while the event is handled, then "done".
-- The server deletes it by its own clock, when the lease or the time of remembering is over.
--
-- Arguments: the step, how many milliseconds what it writes stays, and the owner.
-- Answers: 1 is done as asked, or taken; 2 another owner has it; 3 it was handled.

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
