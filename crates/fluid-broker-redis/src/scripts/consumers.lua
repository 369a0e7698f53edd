-- Answers: for each consumer that lives, when it was heard of LF what it told.
local alive = call('ZRANGEBYSCORE', P .. 'alive', '(' .. NOW, '+inf')
if #alive == 0 then return {} end
return call('HMGET', P .. 'consumers', unpack(alive))
