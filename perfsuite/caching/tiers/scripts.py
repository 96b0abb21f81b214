"""What a shared tier does in one step on the server: Lua scripts.

KEYS[1] is the stream and ARGV[1] who speaks. Values are read by MGET: to it a key of another type has no value, where GET fails.
"""

from __future__ import annotations

from perfsuite.caching.entry import END_AT

STREAM_LENGTH = 10_000
TOKEN_TTL_MS = 7 * 86_400_000

_TELL = f"redis.call('XADD', KEYS[1], 'MAXLEN', '~', {STREAM_LENGTH}, '*', 'n', ARGV[1], 'o', "
# Stores under KEYS[2].
SET = f"""
if ARGV[4] == '' then redis.call('SET', KEYS[2], ARGV[3]) else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
{_TELL} 'S', 'k', ARGV[2], 'd', ARGV[5], 'e', ARGV[6])
return 1
"""
# Stores under KEYS[2] what is not there, or what is there and is just the value given as no longer good.
ADD = f"""
local held = redis.call('MGET', KEYS[2])[1]
if held and (ARGV[7] ~= '1' or held ~= ARGV[8]) then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[2], ARGV[3]) else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
{_TELL} 'S', 'k', ARGV[2], 'd', ARGV[5], 'e', ARGV[6])
return 1
"""
# Gives a key its new end; the instant in its envelope too, if it has one.
TOUCH = f"""
local held = redis.call('MGET', KEYS[2])[1]
if not held then return 0 end
if string.sub(held, 1, 2) == 'pS' then redis.call('SETRANGE', KEYS[2], {END_AT}, ARGV[3]) end
if ARGV[4] == '' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
{_TELL} 'D', 'k', ARGV[2])
return 1
"""
# Counts up a bare number; what is there and cannot be counted by the server is the caller's to count.
INCR = f"""
if not redis.call('MGET', KEYS[2])[1] then return false end
local sum = redis.pcall('INCRBY', KEYS[2], ARGV[3])
if type(sum) ~= 'number' then return 'no' end
{_TELL} 'D', 'k', ARGV[2])
return redis.call('GET', KEYS[2])
"""
# Replaces a value that is still the one that was read; its end stays.
REPLACE = f"""
if redis.call('MGET', KEYS[2])[1] ~= ARGV[3] then return 0 end
local left = redis.call('PTTL', KEYS[2])
if left > 0 then redis.call('SET', KEYS[2], ARGV[4], 'PX', left) else redis.call('SET', KEYS[2], ARGV[4]) end
{_TELL} 'D', 'k', ARGV[2])
return 1
"""
# KEYS[2] is the sequence of invalidations, ARGV[2] one that the speaker has seen. It never goes back: where all was lost it
# begins with the time, and whoever has seen a later one says so.
_SEQUENCE = """
local seq = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local was = seq
if seq == 0 then
  local now = redis.call('TIME')
  seq = now[1] * 1000 + math.floor(now[2] / 1000)
end
if seq < tonumber(ARGV[2]) then seq = tonumber(ARGV[2]) end
"""
_KEEP = "redis.call('SET', KEYS[2], string.format('%.0f', seq))"
# What a token says of removals is lost with it, so whatever was stored before may have been removed.
INVALIDATE = f"""
{_SEQUENCE}
seq = seq + 1
{_KEEP}
local made, text = {{}}, string.format('%.0f', seq)
for i = 3, #KEYS do
  local held, removed = redis.call('GET', KEYS[i]), text
  if held and ARGV[3] ~= 'R' then removed = string.match(held, '%.(%d+)$') end
  local token = text .. '.' .. ARGV[4] .. '.' .. removed
  redis.call('SET', KEYS[i], token, 'PX', {TOKEN_TTL_MS})
  {_TELL} ARGV[3], 'k', ARGV[i + 2], 't', token)
  made[#made + 1] = token
end
return made
"""
# The sequence, then the tokens of the tags. One that is not there was lost, or never was: it is made, as old as can be said, now.
TOKENS = f"""
{_SEQUENCE}
if seq ~= was then {_KEEP} end
local text = string.format('%.0f', seq)
local found = {{text}}
for i = 3, #KEYS do
  local token = redis.call('GET', KEYS[i])
  if token then
    redis.call('PEXPIRE', KEYS[i], {TOKEN_TTL_MS})
  else
    token = text .. '.' .. ARGV[3] .. '.' .. text
    redis.call('SET', KEYS[i], token, 'PX', {TOKEN_TTL_MS})
  end
  found[#found + 1] = token
end
return found
"""
# KEYS[2] is the epoch: it is renewed, unless somebody else has done it meanwhile.
RENEW = """
if redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('SET', KEYS[2], ARGV[3]) end
return 1
"""
UNLOCK = "if redis.call('GET', KEYS[2]) == ARGV[2] then return redis.call('DEL', KEYS[2]) end return 0"
