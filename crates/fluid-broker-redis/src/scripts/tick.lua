-- ARGV[4]: how many ticks. Each: task, instant; lane, kind of due time, its value, unique key, window, id and text of its
-- run. Answers: the fired run, '' for a tick that was fired before, 'x' when the task is disabled.
local answers = {}

for i = 5, 4 + 9 * tonumber(ARGV[4]), 9 do
  local task, instant, id = ARGV[i], ARGV[i + 1], ARGV[i + 7]
  local answer = ''
  if see(task, instant) then
    if call('SISMEMBER', P .. 'disabled', task) == 1 then
      answer = 'x'
    else
      local l = lane(ARGV[i + 2])
      local holder = insert(l, id, ARGV[i + 8], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
      if not holder then tell('e\t' .. id .. '\t' .. l.task) end
      answer = holder or id
    end
  elseif AGAIN and is_known(id) then
    answer = id
  end
  answers[#answers + 1] = answer
end
flush()
return { answers, publish() }
