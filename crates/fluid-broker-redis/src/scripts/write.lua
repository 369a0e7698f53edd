-- Changes are gathered and written in few commands: a command for many members costs little more than for one.
local ZERO = string.rep('0', 19)
local MOST = 6000 -- Lua's stack takes no more than 8000 arguments
local TOLD = 128 -- with more news than this, "something changed" says it
local added, opened, touched, lanes, written, left, news = {}, {}, {}, {}, {}, {}, {}

-- Redis refuses the first write of a script when memory is used up, and no later one. What ends work, or hands out
-- what is there, may go on then: it begins with a write that needs no memory.
local function go_on_without_room()
  call('DEL', P .. 'none')
end

local function many(command, key, arguments)
  local n = #arguments
  if n == 0 then return 0 end
  if n <= MOST then return call(command, key, unpack(arguments)) end
  local sum = 0
  for i = 1, n, MOST do
    sum = sum + call(command, key, unpack(arguments, i, math.min(i + MOST - 1, n)))
  end
  return sum
end

local function fetch(key, fields)
  local n = #fields
  if n == 0 then return {} end
  if n <= MOST then return call('HMGET', key, unpack(fields)) end
  local all = {}
  for i = 1, n, MOST do
    local some = call('HMGET', key, unpack(fields, i, math.min(i + MOST - 1, n)))
    for j = 1, #some do all[i + j - 1] = some[j] end
  end
  return all
end

-- A lane: "priority/task/queue", and "/key" for runs with a concurrency key.
local function lane(text)
  local l = lanes[text]
  if not l then
    local priority, task, queue, key = match(text, '^(%d)/([^/]*)/([^/]*)/?(.*)$')
    l = {
      text = text, task = task, key = key, place = priority .. '/' .. task .. '/' .. queue,
      of = task .. '/' .. queue, slot = task .. '/' .. key, count = {}, busy = 0,
    }
    lanes[text] = l
  end
  return l
end

local function count(l, state, by)
  l.count[state] = (l.count[state] or 0) + by
end

local function add(key, score, member)
  local list = added[key]
  if not list then
    list = {}
    added[key] = list
  end
  list[#list + 1] = score
  list[#list + 1] = member
end

-- The first run of a lane with a key is about to change, and with it the list of first runs.
local function touch(l)
  if l.key ~= '' and l.head == nil then
    l.head = call('ZRANGE', P .. 'wait:' .. l.text, 0, 0)[1] or false
    touched[#touched + 1] = l
  end
end

local function open(l)
  opened[(l.key == '' and 'wait:' or 'keyed:') .. l.place] = true
end

-- A run waits to be claimed.
local function wait(l, due, member)
  touch(l)
  open(l)
  add(P .. 'wait:' .. l.text, due, member)
end

-- Something happened that others are told.
local function tell(what)
  if #news <= TOLD then news[#news + 1] = what end
end

local function publish()
  if #news == 0 then return '' end
  local text = #news > TOLD and 'C' or table.concat(news, '\n')
  -- Whoever may not publish does without.
  redis.pcall('PUBLISH', P .. 'events', ARGV[2] .. '\n' .. text)
  return text
end

local function change_counts(key, changes)
  for field, by in pairs(changes) do
    if by ~= 0 and call('HINCRBY', key, field, by) == 0 then call('HDEL', key, field) end
  end
end

-- Writes what was gathered. What frees memory goes first, so that attempts can still end when memory is used up.
local function flush()
  many('ZREM', P .. 'leases', left)
  many('HSET', P .. 'att', written)
  left, written = {}, {}
  for key, list in pairs(added) do many('ZADD', key, list) end
  added = {}
  for i = 1, #touched do
    local l = touched[i]
    local first = call('ZRANGE', P .. 'wait:' .. l.text, 0, 0, 'WITHSCORES')
    if (first[1] or false) ~= l.head then
      local heads = P .. 'keyed:' .. l.place
      if l.head then call('ZREM', heads, l.head .. '/' .. l.key) end
      if first[1] then call('ZADD', heads, first[2], first[1] .. '/' .. l.key) end
    end
    l.head = nil
  end
  touched = {}
  local names = {}
  for name in pairs(opened) do names[#names + 1] = name end
  many('SADD', P .. 'open', names)
  opened = {}
  local counts, busy = {}, {}
  for _, l in pairs(lanes) do
    for state, by in pairs(l.count) do
      local field = state .. '/' .. l.of
      counts[field] = (counts[field] or 0) + by
      l.count[state] = nil
    end
    if l.busy ~= 0 then
      busy[l.slot] = (busy[l.slot] or 0) + l.busy
      l.busy = 0
    end
  end
  change_counts(P .. 'count', counts)
  change_counts(P .. 'busy', busy)
end
