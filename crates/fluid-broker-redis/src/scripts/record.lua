-- The two records of a run.
--
-- "run", written once when it is enqueued:
--   created TAB due TAB state TAB place(16) id LF lane LF
--   trigger TAB parent TAB root TAB retry_of TAB max_interruptions TAB secrets TAB unique LF parameters
-- "att", from its first attempt on, or from the moment that a scheduled run came due:
--   state token(19) flags place(16) id(36) lane TAB due TAB started TAB attempt TAB failures TAB interruptions TAB consumer LF
--   then lines of a letter and a text, of which the last, "y" with the result, may span several.
-- An empty due is that of the request.
-- states: s scheduled, q queued, o queued to be adopted, r running, S F A I L success, failure, aborted, interrupted,
-- rate limited. flags: 1 cancellation asked for, 2 survives its consumer, 4 has a unique key, 8 ended while it waited.
-- A member of a set of waiting runs: place(16) id(36) and f, u (never started; u has a unique key) or a (has an "att").
local LANE = 74 -- where the lane begins
local TAGS = { 'z', 'f', 'e', 'w', 'p', 'x' }

local function parse(id, text)
  local a = {
    id = id, state = sub(text, 1, 1), token = sub(text, 2, 20), flags = tonumber(sub(text, 21, 21), 16),
    place = sub(text, 22, 37), tail = {},
  }
  local tail
  a.lane, a.due, a.started, a.attempt, a.failures, a.interruptions, a.consumer, tail =
    match(text, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t(%d+)\t(%d+)\t(%d+)\t([^\n]*)\n(.*)$', LANE)
  for tag, line in string.gmatch(tail, '(%l)([^\n]*)\n') do a.tail[tag] = line end
  return a
end

-- A run that never started.
local function bare(id, state, place, lane_text, due, unique)
  return {
    id = id, state = state, token = ZERO, flags = unique and 4 or 0, place = place, lane = lane_text, due = due,
    started = '', attempt = 0, failures = 0, interruptions = 0, consumer = '', tail = {},
  }
end

local function bare_member(state, member, lane_text, due)
  local unique = sub(member, 53, 53) == 'u'
  return bare(sub(member, 17, 52), state, sub(member, 1, 16), lane_text, due, unique)
end

local function build(a)
  local parts = {
    a.state, a.token, fmt('%x', a.flags), a.place, a.id, a.lane, '\t', a.due, '\t', a.started, '\t', a.attempt, '\t',
    a.failures, '\t', a.interruptions, '\t', a.consumer, '\n',
  }
  for i = 1, #TAGS do
    local line = a.tail[TAGS[i]]
    if line then parts[#parts + 1] = TAGS[i] .. line .. '\n' end
  end
  if a.tail.y then parts[#parts + 1] = 'y' .. a.tail.y end
  return table.concat(parts)
end

local function put(a)
  local text = build(a)
  written[#written + 1] = a.id
  written[#written + 1] = text
  return text
end

local function is_ended(state)
  return find('SFAIL', state, 1, true) ~= nil
end

local function flag(a, bit_)
  return bit.band(a.flags, bit_) ~= 0
end

-- What only the record of the request has: how many attempts may be lost, the unique key, and the first due time.
local function request(id)
  local due, most, unique = match(
    (fixed_of(id)),
    '^[^\t]*\t([^\t]*)[^\n]*\n[^\n]*\n[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t(%d+)\t[^\t]*\t([^\n]*)\n'
  )
  return tonumber(most), unique, due
end

-- A run as it stands, nil when there is none. In a packet or group it is said where.
local function load(id)
  local text = in_full(call('HGET', P .. 'att', id))
  if text then return parse(id, text) end
  local fixed, p, i = fixed_of(id)
  if not fixed then return nil end
  local a
  if p then
    local att, g, at = att_in(p, i)
    a = att and parse(id, att) or bare(id, 'q', place_in(p, i), p.lane, p.created, false)
    a.packet, a.at_packet, a.group, a.at_group = p, i, g, at
    return a
  end
  local due, state, place, lane_text, unique =
    match(fixed, '^[^\t]*\t([^\t]*)\t(%l)\t([^\n]*)\n([^\n]*)\n[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t%d+\t[^\t]*\t([^\n]*)\n')
  return bare(id, state, sub(place, 1, 16), lane_text, due, unique ~= '')
end

local function member_of(a)
  local kind = 'a'
  if tonumber(a.attempt) == 0 then kind = flag(a, 4) and 'u' or 'f' end
  return a.place .. a.id .. kind
end

-- Puts a run back: where it waits for its due time, for a claim, or for its adoption.
local function queue(a)
  local l = lane(a.lane)
  if a.due == '' then
    local _, _, due = request(a.id)
    a.due = due
  end
  if a.state == 's' then
    add(P .. 'due', a.due, member_of(a) .. a.lane)
  elseif a.state == 'o' then
    opened['adopt:' .. l.place] = true
    add(P .. 'adopt:' .. l.place, a.due, member_of(a))
  else
    wait(l, a.due, member_of(a))
  end
end

local function public(state)
  return state == 'o' and 'q' or state
end

-- Moves a run to another state and keeps the counts. Who had it loses it.
local function move(a, state)
  local l = lane(a.lane)
  count(l, public(a.state), -1)
  count(l, public(state), 1)
  if a.state == 'r' then left[#left + 1] = a.id end
  if (a.state == 'r' or a.state == 'o') and state ~= 'r' and state ~= 'o' then l.busy = l.busy - 1 end
  a.state = state
  a.tail.w, a.tail.p = nil, nil
  return l
end

-- A finished run no longer stands in the way of others with its unique key, or only as long as its window lasts.
local function free(a, task)
  if not flag(a, 4) then return end
  local _, unique = request(a.id)
  local slot = task .. '/' .. sub(unique, 2)
  local holder, till = match(call('HGET', P .. 'unique', slot) or '', '^([^\t]*)\t([^\t]*)')
  if holder ~= a.id then return end
  if till ~= '' and tonumber(till) > now then
    call('HSET', P .. 'unique', slot, a.id .. '\t' .. till .. '\tended')
  else
    call('HDEL', P .. 'unique', slot)
  end
end

-- The run ends, and with it its attempt if there is one.
local function finish(a, state, err)
  if a.state ~= 'r' and a.state ~= 'o' then a.flags = bit.bor(a.flags, 8) end
  local l = move(a, state)
  a.flags = bit.band(a.flags, 14)
  a.tail.x, a.tail.z = err, NOW
  add(P .. 'ended', NOW, a.id)
  free(a, l.task)
  tell('f\t' .. a.id .. '\t' .. state .. '\t' .. l.task)
end

-- The attempt ends and the run goes on, in a state that waits.
local function next_attempt(a, outcome, err, state)
  call('RPUSH', P .. 'past/' .. a.id, table.concat({
    a.attempt, outcome, a.started, NOW, a.consumer, a.tail.e and '=' .. a.tail.e or '',
  }, '\t') .. '\n' .. (err or ''))
  local l = move(a, state)
  a.tail.x = err or a.tail.x
  a.flags = bit.band(a.flags, 12)
  tell('f\t' .. a.id .. '\t' .. state .. '\t' .. l.task)
  return l
end

-- The consumer is gone and the attempt goes on.
local function orphan(a)
  move(a, 'o')
end

local function tell_claimable(a)
  tell('e\t' .. a.id .. '\t' .. lane(a.lane).task)
end
