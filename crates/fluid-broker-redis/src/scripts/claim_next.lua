-- Of a claim: who goes next.

local disabled, paused = {}, {}
for _, name in ipairs(call('SMEMBERS', P .. 'disabled')) do disabled[name] = true end
for _, name in ipairs(call('SMEMBERS', P .. 'paused')) do paused[name] = true end
local sources = { ['0'] = {}, ['1'] = {}, ['2'] = {} }
for _, name in ipairs(call('SMEMBERS', P .. 'open')) do
  local kind, priority, task, queue_name = match(name, '^(%l+):(%d)/([^/]*)/([^/]*)$')
  local limits = wanted_tasks[task]
  local shut = kind ~= 'adopt' and (disabled[task] or paused[queue_name])
  if limits and wanted_queues[queue_name] and not shut then
    local some = sources[priority]
    some[#some + 1] = {
      name = name, key = P .. name, kind = kind, limits = limits, lane = match(name, ':(.*)$'), got = 0, at = 1,
      buffer = {}, more = true, taken = {}, side = {}, packs = {},
    }
  end
end

local slots, waits = {}, nil
-- Members of those that are taken one by one, and where they stand among all; and the one group of others.
local picked, picked_due, picked_lane, picked_flags, picked_at, n_picked = {}, {}, {}, {}, {}, 0
local slices, group_base, group_size, group_lane, group_flags = {}, 0, 0, nil, 0

local function slot_of(l, limits)
  local slot = slots[l.slot]
  if not slot then
    slot = { busy = 0 }
    if limits.most > 0 then slot.busy = tonumber(call('HGET', P .. 'busy', l.slot) or 0) end
    if limits.interval then slot.arrival = tonumber(call('ZSCORE', P .. 'rates', l.slot) or 0) end
    slots[l.slot] = slot
  end
  return slot
end

-- Whether the first run of a lane may start: s start, f the lane waits, r the run is refused.
local function admit(l, limits)
  if limits.most == 0 and not limits.interval then return 's' end
  local slot = slot_of(l, limits)
  if limits.most > 0 and slot.busy >= limits.most then return 'f' end
  if limits.interval then
    local earliest = slot.arrival - limits.tolerance
    if now < earliest then
      if limits.exceeded == 'r' then return 'r' end
      if not waits or earliest < waits then waits = earliest end
      return 'f'
    end
    slot.arrival = math.max(slot.arrival, now) + limits.interval
    slot.counted = true
  end
  slot.busy = slot.busy + 1
  return 's'
end

local function start(l, due_text, member, flags)
  local n = #picked + 1
  picked[n], picked_due[n], picked_lane[n], picked_flags[n], picked_at[n] = member, due_text, l, flags, n_picked
  n_picked = n_picked + 1
  room = room - 1
end

local function refuse(l, due_text, member)
  local a
  if sub(member, 53, 53) == 'a' then
    local id = sub(member, 17, 52)
    a = parse(id, call('HGET', P .. 'att', id))
  else
    a = bare_member('q', member, l.text, fmt('%.0f', due_text))
  end
  -- There is no attempt that could have an outcome; the last failure stays told.
  finish(a, 'L', a.tail.x)
  put(a)
end

local function entry_of(member, due_text, l)
  return { member = member, due_text = due_text, due = tonumber(due_text), place = tonumber(sub(member, 1, 16)), l = l }
end

local function less(one, other)
  return one.due < other.due or (one.due == other.due and one.place < other.place)
end

-- The next run of a packet, as if it waited alone; nil at its end.
local function next_of_packet(s)
  local pack = s.pack
  while pack.at * ID < #pack.ids do
    local id = sub(pack.ids, pack.at * ID + 1, pack.at * ID + ID)
    if id ~= NONE then
      return entry_of(sub(pack.name, 1, 12) .. fmt('%04d', pack.first + pack.at) .. id .. 'f', pack.due_text, lane(s.lane))
    end
    pack.at = pack.at + 1
  end
end

