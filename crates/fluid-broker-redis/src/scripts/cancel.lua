-- ARGV[4]: the run. [5], [6]: the error of a run that never started, and of one that waits for its next attempt.
-- Answers: n not found, a aborted, r asked for, or the state in which it had ended.
go_on_without_room()
local a = load(ARGV[4])
if not a then return { 'n', '' } end
if is_ended(a.state) then
  -- If this is the same call once more, it was the first try that ended it.
  return { AGAIN and a.state == 'A' and 'a' or a.state, '' }
end
if a.state == 'r' or a.state == 'o' then
  if not flag(a, 1) then
    if a.group then
      a = set_apart(a.group, a.at_group)
      own_lease(a)
    end
    a.flags = bit.bor(a.flags, 1)
    put(a)
    tell('c\t' .. a.id)
    flush()
    flush_groups()
  end
  return { 'r', publish() }
end
local l, member = lane(a.lane), member_of(a)
if a.state == 's' then
  call('ZREM', P .. 'due', member .. a.lane)
elseif a.packet then
  local w = waiting_in(a.packet.name)
  local at = (a.packet.first + a.at_packet - w.first) * ID
  local ids = sub(w.ids, 1, at) .. NONE .. sub(w.ids, at + ID + 1)
  keep_waiting(a.packet.name, P .. 'wait:' .. l.text, a.due, w.first, w.first, ids)
else
  touch(l)
  call('ZREM', P .. 'wait:' .. l.text, member)
end
finish(a, 'A', tonumber(a.attempt) == 0 and ARGV[5] or ARGV[6])
put(a)
flush()
return { 'a', publish() }
