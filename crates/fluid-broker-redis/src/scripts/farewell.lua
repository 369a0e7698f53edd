call('HDEL', P .. 'consumers', ARGV[4])
call('ZREM', P .. 'alive', ARGV[4])
return ''
