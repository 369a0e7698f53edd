-- ARGV[4]: how many reports. Each: id, token, progress, execution, each '' or '=' and its text, and why the attempt
-- waits: '' as before, '-' no longer, or '=' and its text. Then how many attempts end, and how they do, in sections: kind
-- (S success, F failure, A aborted, T retry, R released), the error instead if somebody asked to cancel, the delay, and
-- which: how many ranges. Of each range 'r', the token of its first and its ids, and then result or error. The tokens of
-- the others follow in the last three digits. With 'R' in its place an earlier call may have ended them.
-- Answers: for each report 1 if its lease is held; state, task and number of ends; what is to be told.
go_on_without_room()
local FEW, SHORT = 8, 1000
local at = 5
local changed, reported = {}, {}

for i = 1, tonumber(ARGV[4]) do
  local id, token = ARGV[at], ARGV[at + 1]
  local a
  local g, in_g = in_group(token, id)
  if g then
    a = set_apart(g, in_g)
    own_lease(a)
  else
    local text = changed[id] or call('HGET', P .. 'att', id)
    if text and sub(text, 1, 20) == 'r' .. token then a = parse(id, text) end
  end
  if a then
    local progress, execution, waits = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    if progress ~= '' then a.tail.p = sub(progress, 2) end
    if execution ~= '' then a.tail.e = sub(execution, 2) end
    if waits == '-' then a.tail.w = nil elseif waits ~= '' then a.tail.w = sub(waits, 2) end
    changed[id] = put(a)
    tell('p\t' .. id)
    reported[i] = '1'
  else
    reported[i] = '0'
  end
  at = at + 5
end

local total = tonumber(ARGV[at])
at = at + 1
-- Answers in their order; what ended together is one of them.
local states, tasks, sizes = {}, {}, {}
-- The ids of those that ended with a success.
local ended, n_ended = {}, 0
-- Those that are looked at one by one: id, token with its letter, section.
local alone = {}

-- What happened to so many, behind those before.
local function note(state, task, size)
  local n = #states
  if states[n] == state and tasks[n] == task then
    sizes[n] = sizes[n] + size
  else
    states[n + 1], tasks[n + 1], sizes[n + 1] = state, task, size
  end
end

