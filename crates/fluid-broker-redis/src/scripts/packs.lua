-- Many runs of one lane that were enqueued together are a packet, and those of it that are claimed together a group. What
-- is the same for all of them is kept once, so that a run costs little until something sets it apart. A run alone has
-- its record in "run", and once something happened to it one in "att"; one in a packet has neither at first.
--
-- A packet is named by the place of its first run, and its runs have the places that follow. NONE stands for an id that
-- is not there any more.
--   "index"   packet -> created TAB largest and smallest id TAB lane LF ids. "spans": largest id, smallest id, packet;
--             the two are at most SPAN milliseconds apart, so that it is known where to look for an id.
--   "texts"   packet -> what its runs carry: "s" and one text for all, or "e", where each ends (8 digits), and the texts
--   "pack"    packet -> the last four digits of the first place that waits, and the ids that do; a member "place#packet"
--             of those who wait stands for them
--   "taken"   packet -> the groups that took from it
--   "group"   claim -> started TAB consumer TAB flags TAB lane TAB number of the first in the claim TAB size LF, then
--             slices: packet(16) first place(4) size(4) ids. All of them are first attempts.
--   "gone"    claim -> a letter for each: "." it runs, "x" it has an "att" that says all, "o" one that says how it
--             succeeded: "g", token(19), id(36), ended LF result; "S" it succeeded as "outcome" says, "p" it was
--             purged; none if all run. "groups" says when their leases end.
--   "outcome" claim -> from(3) to(3) ended TAB size of the result TAB result, and so on
--
-- Some versions of Redis look at every few characters alone when they tell the strings of a script apart: where many are
-- alike but for a number, the id in them keeps them from being looked up one behind the other.
local ID, SPAN, NONE = 36, 1000, string.rep('-', 36)
local groups, packets, waiting = {}, {}, {}

-- The largest id that a packet which holds this id could have.
local function bound(id)
  local at = tonumber(sub(id, 1, 8) .. sub(id, 10, 13), 16) + SPAN + 1
  if at >= 281474976710655 then return 'g' end
  return fmt('%08x-%04x', math.floor(at / 65536), at % 65536)
end

local function packet(name)
  local p = packets[name]
  if p ~= nil then return p end
  local text = call('HGET', P .. 'index', name)
  if not text then
    packets[name] = false
    return false
  end
  local created, span, lane_text, at = match(text, '^([^\t]*)\t([^\t]*)\t([^\n]*)\n()')
  p = { name = name, created = created, span = span, lane = lane_text, ids = sub(text, at), batch = sub(name, 1, 12) }
  p.first, p.size = tonumber(sub(name, 13)), #p.ids / ID
  packets[name] = p
  return p
end

local function place_in(p, i)
  return p.batch .. fmt('%04d', p.first + i)
end

-- The packet of a run and its place in it, from 0.
local function locate(id)
  local from, at = '[' .. id, 0
  while true do
    local spans = call('ZRANGEBYLEX', P .. 'spans', from, '[' .. bound(id), 'LIMIT', at, 16)
    for i = 1, #spans do
      if sub(spans[i], 37, 72) <= id then
        local p = packet(sub(spans[i], 73))
        local there = p and find(p.ids, id, 1, true)
        if there then return p, (there - 1) / ID end
      end
    end
    if #spans < 16 then return nil end
    at = at + 16
  end
end

local function text_in(p, i)
  if not p.texts then p.texts = call('HGET', P .. 'texts', p.name) end
  if sub(p.texts, 1, 1) == 's' then return sub(p.texts, 2) end
  local data = 1 + 8 * p.size
  local from = i == 0 and 0 or tonumber(sub(p.texts, 8 * i - 6, 8 * i + 1))
  return sub(p.texts, data + from + 1, data + tonumber(sub(p.texts, 8 * i + 2, 8 * i + 9)))
end

-- The record of a run in a packet, as it would stand in "run".
local function record_in(p, i)
  return p.created .. '\t' .. p.created .. '\tq\t' .. place_in(p, i) .. '\n' .. p.lane .. '\n' .. text_in(p, i)
end

-- The record of a run, and its packet and place if it came in one; nil when there is none.
local function fixed_of(id)
  local fixed = call('HGET', P .. 'run', id)
  if fixed then return fixed end
  local p, i = locate(id)
  if p then return record_in(p, i), p, i end
end

local function is_known(id)
  return call('HEXISTS', P .. 'run', id) == 1 or locate(id) ~= nil
end

-- The ids of a packet that wait, and the place of the first of them.
local function waiting_in(name)
  local w = waiting[name]
  if w then return w end
  local text = call('HGET', P .. 'pack', name)
  w = text and { first = tonumber(sub(text, 1, 4)), ids = sub(text, 5) } or { first = 0, ids = '' }
  waiting[name] = w
  return w
end

