-- ARGV[4]: the run. [5]: '1' with its past attempts. Answers: both its records, and the attempts.
local id = ARGV[4]
local past = ARGV[5] == '1' and call('LRANGE', P .. 'past/' .. id, 0, -1) or {}
local fixed, p, i = fixed_of(id)
local att = in_full(call('HGET', P .. 'att', id)) or (p and att_in(p, i))
return { fixed or false, att or false, past }
