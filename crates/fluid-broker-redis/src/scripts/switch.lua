-- ARGV[4]: disabled or paused. [5]: the task or queue. [6]: 1 to add it, 0 to take it out.
local changed = call(ARGV[6] == '1' and 'SADD' or 'SREM', P .. ARGV[4], ARGV[5])
if changed == 1 then tell('C') end
return publish()