local function group(number)
  local g = groups[number]
  if g ~= nil then return g end
  local text = call('HGET', P .. 'group', number)
  if not text then
    groups[number] = false
    return false
  end
  local started, consumer, flags, lane_text, base, size, at =
    match(text, '^([^\t]*)\t([^\t]*)\t(%d)\t([^\t]*)\t(%d+)\t(%d+)\n()')
  g = {
    number = number, started = started, consumer = consumer, flags = flags, lane = lane_text,
    base = tonumber(base), size = tonumber(size), left = tonumber(size), kept = 0, slices = {}, gone = {},
  }
  local from = 0
  while at <= #text do
    local n = tonumber(sub(text, at + 20, at + 23))
    g.slices[#g.slices + 1] = {
      packet = sub(text, at, at + 15), batch = sub(text, at, at + 11), first = tonumber(sub(text, at + 16, at + 19)),
      from = from, to = from + n, ids = sub(text, at + 24, at + 23 + ID * n),
    }
    from, at = from + n, at + 24 + ID * n
  end
  local gone = call('HGET', P .. 'gone', number)
  if gone then
    for i = 1, #gone do
      local letter = sub(gone, i, i)
      if letter ~= '.' then
        g.gone[i - 1] = letter
        g.left = g.left - 1
        if letter == 'S' or letter == 'o' then g.kept = g.kept + 1 end
      end
    end
  end
  groups[number] = g
  return g
end

local function slice_at(g, i)
  local slice = g.slice
  if slice and i >= slice.from and i < slice.to then return slice end
  for _, other in ipairs(g.slices) do
    if i >= other.from and i < other.to then
      g.slice = other
      return other
    end
  end
end

-- The id of one of a group. Nothing if there is none.
local function id_at(g, i)
  if i < 0 or i >= g.size then return nil end
  local slice = slice_at(g, i)
  local at = (i - slice.from) * ID
  return sub(slice.ids, at + 1, at + ID)
end

local function place_at(g, i)
  local slice = slice_at(g, i)
  return slice.batch .. fmt('%04d', slice.first + i - slice.from)
end

-- The group and the place in it that a token belongs to, if the run runs in it.
local function in_group(token, id)
  local g = group(sub(token, 1, 16))
  if not g then return nil end
  local i = tonumber(sub(token, 17, 19)) - g.base
  if not g.gone[i] and id_at(g, i) == id then return g, i end
end

local function outcome_at(g, i)
  if not g.outcomes then
    g.outcomes = {}
    local text, at = call('HGET', P .. 'outcome', g.number) or '', 1
    while at <= #text do
      local ended, size, behind = match(text, '^([^\t]*)\t(%d+)\t()', at + 6)
      g.outcomes[#g.outcomes + 1] = {
        from = tonumber(sub(text, at, at + 2)), to = tonumber(sub(text, at + 3, at + 5)), ended = ended,
        result = sub(text, behind, behind + size - 1),
      }
      at = behind + size
    end
  end
  for _, outcome in ipairs(g.outcomes) do
    if i >= outcome.from and i < outcome.to then return outcome end
  end
end

local function first_attempt(g, i)
  return g.number .. fmt('%03d', g.base + i) .. g.flags .. place_at(g, i) .. id_at(g, i) .. g.lane .. '\t\t' .. g.started
    .. '\t1\t0\t0\t' .. g.consumer .. '\n'
end

-- An "att" that leaves to its group what it has in common with the others, in full; and the group and its place there.
local function in_full(text)
  if not text or sub(text, 1, 1) ~= 'g' then return text end
  local g = group(sub(text, 2, 17))
  local i = tonumber(sub(text, 18, 20)) - g.base
  local ended, result = match(text, '^(%-?%d+)\n(.*)$', 57)
  return 'S' .. first_attempt(g, i) .. 'z' .. ended .. '\ny' .. result, g, i
end

-- The "att" of a run in a group, as if it were written.
local function text_at(g, i)
  local text = first_attempt(g, i)
  if g.gone[i] == 'S' then
    local outcome = outcome_at(g, i)
    return 'S' .. text .. 'z' .. outcome.ended .. '\ny' .. outcome.result
  end
  return 'r' .. text
end

-- The group of a run in a packet and its place there; nothing if it was not claimed with others.
local function group_of(p, i)
  local taken = call('HGET', P .. 'taken', p.name) or ''
  for at = 1, #taken, 16 do
    local g = group(sub(taken, at, at + 15))
    for _, slice in ipairs(g and g.slices or {}) do
      local there = p.first + i - slice.first
      if slice.packet == p.name and there >= 0 and there < slice.to - slice.from then return g, slice.from + there end
    end
  end
end

-- The "att" of a run in a packet, as if it were written; nil when there is nothing to say.
local function att_in(p, i)
  local g, at = group_of(p, i)
  if g and (g.gone[at] or 'S') == 'S' then return text_at(g, at), g, at end
end
