return { call('SMEMBERS', P .. 'disabled'), call('SMEMBERS', P .. 'paused') }
