-- What every script begins with.
-- KEYS[1]: the key "<prefix>meta". ARGV[1]: the instant in microseconds, or '' for the server's clock. ARGV[2]: which
-- handle asks. ARGV[3]: '1' when an earlier try of the same call may have gone through.
local call, fmt, sub, match, find = redis.call, string.format, string.sub, string.match, string.find
local P = sub(KEYS[1], 1, -5)
local AGAIN = ARGV[3] == '1'
local NOW = ARGV[1]
if NOW == '' then
  local time = call('TIME')
  NOW = time[1] .. fmt('%06d', time[2])
end
local now = tonumber(NOW)

-- The instant so many microseconds from now: as text and as a number. Text counts; the number orders.
local function later(by)
  local at = now + by
  if at >= 253402207200999999 then return '253402207200999999', at end
  return fmt('%.0f', at), at
end
