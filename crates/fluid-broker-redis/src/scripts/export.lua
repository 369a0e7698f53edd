-- ARGV[4]: above which id the runs are asked for, '' for the first. [5]: at most how many. Answers, for each run by
-- ascending id: id, record, record, its earlier attempts, and '=key' TAB until when it is held, '' if none is.
local above, most = ARGV[4], tonumber(ARGV[5])
local in_packet, at_packet = {}, {}

local function first_of(ids)
  table.sort(ids)
  for i = #ids, most + 1, -1 do ids[i] = nil end
  return ids
end

local ids = call('ZRANGEBYLEX', P .. 'ids', above == '' and '-' or '(' .. above, '+', 'LIMIT', 0, most)
local from, at, more = above == '' and '-' or '[' .. above, 0, true
while more do
  local spans = call('ZRANGEBYLEX', P .. 'spans', from, '+', 'LIMIT', at, 16)
  at, more = at + #spans, #spans == 16
  for _, span in ipairs(spans) do
    if #ids >= most and sub(span, 1, 36) > bound(first_of(ids)[most]) then
      -- All ids of the packets that come now are further back.
      more = false
      break
    end
    local p = packet(sub(span, 73))
    for i = 0, p.size - 1 do
      local id = sub(p.ids, i * ID + 1, i * ID + ID)
      if id ~= NONE and id > above then
        ids[#ids + 1] = id
        in_packet[id], at_packet[id] = p, i
      end
    end
  end
end

local all = {}
for _, id in ipairs(first_of(ids)) do
  local fixed, att = call('HGET', P .. 'run', id), call('HGET', P .. 'att', id)
  local p, i = in_packet[id], at_packet[id]
  if p then fixed, att = record_in(p, i), att or att_in(p, i) end
  if fixed then
    local task, unique = match(fixed, '^[^\n]*\n%d/([^/\n]*)/[^\n]*\n[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t%d+\t[^\t]*\t([^\n]*)\n')
    local held = ''
    if unique ~= '' then
      local holder, till, ended =
        match(call('HGET', P .. 'unique', task .. '/' .. sub(unique, 2)) or '', '^([^\t]*)\t([^\t]*)\t?(.*)$')
      if holder == id and (ended == '' or (till ~= '' and now < tonumber(till))) then held = unique .. '\t' .. till end
    end
    all[#all + 1] = { id, fixed, att or '', call('LRANGE', P .. 'past/' .. id, 0, -1), held }
  end
end
return all
