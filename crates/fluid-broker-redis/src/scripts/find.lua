-- Runs that pass a filter, from one slice of all runs. ARGV[4]: where to look: ids (by descending id), ended (those that
-- ended first before the others), or given. [5]: where the slice begins: below an id, '' for the newest, or a number.
-- [6]: the size of the slice. [7]: at most how many. [8]: f only finished runs, '' any. [9]: i ids alone, '' whole runs.
-- Then parent, root, created from, created before, ended before, each '' if it does not matter; then, each after its
-- number: tasks, states, queues, and the ids to look at if they are given.
-- Answers: ids, records, records, and where to go on, '' at the end.
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

local candidates
if from == 'ids' then
  local below = ARGV[5] == '' and '+' or '(' .. ARGV[5]
  candidates = call('ZREVRANGEBYLEX', P .. 'ids', below, '-', 'LIMIT', 0, size)
elseif from == 'ended' then
  local till = ended_before and '(' .. ARGV[14] or '+inf'
  candidates = call('ZRANGEBYSCORE', P .. 'ended', '-inf', till, 'LIMIT', ARGV[5], size)
else
  candidates = {}
  for i = at + 1, at + tonumber(ARGV[at]) do candidates[#candidates + 1] = ARGV[i] end
end

local function passes(id, fixed, att)
  local created, state, lane_text, its_parent, its_root =
    match(fixed, '^([^\t]*)\t[^\t]*\t(%l)\t%d+\n([^\n]*)\n%l\t([^\t]*)\t([^\t]*)\t')
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
    local ended = has_ended and match(att, '\nz(%-?%d+)\n', 38)
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
    if fixed[i] and passes(some[i], fixed[i], att[i]) then
      local n = #ids + 1
      ids[n] = some[i]
      if not ids_only then runs[n], atts[n] = fixed[i], att[i] or '' end
    end
  end
end
local go_on = ''
if looked < #candidates or (#candidates == size and from ~= 'given') then
  go_on = from == 'ids' and candidates[looked] or tostring((tonumber(ARGV[5]) or 0) + looked)
end
return { ids, runs, atts, go_on }
