-- ARGV[4], [5]: at most how many lines and bytes of text a run keeps. [6]: the line that says that the rest was left out.
-- [7]: the call's own number. [8]: how many batches. Each: run, attempt, how many lines, the lines. A line is stream and
-- instant in nanoseconds TAB text. "log" keeps of each run: lines, bytes, 1 if it was cut, and the number of the last call.
-- Answers: what is to be told.
local LINES, BYTES = tonumber(ARGV[4]), tonumber(ARGV[5])
local number, at, mine = ARGV[7], 9, {}
for _ = 1, tonumber(ARGV[8]) do
  local run, attempt, n = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  local known = call('HGET', P .. 'log', run)
  local lines, bytes, cut, last = 0, 0, '0', ''
  if known then lines, bytes, cut, last = match(known, '^(%d+) (%d+) (%d) (.*)$') end
  lines, bytes = tonumber(lines), tonumber(bytes)
  local grew = {}
  -- What has this very number came with an earlier try, unless this one wrote it.
  if cut == '0' and (last ~= number or mine[run]) and (known or is_known(run)) then
    mine[run] = true
    for j = at, at + n - 1 do
      local line = ARGV[j]
      local size = #line - find(line, '\t', 1, true)
      if lines >= LINES or bytes + size > BYTES then
        cut = '1'
        grew[#grew + 1] = attempt .. '\ty' .. NOW .. '000\t' .. ARGV[6]
        break
      end
      lines, bytes = lines + 1, bytes + size
      grew[#grew + 1] = attempt .. '\t' .. line
    end
    if #grew > 0 then
      many('RPUSH', P .. 'log/' .. run, grew)
      call('HSET', P .. 'log', run, fmt('%.0f %.0f %s %s', lines, bytes, cut, number))
      tell('l\t' .. run)
    end
  end
  at = at + n
end
return publish()
