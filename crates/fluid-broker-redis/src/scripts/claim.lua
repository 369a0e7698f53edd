-- ARGV[4]: the claim's number, 16 digits. [5]: at most how many runs. [6]: the lease in microseconds. [7]: the consumer.
-- Then, each after its number: claims whose answer arrived, queues, tasks. A task is its name, or name TAB
-- max_concurrency TAB interval TAB tolerance TAB w or r (wait, reject) TAB 1 if it survives its consumer.
-- The token of the nth run is the claim's number and three digits of n - 1.
local DUE_AT_ONCE, LOST_AT_ONCE, GROUPS_AT_ONCE, SLICE, FEW = 2000, 1000, 4, 64, 8
local CLAIM, room, LEASE, CONSUMER = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
go_on_without_room()
local before = call('GET', P .. 'claim/' .. CLAIM)
if before then
  -- Its answer was lost. What it leased and is still held under it is told once more.
  local ids, members, held, known = {}, {}, {}, {}
  for i = 1, #before, 36 do ids[#ids + 1] = sub(before, i, i + 35) end
  local texts = fetch(P .. 'att', ids)
  for i = 1, #ids do
    local fixed, p, at = fixed_of(ids[i])
    local text = texts[i] or (p and att_in(p, at))
    if fixed and text and sub(text, 1, 17) == 'r' .. CLAIM then
      local n = #known + 1
      known[n], held[2 * n - 1], held[2 * n] = fixed, n, text
      members[n] = sub(text, 22, 37) .. ids[i] .. 'a'
    end
  end
  return { NOW, NOW, '', members, known, held }
end
-- It was answered long ago, or to nobody: a number is used once.
if call('HEXISTS', P .. 'group', CLAIM) == 1 then return { NOW, NOW, '', {}, {}, {} } end

local at = 8
local function list()
  local all, n = {}, tonumber(ARGV[at])
  for i = 1, n do all[i] = ARGV[at + i] end
  at = at + n + 1
  return all
end
local answered, wanted_queues, wanted_tasks = list(), {}, {}
for _, name in ipairs(list()) do wanted_queues[name] = true end
for _, text in ipairs(list()) do
  local name, most, interval, tolerance, exceeded, survives =
    match(text, '^([^\t]*)\t(%d+)\t(%d*)\t(%d*)\t(%l?)\t(%d)$')
  if name then
    wanted_tasks[name] = {
      most = tonumber(most), interval = tonumber(interval), tolerance = tonumber(tolerance), exceeded = exceeded,
      survives = survives == '1' and 2 or 0,
    }
  else
    wanted_tasks[text] = { most = 0, survives = 0 }
  end
end

-- Leases that ran out.
local function lost(a)
  local quoted = '\\"' .. a.consumer .. '\\"'
  if flag(a, 2) then
    orphan(a)
  elseif flag(a, 1) then
    finish(a, 'A', '{"kind":"aborted","message":"cancelled; consumer ' .. quoted
      .. ' vanished before it ended the attempt"}')
  else
    local err = '{"kind":"lost","message":"consumer ' .. quoted
      .. ' vanished: it did not extend its lease in time"}'
    if tonumber(a.interruptions) >= request(a.id) then
      finish(a, 'I', err)
    else
      next_attempt(a, 'i', err, 'q')
    end
    a.interruptions = tonumber(a.interruptions) + 1
  end
  -- Nobody may take this for the end that the token wrote.
  a.token = ZERO
  if not is_ended(a.state) then
    queue(a)
    tell_claimable(a)
  end
  put(a)
end

local over = call('ZRANGEBYSCORE', P .. 'leases', '-inf', NOW, 'LIMIT', 0, LOST_AT_ONCE)
local texts = fetch(P .. 'att', over)
for i = 1, #over do lost(parse(over[i], texts[i])) end
local over_groups = call('ZRANGEBYSCORE', P .. 'groups', '-inf', NOW, 'LIMIT', 0, GROUPS_AT_ONCE)
for i = 1, #over_groups do
  local g = group(over_groups[i])
  for j = 0, g.size - 1 do
    if not g.gone[j] then lost(set_apart(g, j)) end
  end
end

