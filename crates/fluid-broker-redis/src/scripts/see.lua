local WEEK = 7 * 24 * 3600 * 1000000

-- Takes note of a tick; false when it was known.
local function see(task, instant)
  local key = P .. 'ticks/' .. task
  local latest = call('HGET', P .. 'ticked', task)
  if latest == instant or call('ZSCORE', key, instant) then return false end
  call('ZADD', key, NOW, instant)
  call('ZREMRANGEBYSCORE', key, '-inf', fmt('%.0f', now - WEEK - 1))
  if not latest or tonumber(instant) > tonumber(latest) then call('HSET', P .. 'ticked', task, instant) end
  return true
end
