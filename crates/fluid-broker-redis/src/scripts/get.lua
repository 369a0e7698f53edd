-- ARGV[4]: the run. [5]: '1' with its past attempts. Answers: both its records, and the attempts.
local past = ARGV[5] == '1' and call('LRANGE', P .. 'past/' .. ARGV[4], 0, -1) or {}
local fixed = call('HGET', P .. 'run', ARGV[4])
return { fixed, att_of(ARGV[4], fixed, call('HGET', P .. 'att', ARGV[4])) or false, past }
