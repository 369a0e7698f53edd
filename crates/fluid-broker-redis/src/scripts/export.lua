-- ARGV[4]: below which id nothing is asked for, '' for the first. [5]: at most how many. Answers, for each run by
-- ascending id: id, record, record, its earlier attempts, and '=key' TAB until when it is held, '' if none is.
local from = ARGV[4] == '' and '-' or '(' .. ARGV[4]
local ids = call('ZRANGEBYLEX', P .. 'ids', from, '+', 'LIMIT', 0, ARGV[5])
local all = {}
for i = 1, #ids do
  local id = ids[i]
  local fixed = call('HGET', P .. 'run', id)
  if fixed then
    local task, unique = match(fixed, '^[^\n]*\n%d/([^/]*)/[^\n]*\n[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t%d+\t[^\t]*\t([^\n]*)\n')
    local held = ''
    if unique ~= '' then
      local holder, till, ended =
        match(call('HGET', P .. 'unique', task .. '/' .. sub(unique, 2)) or '', '^([^\t]*)\t([^\t]*)\t?(.*)$')
      if holder == id and (ended == '' or (till ~= '' and now < tonumber(till))) then held = unique .. '\t' .. till end
    end
    local past = call('LRANGE', P .. 'past/' .. id, 0, -1)
    all[#all + 1] = { id, fixed, call('HGET', P .. 'att', id) or '', past, held }
  end
end
return all
