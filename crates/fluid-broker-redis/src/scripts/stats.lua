-- Answers: "state/task/queue" and number of runs, in turn, and the due time of the run that waits longest.
local oldest
for _, name in ipairs(call('SMEMBERS', P .. 'open')) do
  local first = call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')
  if first[1] and (not oldest or tonumber(first[2]) < oldest) then oldest = tonumber(first[2]) end
end
return { call('HGETALL', P .. 'count'), oldest and fmt('%.0f', oldest) or '' }
