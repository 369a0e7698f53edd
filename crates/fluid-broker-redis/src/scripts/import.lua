-- ARGV[4]: how many ticks; of each task and instant. Then how many runs. Each: id, lane, state, created, due, ended, what
-- the record of the request has before the key, '=key' or '', until when that is held, parameters; flags, what the other
-- record has from the due time on, '' for a run that never started; how many attempts ended before, and those.
-- Answers: how many were new, and what is to be told.
local at = 5
for i = 1, tonumber(ARGV[4]) do
  local task, instant = ARGV[at], ARGV[at + 1]
  at = at + 2
  see(task, instant)
end
local total = tonumber(ARGV[at])
at = at + 1
local new = 0
for i = 1, total do
  local id, l, state, created, due, ended = ARGV[at], lane(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  local before, unique, till, params = ARGV[at + 6], ARGV[at + 7], ARGV[at + 8], ARGV[at + 9]
  local flags, rest, past = tonumber(ARGV[at + 10]), ARGV[at + 11], tonumber(ARGV[at + 12])
  at = at + 13
  if not is_known(id) then
    new = new + 1
    if unique ~= '' then
      local slot = l.task .. '/' .. sub(unique, 2)
      if held_by(slot) then
        unique = ''
      else
        call('HSET', P .. 'unique', slot, id .. '\t' .. till .. (ended ~= '' and '\tended' or ''))
        flags = flags + 4
      end
    end
    local place = batch .. fmt('%04d', i - 1)
    local first = state == 's' and 's' or 'q'
    call('HSET', P .. 'run', id, created .. '\t' .. due .. '\t' .. first .. '\t' .. place .. id .. '\n' .. l.text .. '\n'
      .. before .. unique .. '\n' .. params)
    call('ZADD', P .. 'ids', 0, id)
    count(l, public(state), 1)
    if past > 0 then call('RPUSH', P .. 'past/' .. id, unpack(ARGV, at, at + past - 1)) end
    local a = bare(id, state, place, l.text, due, unique ~= '')
    if rest ~= '' then
      local text = state .. ZERO .. fmt('%x', flags) .. place .. id .. l.text .. '\t' .. due .. '\t' .. rest
      written[#written + 1], written[#written + 2] = id, text
      a = parse(id, text)
    end
    if state == 'o' then l.busy = l.busy + 1 end
    if ended ~= '' then
      add(P .. 'ended', ended, id)
    else
      queue(a)
      tell_claimable(a)
    end
  end
  at = at + past
end
flush()
return { tostring(new), publish() }