-- So much of a packet was taken.
local function leave_packet(s)
  local pack = s.pack
  s.pack = nil
  if pack and pack.at > 0 then s.packs[#s.packs + 1] = pack end
end

-- Finds the next candidate of a source. Nothing is taken out before the end, so places stay as they are.
local function advance(s)
  s.head = nil
  if s.pack then
    s.head = next_of_packet(s)
    if s.head then return end
    leave_packet(s)
  end
  if s.at > #s.buffer and s.more then
    s.buffer = call('ZRANGE', s.key, s.got, s.got + SLICE - 1, 'WITHSCORES')
    s.at, s.got, s.more = 1, s.got + #s.buffer / 2, #s.buffer == 2 * SLICE
    if s.got == 0 then call('SREM', P .. 'open', s.name) end
  end
  local member, due_text = s.buffer[s.at], s.buffer[s.at + 1]
  local first
  if member and sub(member, 17, 17) == '#' then
    local name = sub(member, 18)
    s.at = s.at + 2
    local w = waiting_in(name)
    s.pack = { name = name, first = w.first, ids = w.ids, at = 0, due_text = due_text }
    s.head = next_of_packet(s)
    return
  elseif member then
    local l = s.kind == 'keyed' and lane(s.lane .. sub(member, 54)) or lane(s.lane)
    first = entry_of(sub(member, 1, 53), due_text, l)
  end
  local beside = s.side[1]
  if beside and (not first or less(beside, first)) then
    table.remove(s.side, 1)
    s.head = beside
  else
    s.head = first
    s.at = s.at + 2
  end
end

-- The candidate was taken. Behind the first run of a lane with a key its next one comes up.
local function take(s)
  local l = s.head.l
  if s.pack then
    s.pack.at = s.pack.at + 1
    return
  end
  if s.kind ~= 'keyed' then
    s.taken[#s.taken + 1] = s.head.member
    return
  end
  l.taken = (l.taken or 0) + 1
  s.used = s.used or {}
  s.used[l] = true
  local behind = call('ZRANGE', P .. 'wait:' .. l.text, l.taken, l.taken, 'WITHSCORES')
  if behind[1] then
    local new, i = entry_of(behind[1], behind[2], l), 1
    while s.side[i] and less(s.side[i], new) do i = i + 1 end
    table.insert(s.side, i, new)
  end
end

local function go_on(s)
  local verdict = 's'
  local head = s.head
  if s.kind ~= 'adopt' then verdict = admit(head.l, s.limits) end
  if verdict == 's' then
    start(head.l, head.due_text, head.member, s.limits.survives)
    take(s)
  elseif verdict == 'r' then
    refuse(head.l, head.due_text, head.member)
    take(s)
  elseif s.kind ~= 'keyed' then
    s.head = nil
    return
  end
  advance(s)
end

local function merge(some)
  for i = 1, #some do advance(some[i]) end
  while room > 0 do
    local best, second
    for i = 1, #some do
      local s = some[i]
      if s.head then
        if not best or less(s.head, best.head) then
          best, second = s, best
        elseif not second or less(s.head, second.head) then
          second = s
        end
      end
    end
    if not best then break end
    repeat
      go_on(best)
    until room == 0 or not best.head or (second and less(second.head, best.head))
  end
  for i = 1, #some do
    local s = some[i]
    leave_packet(s)
    many('ZREM', s.key, s.taken)
    for _, pack in ipairs(s.packs) do
      local first = pack.first + pack.at
      keep_waiting(pack.name, s.key, pack.due_text, pack.first, first, sub(pack.ids, pack.at * ID + 1))
    end
    for l in pairs(s.used or {}) do
      touch(l)
      call('ZREMRANGEBYRANK', P .. 'wait:' .. l.text, 0, l.taken - 1)
    end
  end
end

-- Takes from one source all that there is room for.
local function drain(s)
  local l, flags = lane(s.lane), s.limits.survives
  while room > 0 do
    local some = call('ZRANGE', s.key, 0, math.min(room, SLICE) - 1, 'WITHSCORES')
    if #some == 0 then
      call('SREM', P .. 'open', s.name)
      return
    end
    local alone = 0
    for i = 1, #some, 2 do
      local member = some[i]
      if sub(member, 17, 17) == '#' then break end
      start(l, some[i + 1], member, flags)
      alone = alone + 1
    end
    if alone > 0 then
      call('ZREMRANGEBYRANK', s.key, 0, alone - 1)
    else
      local name = sub(some[1], 18)
      local w = waiting_in(name)
      local size = math.min(room, #w.ids / ID)
      local mine = sub(w.ids, 1, size * ID)
      -- All of a group are in one lane, and follow each other in the claim.
      local whole = not find(mine, '--', 1, true)
        and ((group_size == 0 and size >= FEW) or (group_lane == l and group_base + group_size == n_picked))
      if whole then
        if group_size == 0 then group_base, group_lane, group_flags = n_picked, l, flags end
        slices[#slices + 1] = name .. fmt('%04d%04d', w.first, size) .. mine
        group_size = group_size + size
        n_picked = n_picked + size
        room = room - size
        local taken = call('HGET', P .. 'taken', name) or ''
        call('HSET', P .. 'taken', name, taken .. CLAIM)
      else
        for i = 0, size - 1 do
          local id = sub(mine, i * ID + 1, i * ID + ID)
          if id ~= NONE then start(l, some[2], sub(name, 1, 12) .. fmt('%04d', w.first + i) .. id .. 'f', flags) end
        end
      end
      keep_waiting(name, s.key, some[2], w.first, w.first + size, sub(w.ids, size * ID + 1))
    end
  end
end

for _, priority in ipairs({ '0', '1', '2' }) do
  local some = sources[priority]
  if room > 0 and #some > 0 then
    local s = some[1]
    local free_lane = s.kind == 'adopt' or (s.kind == 'wait' and s.limits.most == 0 and not s.limits.interval)
    if #some == 1 and free_lane then
      -- Nothing to weigh: the common case of one busy queue.
      drain(s)
    else
      merge(some)
    end
  end
end
