-- ARGV[4]: the lease in microseconds. [5]: how many, their ids, their tokens. Answers, a letter each: h held, l lost,
-- c held and somebody asked to cancel.
local n = tonumber(ARGV[5])
local texts = call('HMGET', P .. 'att', unpack(ARGV, 6, 5 + n))
local till = later(tonumber(ARGV[4]))
local leases, answers = {}, {}
go_on_without_room()
for i = 1, n do
  local text = texts[i]
  if text and sub(text, 1, 20) == 'r' .. ARGV[5 + n + i] then
    leases[#leases + 1], leases[#leases + 2] = till, ARGV[5 + i]
    answers[i] = bit.band(tonumber(sub(text, 21, 21), 16), 1) == 1 and 'c' or 'h'
  else
    answers[i] = 'l'
  end
end
many('ZADD', P .. 'leases', leases)
return table.concat(answers)
