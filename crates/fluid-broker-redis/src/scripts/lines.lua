return call('LRANGE', P .. 'log/' .. ARGV[4], ARGV[5], ARGV[6])
