return call('HGETALL', P .. 'ticked')
