-- ARGV[4]: the lease in microseconds. [5]: how many, their ids, their tokens. Answers, a letter each: h held, l lost,
-- c held and somebody asked to cancel.
go_on_without_room()
local n = tonumber(ARGV[5])
local till = later(tonumber(ARGV[4]))
local answers, extended, places, some, some_at = {}, {}, {}, {}, {}
for i = 1, n do
  local id, token = ARGV[5 + i], ARGV[5 + n + i]
  local g, at = in_group(token, id)
  if g then
    answers[i] = 'h'
    local list = extended[g]
    if not list then
      list = {}
      extended[g] = list
    end
    list[at] = id
  else
    some[#some + 1] = id
    some_at[#some] = i
  end
end
for g, list in pairs(extended) do
  local size = 0
  for _ in pairs(list) do size = size + 1 end
  if size == g.left then
    call('ZADD', P .. 'groups', till, g.number)
  else
    -- From now on they end at different times.
    for at in pairs(list) do
      local a = set_apart(g, at)
      a.lease = till
      own_lease(a)
      put(a)
    end
  end
end
local texts = fetch(P .. 'att', some)
for j = 1, #some do
  local i, text = some_at[j], texts[j]
  if text and sub(text, 1, 20) == 'r' .. ARGV[5 + n + i] then
    add(P .. 'leases', till, some[j])
    answers[i] = bit.band(tonumber(sub(text, 21, 21), 16), 1) == 1 and 'c' or 'h'
  else
    answers[i] = 'l'
  end
end
flush()
flush_groups()
return table.concat(answers)