-- Runs that came due.
local due = call('ZRANGEBYSCORE', P .. 'due', '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, DUE_AT_ONCE)
if #due > 0 then
  call('ZREMRANGEBYRANK', P .. 'due', 0, #due / 2 - 1)
  for i = 1, #due, 2 do
    local member, lane_text = sub(due[i], 1, 53), sub(due[i], 54)
    local l = lane(lane_text)
    local id = sub(member, 17, 52)
    if sub(member, 53) == 'a' then
      local text = call('HGET', P .. 'att', id)
      written[#written + 1], written[#written + 2] = id, 'q' .. sub(text, 2)
    else
      put(bare_member('q', member, lane_text, fmt('%.0f', due[i + 1])))
    end
    wait(l, due[i + 1], member)
    count(l, 's', -1)
    count(l, 'q', 1)
  end
end
if #over > 0 or #over_groups > 0 or #due > 0 then
  flush()
  flush_groups()
end

-- Who goes next.
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

-- The leases. All runs are given in their order: those before the group, those in it, those behind it.
local ids, texts_by_place = {}, {}
local till = later(LEASE)
local function lease_alone()
  local old, old_at, single_ids = {}, {}, {}
  for i = 1, #picked do
    local member = picked[i]
    single_ids[i] = sub(member, 17, 52)
    ids[picked_at[i] + 1] = single_ids[i]
    if sub(member, 53, 53) == 'a' then
      old[#old + 1] = single_ids[i]
      old_at[i] = #old
    end
  end
  local old_texts = fetch(P .. 'att', old)
  local leases = {}
  local w = #written
  local last_lane, last_due, rest
  for i = 1, #picked do
    local l, due_text, id, text = picked_lane[i], picked_due[i], single_ids[i], nil
    if old_at[i] then
      local a = parse(id, old_texts[old_at[i]])
      if a.state ~= 'o' then
        a.attempt, a.started, a.tail.e = tonumber(a.attempt) + 1, NOW, nil
        l.busy = l.busy + 1
      end
      a.state, a.consumer = 'r', CONSUMER
      a.token = CLAIM .. fmt('%03d', picked_at[i])
      a.flags = bit.bor(bit.band(a.flags, 5), picked_flags[i])
      text = build(a)
      texts_by_place[#texts_by_place + 1], texts_by_place[#texts_by_place + 2] = picked_at[i] + 1, text
      if #news < TOLD then tell('s\t' .. id .. '\t' .. a.attempt .. '\t' .. l.task) end
    else
      if l ~= last_lane or due_text ~= last_due then
        rest = l.text .. '\t' .. fmt('%.0f', due_text) .. '\t' .. NOW .. '\t1\t0\t0\t' .. CONSUMER .. '\n'
        last_lane, last_due = l, due_text
      end
      local member, flags = picked[i], picked_flags[i]
      if sub(member, 53, 53) == 'u' then flags = flags + 4 end
      text = fmt('r%s%03d%x%s%s', CLAIM, picked_at[i], flags, sub(member, 1, 16), rest)
      l.busy = l.busy + 1
      if #news < TOLD then tell('s\t' .. id .. '\t1\t' .. l.task) end
    end
    count(l, 'q', -1)
    count(l, 'r', 1)
    written[w + 1], written[w + 2] = id, text
    w = w + 2
    leases[2 * i - 1], leases[2 * i] = till, id
  end
  many('ZADD', P .. 'leases', leases)
end

local function lease_together()
  local at = group_base
  for _, slice in ipairs(slices) do
    for i = 25, #slice, ID do
      at = at + 1
      ids[at] = sub(slice, i, i + ID - 1)
    end
  end
  for i = group_base + 1, math.min(at, group_base + TOLD - #news) do tell('s\t' .. ids[i] .. '\t1\t' .. group_lane.task) end
  call('HSET', P .. 'group', CLAIM, table.concat({
    NOW, CONSUMER, group_flags, group_lane.text, group_base, group_size,
  }, '\t') .. '\n' .. table.concat(slices))
  call('ZADD', P .. 'groups', till, CLAIM)
  count(group_lane, 'q', -group_size)
  count(group_lane, 'r', group_size)
  group_lane.busy = group_lane.busy + group_size
end
if group_size > 0 then lease_together() end
if #picked > 0 then lease_alone() end
for name, slot in pairs(slots) do
  if slot.counted then
    call('ZREMRANGEBYSCORE', P .. 'rates', '-inf', NOW)
    call('ZADD', P .. 'rates', fmt('%.0f', slot.arrival), name)
  end
end
flush()
for i = 1, #answered do answered[i] = P .. 'claim/' .. answered[i] end
if #answered > 0 then call('DEL', unpack(answered)) end
if n_picked > 0 or AGAIN then
  call('SET', P .. 'claim/' .. CLAIM, table.concat(ids), 'PX', fmt('%.0f', math.max(1000, math.ceil(LEASE / 500))))
end

local next_at = waits
for _, name in ipairs({ 'due', 'leases', 'groups' }) do
  local first = call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')
  if first[1] then next_at = math.min(next_at or math.huge, tonumber(first[2])) end
end
-- Those that are alone and before the group, the group, and those behind it. Of a slice of a packet its ids are told, when
-- it was enqueued, its lane, and what its runs carry.
local members, alone, fixed = {}, {}, {}
local function texts_of(p, from, size)
  local first = text_in(p, from)
  if size == p.size or sub(p.texts, 1, 1) == 's' then return p.texts end
  local ends, texts, till = {}, { first }, #first
  ends[1] = fmt('%08d', till)
  for i = 1, size - 1 do
    texts[i + 1] = text_in(p, from + i)
    till = till + #texts[i + 1]
    ends[i + 1] = fmt('%08d', till)
  end
  return 'e' .. table.concat(ends) .. table.concat(texts)
end
local function slices_are_next()
  for _, slice in ipairs(slices) do
    local p = packet(sub(slice, 1, 16))
    local texts = texts_of(p, tonumber(sub(slice, 17, 20)) - p.first, tonumber(sub(slice, 21, 24)))
    members[#members + 1] = { sub(slice, 25), p.created, p.lane, texts }
  end
end
for i = 1, #picked do
  if group_size > 0 and picked_at[i] == group_base + group_size then slices_are_next() end
  members[#members + 1] = picked[i]
  alone[i] = sub(picked[i], 17, 52)
end
if group_size > 0 and n_picked == group_base + group_size then slices_are_next() end
fixed = fetch(P .. 'run', alone)
for i = 1, #alone do fixed[i] = fixed[i] or fixed_of(alone[i]) end
return { NOW, next_at and fmt('%.0f', next_at) or '', publish(), members, fixed, texts_by_place }
