-- What is written to packets and groups.
local function leave(g, i, letter)
  if not g.gone[i] then g.left = g.left - 1 end
  if g.gone[i] == 'S' or g.gone[i] == 'o' then g.kept = g.kept - 1 end
  if letter == 'S' or letter == 'o' then g.kept = g.kept + 1 end
  g.gone[i] = letter
  g.changed = true
end

local function forget_group(g)
  for _, key in ipairs({ 'group', 'gone', 'outcome' }) do call('HDEL', P .. key, g.number) end
  for _, slice in ipairs(g.slices) do
    local taken = call('HGET', P .. 'taken', slice.packet) or ''
    local rest = {}
    for at = 1, #taken, 16 do
      local other = sub(taken, at, at + 15)
      if other ~= g.number then rest[#rest + 1] = other end
    end
    if #rest == 0 then
      call('HDEL', P .. 'taken', slice.packet)
    else
      call('HSET', P .. 'taken', slice.packet, table.concat(rest))
    end
  end
end

local function flush_groups()
  for number, g in pairs(groups) do
    if g and g.changed then
      g.changed = false
      if g.left == 0 then call('ZREM', P .. 'groups', number) end
      if g.left == 0 and g.kept == 0 then
        forget_group(g)
        groups[number] = false
      else
        local letters = {}
        for i = 1, g.size do letters[i] = g.gone[i - 1] or '.' end
        call('HSET', P .. 'gone', number, table.concat(letters))
      end
    end
  end
end

-- Takes a run that runs out of its group: from now on it has an "att", and a lease of its own.
local function set_apart(g, i)
  local a = parse(id_at(g, i), text_at(g, i))
  a.lease = call('ZSCORE', P .. 'groups', g.number)
  leave(g, i, 'x')
  return a
end

local function own_lease(a)
  add(P .. 'leases', a.lease, a.id)
end

local function standing_for(name, first)
  return sub(name, 1, 12) .. fmt('%04d', first) .. '#' .. name
end

-- Of a packet these wait from now on. What stands for them has the place of the first, so that a run of the packet that
-- was claimed before and waits again, alone, goes before them.
local function keep_waiting(name, key, due, from, first, ids)
  waiting[name] = nil
  local gone = not find(ids, '%x')
  if gone then
    call('HDEL', P .. 'pack', name)
  else
    call('HSET', P .. 'pack', name, fmt('%04d', first) .. ids)
  end
  if gone or from ~= first then
    call('ZREM', key, standing_for(name, from))
    if not gone then call('ZADD', key, due, standing_for(name, first)) end
  end
end
