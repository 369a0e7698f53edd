-- ARGV[4]: the claim's number, 16 digits. [5]: at most how many runs. [6]: the lease in microseconds. [7]: the consumer.
-- Then, each after its number: claims whose answer arrived, queues, tasks. A task is its name, or name TAB
-- max_concurrency TAB interval TAB tolerance TAB w or r (wait, reject) TAB 1 if it survives its consumer.
-- The token of the nth run is the claim's number and three digits of n - 1.
local DUE_AT_ONCE, LOST_AT_ONCE, GROUPS_AT_ONCE, SLICE, FEW = 2000, 1000, 4, 64, 8
local CLAIM, room, LEASE, CONSUMER = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
go_on_without_room()
local before = call('GET', P .. 'claim/' .. CLAIM)
if before then
  -- Its answer was lost. What it leased and is still held under it is told once more.
  local ids, members, held, known = {}, {}, {}, {}
  for i = 1, #before, 36 do ids[#ids + 1] = sub(before, i, i + 35) end
  local texts = fetch(P .. 'att', ids)
  for i = 1, #ids do
    local fixed, p, at = fixed_of(ids[i])
    local text = in_full(texts[i]) or (p and att_in(p, at))
    if fixed and text and sub(text, 1, 17) == 'r' .. CLAIM then
      local n = #known + 1
      known[n], held[2 * n - 1], held[2 * n] = fixed, n, text
      members[n] = sub(text, 22, 73) .. 'a'
    end
  end
  return { NOW, NOW, '', members, known, held }
end
-- It was answered long ago, or to nobody: a number is used once.
if call('HEXISTS', P .. 'group', CLAIM) == 1 then return { NOW, NOW, '', {}, {}, {} } end

local at = 8
local function list()
  local all, n = {}, tonumber(ARGV[at])
  for i = 1, n do all[i] = ARGV[at + i] end
  at = at + n + 1
  return all
end
local answered, wanted_queues, wanted_tasks = list(), {}, {}
for _, name in ipairs(list()) do wanted_queues[name] = true end
for _, text in ipairs(list()) do
  local name, most, interval, tolerance, exceeded, survives =
    match(text, '^([^\t]*)\t(%d+)\t(%d*)\t(%d*)\t(%l?)\t(%d)$')
  if name then
    wanted_tasks[name] = {
      most = tonumber(most), interval = tonumber(interval), tolerance = tonumber(tolerance), exceeded = exceeded,
      survives = survives == '1' and 2 or 0,
    }
  else
    wanted_tasks[text] = { most = 0, survives = 0 }
  end
end
