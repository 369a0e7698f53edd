-- ARGV[4]: how many runs, and their ids. Those that have ended are deleted. Answers: how many, and what is to be told.
go_on_without_room()
local gone = 0
local ids = {}
for i = 5, 4 + tonumber(ARGV[4]) do ids[#ids + 1] = ARGV[i] end
local texts = fetch(P .. 'att', ids)
local dropped, keys = {}, {}
for i = 1, #ids do
  local id, text = ids[i], texts[i]
  if text and is_ended(sub(text, 1, 1)) then
    local l = lane(match(text, '^[^\t]*', 38))
    if bit.band(tonumber(sub(text, 21, 21), 16), 4) ~= 0 then
      local _, unique = request(id)
      local slot = l.task .. '/' .. sub(unique, 2)
      if match(call('HGET', P .. 'unique', slot) or '', '^[^\t]*') == id then call('HDEL', P .. 'unique', slot) end
    end
    count(l, sub(text, 1, 1), -1)
    dropped[#dropped + 1] = id
    keys[#keys + 1] = P .. 'past/' .. id
    keys[#keys + 1] = P .. 'log/' .. id
  elseif AGAIN and not text and call('HEXISTS', P .. 'run', id) == 0 then
    gone = gone + 1
  end
end
for _, name in ipairs({ 'run', 'att', 'log' }) do many('HDEL', P .. name, dropped) end
many('ZREM', P .. 'ids', dropped)
many('ZREM', P .. 'ended', dropped)
for i = 1, #keys, 1000 do call('UNLINK', unpack(keys, i, math.min(i + 999, #keys))) end
flush()
if #dropped > 0 then tell('C') end
return { gone + #dropped, publish() }
