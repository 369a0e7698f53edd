-- Runs that pass a filter, from one slice of all runs. ARGV[4]: where to look: ids (by descending id), ended (those that
-- ended first before the others), or given. [5]: where the slice begins: below an id, '' for the newest, or a number.
-- [6]: the size of the slice. [7]: at most how many. [8]: f only finished runs, '' any. [9]: i ids alone, '' whole runs.
-- Then parent, root, created from, created before, ended before, each '' if it does not matter; then, each after its
-- number: tasks, states, queues, and the ids to look at if they are given.
-- Answers: ids, records, records, where to go on ('' at the end), and the members of "ended" that were looked at.
local from, size, most, finished, ids_only = ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == 'f', ARGV[9] == 'i'
local parent, root = ARGV[10], ARGV[11]
local created_from, created_before, ended_before = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local at = 15
local function set()
  local n = tonumber(ARGV[at])
  local all = n > 0 and {} or nil
  for i = 1, n do all[ARGV[at + i]] = true end
  at = at + n + 1
  return all
end
local tasks, states, queues = set(), set(), set()

-- In which packet a run is, and where.
local in_packet, at_packet = {}, {}

-- All ids in descending order, below one, at least so many if there are.
local function newest(below, n)
  local ids = call('ZREVRANGEBYLEX', P .. 'ids', below == '' and '+' or '(' .. below, '-', 'LIMIT', 0, n)
  local whole = #ids < n
  local from = below == '' and '+' or '[' .. bound(below)
  local at, more = 0, true
  while more do
    local spans = call('ZREVRANGEBYLEX', P .. 'spans', from, '-', 'LIMIT', at, 16)
    at, more = at + #spans, #spans == 16
    for _, span in ipairs(spans) do
      local largest, smallest = sub(span, 1, 36), sub(span, 37, 72)
      if #ids >= n then
        table.sort(ids, function(one, other) return one > other end)
        for i = #ids, n + 1, -1 do
          ids[i] = nil
          whole = false
        end
        -- All that come now are further back.
        if ids[n] > largest then return ids, false end
      end
      if below == '' or smallest < below then
        local p = packet(sub(span, 73))
        for i = 0, p.size - 1 do
          local id = sub(p.ids, i * ID + 1, i * ID + ID)
          if id ~= NONE and (below == '' or id < below) then
            ids[#ids + 1] = id
            in_packet[id], at_packet[id] = p, i
          end
        end
      end
    end
  end
  table.sort(ids, function(one, other) return one > other end)
  for i = #ids, n + 1, -1 do
    ids[i] = nil
    whole = false
  end
  return ids, whole
end

-- Ended runs in the order in which they ended, from a place "score offset" on, and the members that stand for them.
local candidates, members, whole = {}, {}, true
if from == 'ids' then
  candidates, whole = newest(ARGV[5], size)
elseif from == 'ended' then
  local score, offset = match(ARGV[5], '^(%S+) (%d+)$')
  local till = ended_before and '(' .. ARGV[14] or '+inf'
  local found = call('ZRANGEBYSCORE', P .. 'ended', score, till, 'WITHSCORES', 'LIMIT', offset, size)
  whole = #found < 2 * size
  for i = 1, #found, 2 do
    if #candidates >= size then
      whole = false
      break
    end
    members[#members + 1], members[#members + 2] = found[i], found[i + 1]
    if sub(found[i], 1, 1) == '#' then
      local ids = call('HGET', P .. 'together', found[i]) or ''
      for j = 1, #ids, 36 do candidates[#candidates + 1] = sub(ids, j, j + 35) end
    else
      candidates[#candidates + 1] = found[i]
    end
  end
else
  for i = at + 1, at + tonumber(ARGV[at]) do candidates[#candidates + 1] = ARGV[i] end
end

local function passes(id, fixed, att)
  local created, state, lane_text, its_parent, its_root =
    match(fixed, '^([^\t]*)\t[^\t]*\t(%l)\t[^\n]*\n([^\n]*)\n%l\t([^\t]*)\t([^\t]*)\t')
  if att then state = sub(att, 1, 1) end
  if state == 'o' then state = 'q' end
  local has_ended = find('SFAIL', state, 1, true)
  if (finished and not has_ended) or (states and not states[state]) then return false end
  if tasks or queues then
    local task, queue = match(lane_text, '^%d/([^/]*)/([^/]*)')
    if (tasks and not tasks[task]) or (queues and not queues[queue]) then return false end
  end
  if parent ~= '' and its_parent ~= parent then return false end
  if root ~= '' and id ~= root and its_root ~= root then return false end
  if created_from and tonumber(created) < created_from then return false end
  if created_before and tonumber(created) >= created_before then return false end
  if ended_before then
    local ended = has_ended and match(att, '\nz(%-?%d+)\n', 74)
    if not ended or tonumber(ended) >= ended_before then return false end
  end
  return true
end

-- A few at a time: what runs carry may be large.
local FEW = 50
local ids, runs, atts = {}, {}, {}
local looked = 0
while looked < #candidates and #ids < most do
  local some = {}
  for i = looked + 1, math.min(looked + FEW, #candidates) do some[#some + 1] = candidates[i] end
  local fixed, att = call('HMGET', P .. 'run', unpack(some)), call('HMGET', P .. 'att', unpack(some))
  for i = 1, #some do
    if #ids == most then break end
    looked = looked + 1
    local id, record, text = some[i], fixed[i], in_full(att[i])
    if not record then
      local p, at_p = in_packet[id], at_packet[id]
      if not p then p, at_p = locate(id) end
      if p then
        record = record_in(p, at_p)
        text = text or att_in(p, at_p)
      end
    end
    if record and passes(id, record, text) then
      local n = #ids + 1
      ids[n] = id
      if not ids_only then runs[n], atts[n] = record, text or '' end
    end
  end
end
local go_on = ''
if from == 'ids' then
  if looked < #candidates or not whole then go_on = candidates[looked] or '' end
elseif from == 'ended' and looked == #candidates and not whole then
  -- Behind the last member that was looked at, of those with its score.
  local last, same = members[#members], 0
  for i = 2, #members, 2 do
    if members[i] == last then same = same + 1 end
  end
  local score, offset = match(ARGV[5], '^(%S+) (%d+)$')
  go_on = last .. ' ' .. (last == score and same + tonumber(offset) or same)
elseif from == 'ended' and looked < #candidates then
  go_on = ARGV[5]
end
local names = {}
for i = 1, #members, 2 do names[#names + 1] = members[i] end
return { ids, runs, atts, go_on, names }