-- Ends a range of a group in the common way, all with one success. False when they must be looked at one by one.
local function succeed_together(g, from, size, ids, text)
  if from < 0 or from + size > g.size then return false end
  for i = from, from + size - 1 do
    if g.gone[i] then return false end
  end
  local i = from
  while i < from + size do
    local slice = slice_at(g, i)
    local till = math.min(slice.to, from + size)
    local there = sub(slice.ids, (i - slice.from) * ID + 1, (till - slice.from) * ID)
    if there ~= sub(ids, (i - from) * ID + 1, (till - from) * ID) then return false end
    i = till
  end
  for j = from, from + size - 1 do leave(g, j, 'S') end
  local before = g.outcome_text or call('HGET', P .. 'outcome', g.number) or ''
  g.outcome_text = before .. fmt('%03d%03d%s\t%d\t', from, from + size, NOW, #text) .. text
  g.outcomes = nil
  call('HSET', P .. 'outcome', g.number, g.outcome_text)
  local l = lane(g.lane)
  count(l, 'r', -size)
  count(l, 'S', size)
  l.busy = l.busy - size
  ended[#ended + 1] = ids
  n_ended = n_ended + size
  if total <= TOLD then
    for j = 1, #ids, ID do tell('f\t' .. sub(ids, j, j + ID - 1) .. '\tS\t' .. l.task) end
  end
  note('S', l.task, size)
  return true
end

-- The same of one. Its "att" says no more than what sets it apart.
local function succeed_alone(g, i, range, text)
  if i < 0 or i >= g.size or g.gone[i] then return false end
  local slice, id = slice_at(g, i), sub(range, 21)
  local there = (i - slice.from) * ID + 1
  if find(slice.ids, id, there, true) ~= there then return false end
  local record = 'g' .. sub(range, 2) .. NOW .. '\n' .. text
  g.gone[i] = 'o'
  g.left, g.kept, g.changed = g.left - 1, g.kept + 1, true
  g.ends = (g.ends or 0) + 1
  g.l = g.l or lane(g.lane)
  changed[id] = record
  local w = #written
  written[w + 1], written[w + 2] = id, record
  n_ended = n_ended + 1
  ended[#ended + 1] = id
  if total <= TOLD then tell('f\t' .. id .. '\tS\t' .. g.l.task) end
  note('S', g.l.task, 1)
  return true
end

local seen = 0
local last_number, last_group
while seen < total do
  local kind, ranges = ARGV[at], tonumber(ARGV[at + 3])
  local section = { kind = kind, instead = ARGV[at + 1], delay = ARGV[at + 2] }
  for j = at + 4, at + 2 + 2 * ranges, 2 do
    local range, text = ARGV[j], ARGV[j + 1]
    local size = (#range - 20) / ID
    local number, a, b, c = sub(range, 2, 17), string.byte(range, 18, 20)
    local first = a * 100 + b * 10 + c - 5328
    local done = false
    if kind == 'S' then
      if number ~= last_number then last_number, last_group = number, group(number) end
      local g = last_group
      if g and size == 1 then
        done = succeed_alone(g, first - g.base, range, text)
      elseif g and size >= FEW and #text <= SHORT then
        done = succeed_together(g, first - g.base, size, sub(range, 21), text)
      end
    end
    if not done then
      for k = 0, size - 1 do
        local n = #states + 1
        sizes[n], states[n] = 1, '-'
        alone[#alone + 1] = {
          id = sub(range, 21 + k * ID, 20 + k * ID + ID), section = section, text = text, answer = n,
          token = sub(range, 1, 1) .. number .. fmt('%03d', first + k),
        }
      end
    end
    seen = seen + size
  end
  at = at + 4 + 2 * ranges
end
for _, g in pairs(groups) do
  if g and g.ends then
    count(g.l, 'r', -g.ends)
    count(g.l, 'S', g.ends)
    g.l.busy = g.l.busy - g.ends
  end
end

-- The latest so many attempts after which a run went on are remembered by token and state, so that each that asks again
-- hears the same, however many others came and went meanwhile.
local REMEMBERED, MEMORY = 32, 20

local function go_on(a, token, state)
  a.tail.f = sub(token .. state .. (a.tail.f or ''), 1, REMEMBERED * MEMORY)
  queue(a)
  tell_claimable(a)
end

-- Ends an attempt; the state of its run.
local function conclude(a, token, section, text)
  local kind = section.kind
  if kind == 'S' then
    finish(a, 'S')
    a.tail.y = text
  elseif kind == 'F' then
    finish(a, 'F', text)
    a.failures = tonumber(a.failures) + 1
  elseif kind == 'A' then
    finish(a, 'A', text)
  elseif kind == 'R' and flag(a, 2) then
    orphan(a)
    go_on(a, token, 'q')
  elseif flag(a, 1) then
    finish(a, 'A', section.instead)
  elseif kind == 'R' then
    next_attempt(a, 'r', nil, 'q')
    go_on(a, token, 'q')
  else
    local state = tonumber(section.delay) > 0 and 's' or 'q'
    next_attempt(a, 'f', text, state)
    a.failures = tonumber(a.failures) + 1
    a.due = later(tonumber(section.delay))
    go_on(a, token, state)
  end
  return public(a.state)
end

-- What an earlier call with this token wrote, if it did.
local repeated = {}
local function written_before(id, token, text)
  if repeated[id .. token] then return nil end
  repeated[id .. token] = true
  local a = parse(id, text)
  local went_on = a.tail.f or ''
  for i = 1, #went_on, MEMORY do
    if sub(went_on, i, i + MEMORY - 2) == token then
      return sub(went_on, i + MEMORY - 1, i + MEMORY - 1), lane(a.lane).task
    end
  end
  if a.token == token and is_ended(a.state) then return a.state, lane(a.lane).task end
end

-- The records of those that are in no group.
local texts = {}
if #alone > 0 then
  local some = {}
  for i, one in ipairs(alone) do
    one.group, one.at = in_group(sub(one.token, 2), one.id)
    if not one.group then some[#some + 1] = one.id end
  end
  local fetched = fetch(P .. 'att', some)
  for i = 1, #some do texts[some[i]] = fetched[i] end
end

local lane_text, lane_end, l = nil, 0, nil
for _, one in ipairs(alone) do
  local id, token, section, n = one.id, one.token, one.section, one.answer
  local record = in_full(changed[id] or texts[id])
  local doubted = AGAIN or sub(token, 1, 1) == 'R'
  if one.group and not one.group.gone[one.at] then
    local g = one.group
    record = text_at(g, one.at)
    leave(g, one.at, 'x')
  elseif not record and doubted then
    -- It may be among those that ended together.
    local g = group(sub(token, 2, 17))
    local i = g and tonumber(sub(token, 18)) - g.base
    if g and id_at(g, i) == id and g.gone[i] == 'S' then record = text_at(g, i) end
  end
  if record and sub(record, 1, 1) == 'r' and sub(record, 2, 20) == sub(token, 2) then
    local flags = sub(record, 21, 21)
    if section.kind == 'S' and (flags == '0' or flags == '2') and find(record, '\n', LANE, true) == #record then
      -- The common case: nothing but the state changes, and the result comes behind.
      if sub(record, LANE, lane_end) ~= lane_text then
        lane_text = match(record, '^[^\t]*\t', LANE)
        lane_end = LANE - 1 + #lane_text
        l = lane(sub(lane_text, 1, -2))
      end
      record = 'S' .. sub(record, 2) .. 'z' .. NOW .. '\ny' .. one.text
      changed[id] = record
      local w = #written
      written[w + 1], written[w + 2] = id, record
      left[#left + 1] = id
      ended[#ended + 1] = id
      n_ended = n_ended + 1
      count(l, 'r', -1)
      count(l, 'S', 1)
      l.busy = l.busy - 1
      if total <= TOLD then tell('f\t' .. id .. '\tS\t' .. l.task) end
      states[n], tasks[n] = 'S', l.task
    else
      local a = parse(id, record)
      states[n] = conclude(a, sub(token, 2), section, one.text)
      tasks[n] = lane(a.lane).task
      changed[id] = put(a)
    end
  elseif record and doubted then
    local state, task = written_before(id, sub(token, 2), record)
    states[n], tasks[n] = state or '-', task
  end
end

if n_ended >= FEW then
  -- One member stands for all of them.
  local ids = table.concat(ended)
  local name = '#' .. NOW .. sub(ids, 1, ID)
  call('HSET', P .. 'together', name, ids)
  add(P .. 'ended', NOW, name)
else
  for _, id in ipairs(ended) do add(P .. 'ended', NOW, id) end
end
if total > TOLD and (n_ended > 0 or #written > 0) then
  for _ = #news, TOLD do tell('C') end
end
flush()
flush_groups()

local answers = {}
for i = 1, #states do
  local n = #answers
  local state, task = states[i], tasks[i] or ''
  if n > 0 and answers[n - 2] == state and answers[n - 1] == task then
    answers[n] = answers[n] + sizes[i]
  else
    answers[n + 1], answers[n + 2], answers[n + 3] = state, task, sizes[i]
  end
end
return { table.concat(reported), answers, publish() }
