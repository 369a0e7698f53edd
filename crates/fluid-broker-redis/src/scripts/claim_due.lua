-- Of a claim: what became claimable by itself.

-- Leases that ran out.
local function lost(a)
  local quoted = '\\"' .. a.consumer .. '\\"'
  if flag(a, 2) then
    orphan(a)
  elseif flag(a, 1) then
    finish(a, 'A', '{"kind":"aborted","message":"cancelled; consumer ' .. quoted
      .. ' vanished before it ended the attempt"}')
  else
    local err = '{"kind":"lost","message":"consumer ' .. quoted
      .. ' vanished: it did not extend its lease in time"}'
    if tonumber(a.interruptions) >= request(a.id) then
      finish(a, 'I', err)
    else
      next_attempt(a, 'i', err, 'q')
    end
    a.interruptions = tonumber(a.interruptions) + 1
  end
  -- Nobody may take this for the end that the token wrote.
  a.token = ZERO
  if not is_ended(a.state) then
    queue(a)
    tell_claimable(a)
  end
  put(a)
end

local over = call('ZRANGEBYSCORE', P .. 'leases', '-inf', NOW, 'LIMIT', 0, LOST_AT_ONCE)
local texts = fetch(P .. 'att', over)
for i = 1, #over do lost(parse(over[i], texts[i])) end
local over_groups = call('ZRANGEBYSCORE', P .. 'groups', '-inf', NOW, 'LIMIT', 0, GROUPS_AT_ONCE)
for i = 1, #over_groups do
  local g = group(over_groups[i])
  for j = 0, g.size - 1 do
    if not g.gone[j] then lost(set_apart(g, j)) end
  end
end

-- Runs that came due.
local due = call('ZRANGEBYSCORE', P .. 'due', '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, DUE_AT_ONCE)
if #due > 0 then
  call('ZREMRANGEBYRANK', P .. 'due', 0, #due / 2 - 1)
  for i = 1, #due, 2 do
    local member, lane_text = sub(due[i], 1, 53), sub(due[i], 54)
    local l = lane(lane_text)
    local id = sub(member, 17, 52)
    if sub(member, 53) == 'a' then
      local text = call('HGET', P .. 'att', id)
      written[#written + 1], written[#written + 2] = id, 'q' .. sub(text, 2)
    else
      put(bare_member('q', member, lane_text, fmt('%.0f', due[i + 1])))
    end
    wait(l, due[i + 1], member)
    count(l, 's', -1)
    count(l, 'q', 1)
  end
end
if #over > 0 or #over_groups > 0 or #due > 0 then
  flush()
  flush_groups()
end
