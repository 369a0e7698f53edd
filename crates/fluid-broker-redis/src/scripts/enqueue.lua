-- ARGV[4]: how many sections. Each: how many runs, lane, kind of due time (n now, d delay, a instant, p now and in a
-- packet), its value (the entries of a packet), unique key ('=key' or ''), its window (the largest and the smallest id
-- of a packet); then for each run its id and text. Answers: '' for what was inserted, otherwise the run that it
-- duplicates; none at all when all were inserted.
local answers, first = {}, {}

-- Whether a run may be known whose id is between these. If not, none of a packet needs to be looked for.
local function overlaps(largest, smallest)
  if #call('ZRANGEBYLEX', P .. 'ids', '[' .. smallest, '[' .. largest, 'LIMIT', 0, 1) > 0 then return true end
  local spans = call('ZRANGEBYLEX', P .. 'spans', '[' .. smallest, '[' .. bound(largest), 'LIMIT', 0, 8)
  for i = 1, #spans do
    if sub(spans[i], 37, 72) <= largest then return true end
  end
  return #spans == 8
end

-- Inserts a packet, unless one of its runs is known.
local function insert_packet(l, size, entries, span, from)
  if overlaps(sub(span, 1, 36), sub(span, 37)) then
    local ids = {}
    for i = 1, size do ids[i] = ARGV[from + 2 * i - 2] end
    local known = fetch(P .. 'run', ids)
    for i = 1, size do
      if known[i] then return false end
    end
  end
  local before = NOW .. '\t' .. NOW .. '\tq\t' .. batch
  local runs = {}
  for i = 1, 2 * size, 2 do
    runs[i], runs[i + 1] = ARGV[from + i - 1], before .. ARGV[from + i]
  end
  many('HSET', P .. 'run', runs)
  local packet = batch .. sub(entries, 1, 4)
  call('HSET', P .. 'pack', packet, entries)
  call('HSET', P .. 'index', packet, span .. entries)
  call('ZADD', P .. 'spans', 0, span .. packet)
  add(P .. 'wait:' .. l.text, NOW, packet .. '#')
  open(l)
  count(l, 'q', size)
  return true
end

local at, place = 5, 0
for _ = 1, tonumber(ARGV[4]) do
  local size, l, kind, value, unique, window = tonumber(ARGV[at]), lane(ARGV[at + 1]), unpack(ARGV, at + 2, at + 5)
  at = at + 6
  if kind == 'p' and insert_packet(l, size, value, window, at) then
    first[l.task] = first[l.task] or ARGV[at]
  else
    for i = 0, size - 1 do
      local id, text = ARGV[at + 2 * i], ARGV[at + 2 * i + 1]
      -- Alone it is of no packet.
      if kind == 'p' then text = sub(text, 1, 4) .. sub(text, 10) end
      local holder = insert(l, id, text, kind, value, unique, window)
      if holder then
        answers[place + i + 1] = (AGAIN and holder == id) and '' or holder
      else
        first[l.task] = first[l.task] or id
      end
    end
  end
  at, place = at + 2 * size, place + size
end
flush()
for task, id in pairs(first) do tell('e\t' .. id .. '\t' .. task) end
if next(answers) == nil then return { false, publish() } end
for i = 1, place do answers[i] = answers[i] or '' end
return { answers, publish() }
