-- New runs. "text" is what the client says of one, from its four digits of place on.
local batch = fmt('%012d', call('HINCRBY', P .. 'meta', 'batch', 1))

-- When a section of runs is due: text, number, and the state that follows.
local function due_of(kind, value)
  local due, at = NOW, now
  if kind == 'd' then
    due, at = later(tonumber(value))
  elseif kind == 'a' then
    due, at = value, tonumber(value)
  end
  return due, at > now and 's' or 'q'
end

local function held_by(slot)
  local holder, till, ended = match(call('HGET', P .. 'unique', slot) or '', '^([^\t]*)\t([^\t]*)\t?(.*)$')
  if holder and (ended == '' or (till ~= '' and now < tonumber(till))) then return holder end
end

-- Inserts one run; the run that stands in its way, if one does.
local function insert(l, id, text, kind, value, unique, window)
  if is_known(id) then return id end
  if unique ~= '' then
    local slot = l.task .. '/' .. sub(unique, 2)
    local holder = held_by(slot)
    if holder then return holder end
    local till = window ~= '' and later(tonumber(window)) or ''
    call('HSET', P .. 'unique', slot, id .. '\t' .. till)
  end
  local due, state = due_of(kind, value)
  call('HSET', P .. 'run', id, NOW .. '\t' .. due .. '\t' .. state .. '\t' .. batch .. text)
  call('ZADD', P .. 'ids', 0, id)
  local member = batch .. sub(text, 1, 4) .. id .. (unique == '' and 'f' or 'u')
  if state == 's' then add(P .. 'due', due, member .. l.text) else wait(l, due, member) end
  count(l, state, 1)
end
