/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Redis does in one step, in its Lua. The time comes from the caller, so
 * that the server's clock does not matter but for how long keys are kept; that
 * is always longer than they are of use.
 */
#include "store/redis.h"

const char *const redis_scripts[REDIS_SCRIPTS] = {
	/*
	 * field, stamp, value, limit, dead, life: keeps what is there if its
	 * stamp is not earlier, and is within the limit. Now and then the dead
	 * are removed.
	 */
	[SCRIPT_PUT] =
	    "local k,f,stamp=KEYS[1],ARGV[1],tonumber(ARGV[2])\n"
	    "local limit,dead=tonumber(ARGV[4]),tonumber(ARGV[5])\n"
	    "local life=tonumber(ARGV[6])\n"
	    "local old=redis.call('HGET',k,f)\n"
	    "old=old and tonumber(string.match(old,'^%d+'))\n"
	    "if old and old>=stamp and old<=limit then return 0 end\n"
	    "local new=redis.call('HSET',k,f,ARGV[2]..' '..ARGV[3])\n"
	    "if new==1 and redis.call('HLEN',k)%32==0 then\n"
	    " local all=redis.call('HGETALL',k)\n"
	    " for i=1,#all,2 do\n"
	    "  local s=tonumber(string.match(all[i+1],'^%d+'))\n"
	    "  if not s or s<dead then redis.call('HDEL',k,all[i]) end\n"
	    " end\n"
	    "end\n"
	    "if redis.call('PTTL',k)<life then\n"
	    " redis.call('PEXPIRE',k,life)\n"
	    "end\n"
	    "return 1",
	[SCRIPT_FORGET] = "local n=redis.call('HLEN',KEYS[1])\n"
			  "redis.call('DEL',KEYS[1])\n"
			  "return n",
	/* now, window, cost, all in us: the algorithm of gcra.c */
	[SCRIPT_TAKE] =
	    "local k,now,win=KEYS[1],tonumber(ARGV[1]),tonumber(ARGV[2])\n"
	    "local cost=tonumber(ARGV[3])\n"
	    "local s=tonumber(redis.call('GET',k)) or 0\n"
	    "if s<now then s=now elseif s>now+win then s=now+win end\n"
	    "if s+cost>now+win then return {0,s} end\n"
	    "if cost>0 then\n"
	    " s=s+cost\n"
	    " redis.call('SET',k,string.format('%.0f',s),'PX',\n"
	    "  string.format('%.0f',(s-now)/1000+60000))\n"
	    "end\n"
	    "return {1,s}",
	[SCRIPT_GIVE] =
	    "local k,now,win=KEYS[1],tonumber(ARGV[1]),tonumber(ARGV[2])\n"
	    "local s=tonumber(redis.call('GET',k)) or 0\n"
	    "if s>now+win then s=now+win end\n"
	    "s=s-tonumber(ARGV[3])\n"
	    "if s<=now then return redis.call('DEL',k) end\n"
	    "redis.call('SET',k,string.format('%.0f',s),'PX',\n"
	    " string.format('%.0f',(s-now)/1000+60000))\n"
	    "return 1",
	/* value, window, now, how many at most; times beyond one window from
	 * now are none */
	[SCRIPT_DISTINCT] =
	    "local k,win,now=KEYS[1],tonumber(ARGV[2]),tonumber(ARGV[3])\n"
	    "local low=string.format('%.0f',now-win)\n"
	    "local high=string.format('(%.0f',now+win)\n"
	    "if ARGV[1]=='' then\n"
	    " return redis.call('ZCOUNT',k,'('..low,high)\n"
	    "end\n"
	    "redis.call('ZADD',k,ARGV[3],ARGV[1])\n"
	    "redis.call('ZREMRANGEBYSCORE',k,'-inf',low)\n"
	    "redis.call('ZREMRANGEBYSCORE',k,string.sub(high,2),'+inf')\n"
	    "local n=redis.call('ZCARD',k)\n"
	    "local max=tonumber(ARGV[4])\n"
	    "if n>max then\n"
	    " redis.call('ZREMRANGEBYRANK',k,0,n-max-1)\n"
	    " n=max\n"
	    "end\n"
	    "redis.call('PEXPIRE',k,string.format('%.0f',win+60000))\n"
	    "return n",
};
