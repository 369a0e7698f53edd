-- Many runs of one lane that were enqueued together are a packet, and those of it that are claimed together a group. What
-- is the same for all of them is kept once, so that a run costs little until something sets it apart.
--
-- A packet is named by the place of its first run. Runs of it are entries of four digits of place and an id.
--   "pack"   packet -> entries that wait to be claimed; a member "packet#" stands for them among those who wait
--   "index"  packet -> largest id, smallest id, all entries: how runs are listed; also "spans", a set of
--            largest id, smallest id, packet. The two ids are at most SPAN milliseconds apart.
--   "group"  claim -> started TAB consumer TAB flags TAB lane TAB number of the first in the claim TAB size LF, then
--            slices: packet(16) size(4) entries. All are first attempts that nothing is known of but that they run.
--   "gone"   claim -> a letter for each, "x" once it is no longer in the group
--   "groups" when the leases of each end
--   "taken"  packet -> the groups that took from it
local ENTRY, SPAN = 40, 1000
local groups, waiting = {}, {}

-- The largest id that a packet which holds this id could have.
local function bound(id)
  local at = tonumber(sub(id, 1, 8) .. sub(id, 10, 13), 16) + SPAN + 1
  if at >= 281474976710655 then return 'g' end
  return fmt('%08x-%04x', math.floor(at / 65536), at % 65536)
end

-- Where an entry is among others, counted from 0; nil if it is not there.
local function entry_at(entries, entry)
  local n = #entries / ENTRY
  local guess = n > 0 and tonumber(sub(entry, 1, 4)) - tonumber(sub(entries, 1, 4)) or -1
  -- Whatever was taken out is behind that.
  if guess >= n then guess = n - 1 end
  while guess >= 0 do
    local there = sub(entries, guess * ENTRY + 1, guess * ENTRY + ENTRY)
    if there == entry then return guess end
    if tonumber(sub(there, 1, 4)) < tonumber(sub(entry, 1, 4)) then return nil end
    guess = guess - 1
  end
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
    number = number, started = started, consumer = consumer, flags = tonumber(flags), lane = lane_text,
    base = tonumber(base), size = tonumber(size), left = tonumber(size), slices = {}, gone = {},
  }
  local from = 0
  while at <= #text do
    local n = tonumber(sub(text, at + 16, at + 19))
    g.slices[#g.slices + 1] = {
      packet = sub(text, at, at + 15), batch = sub(text, at, at + 11), from = from, to = from + n,
      entries = sub(text, at + 20, at + 19 + ENTRY * n),
    }
    from, at = from + n, at + 20 + ENTRY * n
  end
  local gone = call('HGET', P .. 'gone', number)
  if gone then
    for i = 1, #gone do
      if sub(gone, i, i) == 'x' then
        g.gone[i - 1] = true
        g.left = g.left - 1
      end
    end
  end
  groups[number] = g
  return g
end

-- The one at this place of a group: id and place in the order of arrival. Nothing if it is not in it any more.
local function member_at(g, i)
  if i < 0 or i >= g.size or g.gone[i] then return nil end
  local slice = g.slice
  if not slice or i < slice.from or i >= slice.to then
    for _, other in ipairs(g.slices) do
      if i >= other.from and i < other.to then slice = other end
    end
    g.slice = slice
  end
  local at = (i - slice.from) * ENTRY
  return sub(slice.entries, at + 5, at + ENTRY), slice.batch .. sub(slice.entries, at + 1, at + 4)
end

-- The group and the place in it that a token belongs to, if the run is still in it.
local function in_group(token, id)
  local g = group(sub(token, 1, 16))
  if not g then return nil end
  local i = tonumber(sub(token, 17, 19)) - g.base
  if member_at(g, i) == id then return g, i end
end

-- What is known of a run without an "att" that was enqueued in a packet: the packet in which it waits, or the group in
-- which it runs and its place there.
local function find_in_packet(id, fixed)
  local place, first = match(fixed, '^[^\t]*\t[^\t]*\t%l\t(%d+)\t(%d+)\n')
  if not place then return nil end
  local packet = sub(place, 1, 12) .. first
  local entry = sub(place, 13) .. id
  if waiting[packet] == nil then waiting[packet] = call('HGET', P .. 'pack', packet) or '' end
  if entry_at(waiting[packet], entry) then return packet end
  local taken = call('HGET', P .. 'taken', packet) or ''
  for at = 1, #taken, 16 do
    local g = group(sub(taken, at, at + 15))
    if g then
      for _, slice in ipairs(g.slices) do
        local i = slice.packet == packet and entry_at(slice.entries, entry)
        if i and not g.gone[slice.from + i] then return packet, g, slice.from + i end
      end
    end
  end
  return packet
end

-- The "att" of a run in a group, if it were written.
local function group_text(g, i, place)
  return 'r' .. g.number .. fmt('%03d%d', g.base + i, g.flags) .. place .. g.lane .. '\t\t' .. g.started .. '\t1\t0\t0\t'
    .. g.consumer .. '\n'
end

-- The "att" of a run, as it is or as it would be; nil when there is nothing to say.
local function att_of(id, fixed, att)
  if att or not fixed then return att end
  local _, g, i = find_in_packet(id, fixed)
  if g then
    local _, place = member_at(g, i)
    return group_text(g, i, place)
  end
end
