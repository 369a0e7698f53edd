-- ARGV[4]: the consumer. [5]: what it tells of itself. [6]: for how long it is known, in microseconds.
-- So that a consumer is known also when memory is used up: the first write decides.
call('DEL', P .. 'none')
local over = call('ZRANGEBYSCORE', P .. 'alive', '-inf', NOW, 'LIMIT', 0, 1000)
if #over > 0 then
  call('HDEL', P .. 'consumers', unpack(over))
  call('ZREM', P .. 'alive', unpack(over))
end
call('HSET', P .. 'consumers', ARGV[4], NOW .. '\n' .. ARGV[5])
local till = later(tonumber(ARGV[6]))
call('ZADD', P .. 'alive', till, ARGV[4])
return ''
