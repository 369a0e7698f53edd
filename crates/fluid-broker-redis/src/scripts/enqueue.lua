-- ARGV[4]: how many sections. Each: how many runs, lane, kind of due time (n now, d delay, a instant), its value, unique
-- key ('=key' or ''), its window; then for each run its id and text. Answers: '' for what was inserted, otherwise the
-- run that it duplicates; none at all when all were inserted.
local sections, at = {}, 5
for i = 1, tonumber(ARGV[4]) do
  sections[i] = at
  at = at + 6 + 2 * tonumber(ARGV[at])
end

local total, first = 0, {}
local function section_of(from)
  return tonumber(ARGV[from]), lane(ARGV[from + 1]), ARGV[from + 2], ARGV[from + 3], ARGV[from + 4], ARGV[from + 5]
end

-- Runs without a unique key go in together, in the hope that none of them is known.
for i = 1, #sections do
  local size, l, kind, value, unique = section_of(sections[i])
  total = total + size
  if unique == '' then
    local due, state = due_of(kind, value)
    local before = NOW .. '\t' .. due .. '\t' .. state .. '\t' .. batch
    local key, suffix = P .. 'wait:' .. l.text, 'f'
    if state == 's' then
      key, suffix = P .. 'due', 'f' .. l.text
    else
      touch(l)
      open(l)
    end
    local list = added[key]
    if not list then
      list = {}
      added[key] = list
    end
    local r, q, from = #runs, #list, sections[i] + 6
    for j = from, from + 2 * size - 2, 2 do
      local id, text = ARGV[j], ARGV[j + 1]
      ids[r + 1], ids[r + 2] = '0', id
      runs[r + 1], runs[r + 2] = id, before .. text
      list[q + 1], list[q + 2] = due, batch .. sub(text, 1, 4) .. id .. suffix
      r, q = r + 2, q + 2
    end
    count(l, state, size)
    if size > 0 and not first[l.task] then first[l.task] = ARGV[from] end
  end
end

local answers, one_by_one = {}, false
if many('ZADD', P .. 'ids', ids) == #ids / 2 then
  write_runs()
else
  -- Some are known.
  one_by_one = true
  added, opened, runs, first = {}, {}, {}, {}
  for _, l in pairs(lanes) do l.count = {} end
end
local place = 0
for i = 1, #sections do
  local size, l, kind, value, unique, window = section_of(sections[i])
  local from = sections[i] + 6
  if unique ~= '' or one_by_one then
    for j = 0, size - 1 do
      local id = ARGV[from + 2 * j]
      local holder = insert(l, id, ARGV[from + 2 * j + 1], kind, value, unique, window)
      if holder then
        answers[place + j + 1] = (AGAIN and holder == id) and '' or holder
      elseif not first[l.task] then
        first[l.task] = id
      end
    end
  end
  place = place + size
end
flush()
for task, id in pairs(first) do tell('e\t' .. id .. '\t' .. task) end
if next(answers) == nil then return { false, publish() } end
for i = 1, total do answers[i] = answers[i] or '' end
return { answers, publish() }
