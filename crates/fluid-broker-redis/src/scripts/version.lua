-- ARGV[4]: the schema version to begin with. Answers: the version of what was there, 0 if nothing was.
local version = call('HGET', P .. 'meta', 'schema')
if not version then call('HSET', P .. 'meta', 'schema', ARGV[4]) end
return version or '0'
