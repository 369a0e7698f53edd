-- Of a claim: what was chosen is leased and told.

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
      text = fmt('r%s%03d%x%s%s', CLAIM, picked_at[i], flags, sub(member, 1, 52), rest)
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
