-- ARGV[4]: the schema version to begin with. Answers: the version of what is there.
local version = call('HGET', P .. 'meta', 'schema')
if not version then
  version = ARGV[4]
  call('HSET', P .. 'meta', 'schema', version)
end
return version
