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
local dropped, is_dropped, keys, out_of = {}, {}, {}, {}

local function drop(id, text, p, i, g, at)
  local l = lane(match(text, '^[^\t]*', LANE))
  if bit.band(tonumber(sub(text, 21, 21), 16), 4) ~= 0 then
    local _, unique = request(id)
    local slot = l.task .. '/' .. sub(unique, 2)
    if match(call('HGET', P .. 'unique', slot) or '', '^[^\t]*') == id then call('HDEL', P .. 'unique', slot) end
  end
  count(l, sub(text, 1, 1), -1)
  if p then
    out_of[p] = out_of[p] or {}
    out_of[p][i] = true
  end
  if g then leave(g, at, 'p') end
  dropped[#dropped + 1] = id
  is_dropped[id] = true
  keys[#keys + 1] = P .. 'past/' .. id
  keys[#keys + 1] = P .. 'log/' .. id
end

-- A few at a time: what runs carry may be large.
for from = 1, #ids, FEW do
  local some = {}
  for i = from, math.min(from + FEW - 1, #ids) do some[#some + 1] = ids[i] end
  local texts, alone = fetch(P .. 'att', some), fetch(P .. 'run', some)
  for i = 1, #some do
    local p, at_p
    local text, g, at = in_full(texts[i])
    if not alone[i] then p, at_p = locate(some[i]) end
    if p and not text then text, g, at = att_in(p, at_p) end
    if text and (p or alone[i]) and is_ended(sub(text, 1, 1)) then
      drop(some[i], text, p, at_p, g, at)
    elseif AGAIN and not p and not alone[i] then
      gone = gone + 1
    end
  end
end
for _, name in ipairs({ 'run', 'att', 'log' }) do many('HDEL', P .. name, dropped) end
many('ZREM', P .. 'ids', dropped)
many('ZREM', P .. 'ended', dropped)
for i = 1, #keys, 1000 do call('UNLINK', unpack(keys, i, math.min(i + 999, #keys))) end

-- A packet is there as long as one of its runs is.
for p, places in pairs(out_of) do
  local left, some = {}, false
  for i = 0, p.size - 1 do
    local id = places[i] and NONE or sub(p.ids, i * ID + 1, i * ID + ID)
    left[#left + 1] = id
    some = some or id ~= NONE
  end
  if some then
    call('HSET', P .. 'index', p.name, p.created .. '\t' .. p.span .. '\t' .. p.lane .. '\n' .. table.concat(left))
  else
    for _, key in ipairs({ 'index', 'texts', 'taken', 'pack' }) do call('HDEL', P .. key, p.name) end
    call('ZREM', P .. 'spans', p.span .. p.name)
  end
  packets[p.name] = nil
end
flush_groups()

-- What stands for many stands for those that are left.
for _, name in ipairs(members) do
  local together = sub(name, 1, 1) == '#' and call('HGET', P .. 'together', name)
  if together then
    local left = {}
    for i = 1, #together, 36 do
      local id = sub(together, i, i + 35)
      if not is_dropped[id] and is_known(id) then left[#left + 1] = id end
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
