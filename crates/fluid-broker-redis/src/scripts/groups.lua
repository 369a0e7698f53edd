-- What is written to packets and groups.
local function leave(g, i)
  g.gone[i] = true
  g.left = g.left - 1
  g.changed = true
end

local function flush_groups()
  for number, g in pairs(groups) do
    if g and g.changed then
      g.changed = false
      if g.left == 0 then
        call('HDEL', P .. 'group', number)
        call('HDEL', P .. 'gone', number)
        call('ZREM', P .. 'groups', number)
        groups[number] = false
        for _, slice in ipairs(g.slices) do
          local taken = call('HGET', P .. 'taken', slice.packet) or ''
          local rest = {}
          for at = 1, #taken, 16 do
            local other = sub(taken, at, at + 15)
            if other ~= number then rest[#rest + 1] = other end
          end
          if #rest == 0 then
            call('HDEL', P .. 'taken', slice.packet)
          else
            call('HSET', P .. 'taken', slice.packet, table.concat(rest))
          end
        end
      else
        local letters = {}
        for i = 1, g.size do letters[i] = g.gone[i - 1] and 'x' or '.' end
        call('HSET', P .. 'gone', number, table.concat(letters))
      end
    end
  end
end

-- Takes a run out of its group: from now on it has an "att" and a lease of its own.
local function set_apart(g, i, id, place)
  local a = parse(id, group_text(g, i, place))
  a.lease = a.lease or call('ZSCORE', P .. 'groups', g.number)
  leave(g, i)
  return a
end

local function own_lease(a)
  add(P .. 'leases', a.lease, a.id)
end

-- Takes entries out of those that wait in a packet.
local function keep_waiting(packet, key, entries)
  waiting[packet] = entries
  if entries == '' then
    call('ZREM', key, packet .. '#')
    call('HDEL', P .. 'pack', packet)
  else
    call('HSET', P .. 'pack', packet, entries)
  end
end
