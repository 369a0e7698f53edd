-- ARGV[4]: how many runs, and their ids; then how many members of "ended" that may stand for some of them. Those that
-- have ended are deleted. Answers: how many, and what is to be told.
go_on_without_room()
local function list(at)
  local all, n = {}, tonumber(ARGV[at])
  for i = 1, n do all[i] = ARGV[at + i] end
  return all, at + n + 1
end
local ids, behind = list(4)
local members = list(behind)
local gone, FEW = 0, 50
local dropped, is_dropped, keys, packets = {}, {}, {}, {}

local function drop(id, text, fixed)
  local l = lane(match(text, '^[^\t]*', 38))
  if bit.band(tonumber(sub(text, 21, 21), 16), 4) ~= 0 then
    local _, unique = request(id)
    local slot = l.task .. '/' .. sub(unique, 2)
    if match(call('HGET', P .. 'unique', slot) or '', '^[^\t]*') == id then call('HDEL', P .. 'unique', slot) end
  end
  count(l, sub(text, 1, 1), -1)
  local place, first = match(fixed, '^[^\t]*\t[^\t]*\t%l\t(%d+)\t(%d+)\n')
  if place then
    local packet = sub(place, 1, 12) .. first
    packets[packet] = (packets[packet] or 0) + 1
  end
  dropped[#dropped + 1] = id
  is_dropped[id] = true
  keys[#keys + 1] = P .. 'past/' .. id
  keys[#keys + 1] = P .. 'log/' .. id
end

-- A few at a time: what runs carry may be large.
for from = 1, #ids, FEW do
  local some = {}
  for i = from, math.min(from + FEW - 1, #ids) do some[#some + 1] = ids[i] end
  local texts, fixed = fetch(P .. 'att', some), fetch(P .. 'run', some)
  for i = 1, #some do
    if texts[i] and is_ended(sub(texts[i], 1, 1)) then
      drop(some[i], texts[i], fixed[i])
    elseif AGAIN and not fixed[i] then
      gone = gone + 1
    end
  end
end
for _, name in ipairs({ 'run', 'att', 'log' }) do many('HDEL', P .. name, dropped) end
many('ZREM', P .. 'ids', dropped)
many('ZREM', P .. 'ended', dropped)
for i = 1, #keys, 1000 do call('UNLINK', unpack(keys, i, math.min(i + 999, #keys))) end

-- A packet whose runs are all gone is no longer listed.
for packet, n in pairs(packets) do
  local entries = call('HGET', P .. 'index', packet)
  if entries then
    local purged = call('HINCRBY', P .. 'purged', packet, n)
    if purged * ENTRY >= #entries - 72 then
      call('ZREM', P .. 'spans', sub(entries, 1, 72) .. packet)
      call('HDEL', P .. 'index', packet)
      call('HDEL', P .. 'purged', packet)
    end
  end
end

-- What stands for many stands for those that are left.
for _, name in ipairs(members) do
  local together = sub(name, 1, 1) == '#' and call('HGET', P .. 'together', name)
  if together then
    local left = {}
    for i = 1, #together, 36 do
      local id = sub(together, i, i + 35)
      if not is_dropped[id] and call('HEXISTS', P .. 'run', id) == 1 then left[#left + 1] = id end
    end
    if #left == 0 then
      call('ZREM', P .. 'ended', name)
      call('HDEL', P .. 'together', name)
    elseif #left * 36 < #together then
      call('HSET', P .. 'together', name, table.concat(left))
    end
  end
end
flush()
if #dropped > 0 then tell('C') end
return { gone + #dropped, publish() }
