-- ARGV[4]: how many sections. Each: how many runs, lane, kind of due time (n now, d delay, a instant, p now and in a
-- packet), its value, unique key ('=key' or ''), its window; then for each run its id and text, of which the first four
-- digits are its place in the batch. Of a packet the value is the place of the first, the window the ids, ascending,
-- and what follows are its texts, as they are kept. Answers: '' for what was inserted, otherwise the run that it
-- duplicates; none at all when all were inserted.
local answers, first = {}, {}

-- Whether one of these is known. Only what is known between the smallest and the largest of them is looked at, and mostly
-- there is nothing.
local function any_known(ids, largest, smallest)
  local between = {}
  for _, id in ipairs(call('ZRANGEBYLEX', P .. 'ids', '[' .. smallest, '[' .. largest)) do between[id] = true end
  for _, span in ipairs(call('ZRANGEBYLEX', P .. 'spans', '[' .. smallest, '[' .. bound(largest))) do
    local p = sub(span, 37, 72) <= largest and packet(sub(span, 73))
    for i = 1, p and #p.ids or 0, ID do between[sub(p.ids, i, i + ID - 1)] = true end
  end
  if next(between) == nil then return false end
  for i = 1, #ids, ID do
    if between[sub(ids, i, i + ID - 1)] then return true end
  end
  return false
end

-- Inserts a packet, unless one of its runs is known.
local function insert_packet(l, size, first_place, ids, texts)
  local largest, smallest = sub(ids, -ID), sub(ids, 1, ID)
  if any_known(ids, largest, smallest) then return false end
  local name = batch .. first_place
  call('HSET', P .. 'index', name, NOW .. '\t' .. largest .. smallest .. '\t' .. l.text .. '\n' .. ids)
  call('HSET', P .. 'texts', name, texts)
  call('HSET', P .. 'pack', name, first_place .. ids)
  call('ZADD', P .. 'spans', 0, largest .. smallest .. name)
  add(P .. 'wait:' .. l.text, NOW, name .. '#' .. name)
  open(l)
  count(l, 'q', size)
  return true
end

local function insert_one(l, i, id, text, kind, value, unique, window)
  local holder = insert(l, id, text, kind, value, unique, window)
  if holder then
    answers[i] = (AGAIN and holder == id) and '' or holder
  else
    first[l.task] = first[l.task] or id
  end
end

local at, place = 5, 0
for _ = 1, tonumber(ARGV[4]) do
  local size, l, kind, value, unique, window = tonumber(ARGV[at]), lane(ARGV[at + 1]), unpack(ARGV, at + 2, at + 5)
  at = at + 6
  if kind == 'p' then
    if insert_packet(l, size, value, window, ARGV[at]) then
      first[l.task] = first[l.task] or sub(window, 1, ID)
    else
      local p = { texts = ARGV[at], size = size }
      for i = 0, size - 1 do
        local id = sub(window, i * ID + 1, i * ID + ID)
        local text = fmt('%04d', value + i) .. id .. '\n' .. l.text .. '\n' .. text_in(p, i)
        insert_one(l, place + i + 1, id, text, 'n', '', '', '')
      end
    end
    at = at + 1
  else
    for i = 0, size - 1 do
      insert_one(l, place + i + 1, ARGV[at + 2 * i], ARGV[at + 2 * i + 1], kind, value, unique, window)
    end
    at = at + 2 * size
  end
  place = place + size
end
flush()
for task, id in pairs(first) do tell('e\t' .. id .. '\t' .. task) end
if next(answers) == nil then return { false, publish() } end
for i = 1, place do answers[i] = answers[i] or '' end
return { answers, publish() }
