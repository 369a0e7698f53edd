-- ARGV[4]: how many reports. Each: id, token, progress, execution, each '' or '=' and its text, and why the attempt
-- waits: '' as before, '-' no longer, or '=' and its text. Then how many attempts end, their ids, their tokens with 'r'
-- before them, or 'R' where an earlier call may have ended them; then sections of how they end: kind (S success, F
-- failure, A aborted, T retry, R released), how many, result or error, the error instead if somebody asked to cancel,
-- the delay.
-- Answers: for each report 1 if its lease is held; state, task and number of ends; what is to be told.
go_on_without_room()
local at = 5
local changed, reported = {}, {}

for i = 1, tonumber(ARGV[4]) do
  local id, token = ARGV[at], ARGV[at + 1]
  local a
  local g, i_in_group = in_group(token, id)
  if g then
    local _, place = member_at(g, i_in_group)
    a = set_apart(g, i_in_group, id, place)
    own_lease(a)
  else
    local text = changed[id] or call('HGET', P .. 'att', id)
    if text and sub(text, 1, 20) == 'r' .. token then a = parse(id, text) end
  end
  if a then
    local progress, execution, waiting = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    if progress ~= '' then a.tail.p = sub(progress, 2) end
    if execution ~= '' then a.tail.e = sub(execution, 2) end
    if waiting == '-' then a.tail.w = nil elseif waiting ~= '' then a.tail.w = sub(waiting, 2) end
    changed[id] = put(a)
    tell('p\t' .. id)
    reported[i] = '1'
  else
    reported[i] = '0'
  end
  at = at + 5
end

local total = tonumber(ARGV[at])
local ids, tokens = at, at + total
at = at + 2 * total + 1
local answers = {}
local function answer(state, task)
  local n = #answers
  if answers[n - 2] == state and answers[n - 1] == task then
    answers[n] = answers[n] + 1
  else
    answers[n + 1], answers[n + 2], answers[n + 3] = state, task, 1
  end
end

local function go_on(a, token, state)
  a.tail.f = token .. state
  queue(a)
  tell_claimable(a)
end

-- Ends an attempt; the state of its run.
local function conclude(a, token, kind, text, instead, delay)
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
    finish(a, 'A', instead)
  elseif kind == 'R' then
    next_attempt(a, 'r', nil, 'q')
    go_on(a, token, 'q')
  else
    local state = tonumber(delay) > 0 and 's' or 'q'
    next_attempt(a, 'f', text, state)
    a.failures = tonumber(a.failures) + 1
    a.due = later(tonumber(delay))
    go_on(a, token, state)
  end
  return public(a.state)
end

-- Those that ended together.
local ended = {}

-- What an earlier call with this token wrote, if it did.
local repeated = {}
local function written_before(id, token, text)
  if repeated[id] then return nil end
  repeated[id] = true
  local a = parse(id, text)
  if a.tail.f and sub(a.tail.f, 1, 19) == token then return sub(a.tail.f, 20), lane(a.lane).task end
  if a.token == token and is_ended(a.state) then return a.state, lane(a.lane).task end
end

-- The records of those that are in no group.
local some, texts = {}, {}
do
  local number, g
  for j = 1, total do
    local token = ARGV[tokens + j]
    local its = sub(token, 2, 17)
    if its ~= number then number, g = its, group(its) end
    if not g or member_at(g, tonumber(sub(token, 18)) - g.base) ~= ARGV[ids + j] then some[#some + 1] = ARGV[ids + j] end
  end
  local fetched = fetch(P .. 'att', some)
  for j = 1, #some do texts[some[j]] = fetched[j] end
end

local number, g, before, behind
-- Ends an attempt that is still in its group, in the common way: with a success.
local function succeed(id, token, at, text)
  local slice = g.slice
  local entry = (at - slice.from) * ENTRY
  local record = 'S' .. sub(token, 2) .. before .. slice.batch .. sub(slice.entries, entry + 1, entry + 4) .. behind .. text
  leave(g, at)
  local n = #written
  written[n + 1], written[n + 2] = id, record
  changed[id] = record
  ended[#ended + 1] = id
  g.l.ends = (g.l.ends or 0) + 1
  if total <= TOLD then tell('f\t' .. id .. '\tS\t' .. g.l.task) end
  answer('S', g.l.task)
end

local i = 0
local lane_text, lane_end, l = nil, 0, nil
while i < total do
  local kind, size, text, instead, delay = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  at = at + 5
  local success = 'z' .. NOW .. '\ny' .. text
  for j = i + 1, i + size do
    local id, token = ARGV[ids + j], ARGV[tokens + j]
    local record = changed[id]
    local at_place
    if not record then
      if sub(token, 2, 17) ~= number then
        number = sub(token, 2, 17)
        g = group(number)
        if g then
          g.l = lane(g.lane)
          before = fmt('%d', g.flags)
          behind = g.lane .. '\t\t' .. g.started .. '\t1\t0\t0\t' .. g.consumer .. '\nz' .. NOW .. '\ny'
        end
      end
      if g then
        at_place = tonumber(sub(token, 18)) - g.base
        local member, place = member_at(g, at_place)
        if member ~= id then
          at_place = nil
        elseif kind ~= 'S' then
          local a = set_apart(g, at_place, id, place)
          at_place, record = nil, build(a)
        end
      end
      record = record or texts[id]
    end
    if at_place then
      succeed(id, token, at_place, text)
    elseif not record then
      answer('-', '')
    elseif sub(record, 1, 20) == token
      or (sub(record, 1, 1) == 'r' and sub(record, 2, 20) == sub(token, 2)) then
      local flags = sub(record, 21, 21)
      if kind == 'S' and (flags == '0' or flags == '2') and find(record, '\n', 38, true) == #record then
        -- The common case: nothing but the state changes, and the result comes behind.
        if sub(record, 38, lane_end) ~= lane_text then
          lane_text = match(record, '^[^\t]*\t', 38)
          lane_end = 37 + #lane_text
          l = lane(sub(lane_text, 1, -2))
        end
        record = 'S' .. sub(record, 2) .. success
        changed[id] = record
        local n = #written
        written[n + 1], written[n + 2] = id, record
        left[#left + 1] = id
        ended[#ended + 1] = id
        l.ends = (l.ends or 0) + 1
        if total <= TOLD then tell('f\t' .. id .. '\tS\t' .. l.task) end
        answer('S', l.task)
      else
        local a = parse(id, record)
        local state = conclude(a, sub(token, 2), kind, text, instead, delay)
        changed[id] = put(a)
        answer(state, lane(a.lane).task)
      end
    elseif AGAIN or sub(token, 1, 1) == 'R' then
      local state, task = written_before(id, sub(token, 2), record)
      answer(state or '-', task or '')
    else
      answer('-', '')
    end
  end
  i = i + size
end

for _, ends in pairs(lanes) do
  if ends.ends then
    count(ends, 'r', -ends.ends)
    count(ends, 'S', ends.ends)
    ends.busy = ends.busy - ends.ends
    ends.ends = nil
  end
end
if #ended >= 8 then
  -- One member stands for all of them.
  local name = '#' .. NOW .. sub(ARGV[tokens + 1], 2)
  call('HSET', P .. 'together', name, table.concat(ended))
  add(P .. 'ended', NOW, name)
else
  for j = 1, #ended do add(P .. 'ended', NOW, ended[j]) end
end
if total > TOLD and #written > 0 then
  for _ = #news, TOLD do tell('C') end
end
flush()
flush_groups()
return { table.concat(reported), answers, publish() }
