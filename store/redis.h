/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_STORE_REDIS_H
#define POSTERN_STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "store/internal.h"
#include "store/redislink.h"

/*
 * The inside of the implementation with Redis, for its files and its tests:
 * requests, and the thread that carries them.
 */

/* No callback waits for longer, and who does, does not wait again until there
 * was an answer. */
#define REDIS_WAIT_MS 50
/* ... but for people, and lists. */
#define REDIS_PATIENCE_MS 5000

/* What is known to the server by a hash once it has seen it. */
enum redis_script {
	SCRIPT_PUT,
	SCRIPT_FORGET,
	SCRIPT_TAKE,
	SCRIPT_GIVE,
	SCRIPT_DISTINCT,
};
#define REDIS_SCRIPTS 5
#define REDIS_SHA_LEN 40

/* One that asks; freed by whoever comes last. */
struct redis_request {
	struct redis_request *next;
	char *command;
	size_t len;
	uint64_t sent_ms;
	redisReply *reply; /* NULL: there was none */
	bool done;
	bool hopeless; /* it is not answered in time */
	bool left;     /* nobody waits for it */
	bool writes;
	pthread_cond_t answered;
};

struct redis_queue {
	struct redis_request *first;
	struct redis_request **last;
	size_t count;
};

struct redis {
	struct store base;
	struct redisurl url;
	char *password;                 /* NULL: none */
	SSL_CTX *trust;                 /* NULL: no TLS */
	atomic_uint_least64_t proof_ms; /* for how long a proof is of use */
	unsigned int wait_ms;           /* REDIS_WAIT_MS, but for tests */

	char sha[REDIS_SCRIPTS][REDIS_SHA_LEN + 1];
	struct trouble away;     /* cannot be asked */
	struct trouble refusing; /* answers with errors */
	struct trouble slow;     /* callbacks run out of time */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* up, tried or stopped */
	pthread_condattr_t monotonic;
	bool up;    /* requests are taken */
	bool tried; /* once */
	bool stop;
	bool stopped;
	bool asleep;    /* the thread wants to be woken */
	struct err why; /* it is not up */
	struct redis_queue waiting;
	struct err refusal; /* to be told */
	bool accepted;      /* a change was made */
	size_t lost;        /* what nobody waited for and was not done */
	int wake_fd;
	pthread_t thread;

	/* the thread's own */
	struct redislink link;
	redisReader *reader;
	struct redis_queue sent;
	char *out;
	size_t out_len, out_room;
	uint64_t heard_ms;
	uint64_t again_ms; /* when to connect, or to ask for a sign of life */
	uint64_t pause_ms; /* between attempts */
};

/* redisscript.c */
extern const char *const redis_scripts[REDIS_SCRIPTS];

/* redis_open() with callers that wait longer than REDIS_WAIT_MS: for tests, on
 * machines that are too busy for that. */
struct store *redis_open_patient(const struct store_options *options,
    unsigned int wait_ms, struct err *e);

/* redislist.c: the store's list(). */
int redislist(struct store *store, const struct record_key *prefix,
    int (*each)(void *arg, const struct record *record), void *arg,
    struct err *e);

/* redisloop.c */
int redisloop_start(struct redis *r, struct err *e);
/* False: it hangs and has been left behind; nothing of it may be freed. */
bool redisloop_stop(struct redis *r);

/* redisqueue.c: a request for these words; NULL: no memory. */
struct redis_request *redis_request(struct redis *r, int argc,
    const char *const *argv, const size_t *lens);
/* Takes it. -1: Redis is away, and it is freed. left: nobody will wait. */
int redis_send(struct redis *r, struct redis_request *request, bool left);
/* Waits for the answer and frees the request. NULL: there was none in time; the
 * caller frees others. */
redisReply *redis_receive(struct redis *r, struct redis_request *request,
    uint64_t wait_ms);

#endif
