/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_ENGINE_H
#define POSTERN_IDENTITY_ENGINE_H

/* What the files of this folder share. Nobody else includes it. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "identity/breaker.h"
#include "identity/cache.h"
#include "identity/dialogue.h"
#include "identity/exchange.h"
#include "identity/identity.h"
#include "identity/remember.h"
#include "identity/secret.h"
#include "identity/transport.h"
#include "identity/turns.h"
#include "policy/login.h"

struct event;
struct event_base;

enum check_kind {
	CHECK_ACCOUNT = 0, /* identity_ask(): threads wait, or the self-test */
	CHECK_PASSWORD,    /* identity_verify(): callbacks wait */
	CHECK_OFFERS,      /* nobody waits: what can be relayed? */
	CHECK_RELAY,       /* identity_relay_begin(): a client is spoken to */
};

/* Somebody who is called when a password was checked. */
struct waiter {
	STAILQ_ENTRY(waiter) link;
	identity_done *done;
	bool (*admit)(void *arg); /* NULL: always */
	void *arg;
	struct identity_verdict verdict; /* once there is one */
};
STAILQ_HEAD(waiter_list, waiter);
STAILQ_HEAD(relay_list, identity_relay);

/* One question to one backend, asked once for everybody who waits for it. The
 * queue or the running exchange holds one reference, every waiting thread
 * another. */
struct check {
	TAILQ_ENTRY(check) link; /* in the queue (locked) or among the active */
	struct turn turn;        /* locked; of a login */
	UT_hash_handle hh;       /* in flight, by login or tag (locked) */
	struct backend *backend;
	enum check_kind kind;
	unsigned int refs; /* locked */
	uint64_t deadline_ms;
	size_t tries; /* URLs that failed */
	size_t first; /* URL to begin with */
	struct exchange *exchange;
	/* CHECK_ACCOUNT */
	bool done; /* locked */
	pthread_cond_t answered;
	enum identity answer; /* locked */
	bool probe;           /* asked by the self-test */
	bool mailbox;
	/* CHECK_PASSWORD */
	struct waiter_list waiters; /* locked */
	unsigned char tag[SECRET_TAG_LEN];
	char *password;        /* wiped when it is answered */
	struct netaddr client; /* CHECK_RELAY's, too */
	/* CHECK_RELAY */
	struct identity_relay *relay;
	/* "" for CHECK_OFFERS, and when a relay does not know it yet */
	char login[LOGIN_MAX + 1];
};
TAILQ_HEAD(check_list, check);

/* How a check ended. */
struct result {
	enum dialogue_outcome outcome;
	bool answered; /* by the server; not by a broken connection */
	bool hung_up;  /* it closed instead of answering the login */
	bool asked;    /* false: never, for a reason of ours */
	bool sent;     /* the credentials were, and not answered */
	bool given_up; /* by the client: no trouble of the server's */
	char why[300];
};

/* Does a login prove that the account exists, or must INBOX be asked for? */
enum mailbox_state {
	MAILBOX_PENDING = 0, /* questions wait for the self-test */
	MAILBOX_UNDECIDED,   /* it found out nothing: all is undecided */
	MAILBOX_OFF,
	MAILBOX_ON,
};

enum selftest_step {
	SELFTEST_IDLE = 0,
	SELFTEST_NAME,    /* a made-up name must be refused */
	SELFTEST_MAILBOX, /* ... or at least have no INBOX */
	SELFTEST_CANARY,  /* a live account must verify */
};

/* Kinds of trouble; each is reported once a minute, or when its cause
 * changes. */
enum alarm_kind {
	ALARM_CREDENTIAL,
	ALARM_UNDECIDED,
	ALARM_BREAKER,
	ALARM_PASSWORD_BREAKER,
	ALARM_GRACE,
	ALARM_SPELLING,
	ALARM_FAILOVER,
	ALARM_SELFTEST,
	ALARM_CANARY,
	ALARM_COUNT,
};

#define REPORT_MAX 700

struct alarm {
	uint64_t since_ms;
	unsigned int lines; /* since then */
	unsigned int held_back;
	char text[REPORT_MAX]; /* the latest */
};

struct backend {
	struct identity_engine *engine;
	/* the configuration, copied */
	char *name;
	struct endpoint *endpoints;
	size_t endpoint_count;
	char *ca_file;
	char **domains;
	size_t domain_count;
	bool login_as_address;
	char *master_separator;
	bool proxy;
	bool forward_client;
	char *proxy_user;
	char *proxy_password;
	enum identity_mailbox mailbox_check;
	char *canary;
	uint64_t timeout_ms;
	size_t max_connections;
	/* under the engine's lock */
	struct check_list queue; /* about accounts, and offers */
	size_t queued;
	struct turns passwords;
	struct turns relays;
	/* What is wrong with our credential must not stop passwords, nor what
	 * strangers do with passwords stop questions about accounts. */
	struct breaker breaker;
	struct breaker password_breaker;
	enum mailbox_state mailbox;
	bool refusals_trusted;
	bool canary_refused; /* then no refusal of a password is believed */
	bool tested;         /* the self-test had an answer */
	bool offers_known;
	unsigned int offers; /* SASL_BIT()s */
	unsigned int graced; /* passwords, since it was last reported */
	/* on the loop's thread only */
	struct check_list active;
	size_t active_count;
	size_t active_passwords;
	size_t active_relays;
	struct event *expiry; /* of what stands in the queues */
	size_t first;         /* the URL that worked last */
	struct alarm alarms[ALARM_COUNT];
	enum selftest_step step;
	struct event *retest;
	uint64_t retest_ms;   /* between failures */
	uint64_t name_due_ms; /* the made-up name is asked again */
	struct event *offers_again;
	uint64_t offers_retry_ms; /* between failures */
};

struct identity_engine {
	struct backend *backends;
	size_t backend_count;
	uint64_t ttl_ms;
	uint64_t refused_ttl_ms;
	uint64_t wait_ms;
	unsigned int waiters;
	uint64_t grace_ms;
	unsigned int mechanisms;
	void (*report)(void *arg, enum identity_level level, const char *text);
	void *report_arg;
	void (*trace)(void *arg, const char *text);
	void *trace_arg;
	struct event_base *base;
	struct transport *transport;
	struct event *wake;
	int wake_fd;
	bool curl_is_up;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_condattr_t monotonic;
	pthread_cond_t tested; /* a self-test's end */
	/* under the lock */
	bool stopping;
	unsigned int waiting;
	struct check *in_flight; /* about accounts, by login */
	struct cache *cache;
	struct check *verifying; /* passwords, by tag */
	struct remember *remember;
	size_t verifiers;            /* waiters of passwords */
	struct waiter_list answered; /* to be called */
	size_t relays;
	struct relay_list relay_news; /* their clients spoke */
	struct relay_list relay_ends; /* to be told the verdict */
};

/* identity.c */
uint64_t engine_now_ms(void);
struct timeval engine_timeval(uint64_t ms);
void engine_wake(struct identity_engine *engine);
/* The backend that serves this login, or NULL. */
struct backend *engine_backend(const struct identity_engine *engine,
    const struct login *login);
/* For people who watch; printf style. Loop's thread, not locked. */
void engine_trace(struct identity_engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* check.c */
/* Makes a question (login: NULL for CHECK_OFFERS); NULL: no memory. It has one
 * reference. */
struct check *check_new(struct backend *b, enum check_kind kind,
    const char *login);
/* Answers all who wait and drops the queue's reference. Callbacks are called by
 * check_deliver(). Locked. */
void check_answer(struct check *check, enum identity answer);
/* ... a password, because nobody wants to know any more. Locked. */
void check_decline(struct check *check);
/* Drops a reference. Locked. */
void check_release(struct check *check);
/* Calls those who were answered. Loop's thread, not locked. */
void check_deliver(struct identity_engine *engine);

/* verify.c */
/* The verdict on a password whose server decided nothing: it still verifies
 * within grace. Locked. */
struct identity_verdict verify_undecided(struct backend *b,
    const unsigned char tag[SECRET_TAG_LEN]);
/* A password's turn has come: does anybody still want to know? If not, all who
 * wait are answered. Loop's thread, not locked. */
bool verify_is_wanted(struct check *check);

/* backend.c */
/* Copies the options. -1 with the reason in e; clear it in any case. */
int backend_init(struct backend *b, struct identity_engine *engine,
    const struct identity_backend *options, struct err *e);
void backend_clear(struct backend *b);
bool backend_serves(const struct backend *b, const struct login *login);
/* Its timers and first questions. -1: no memory. Before there is a thread. */
int backend_start(struct backend *b);
/* Starts what may be started. Loop's thread, not locked. */
void backend_run(struct backend *b);
/* Ends everything at once. Loop's thread, not locked. */
void backend_stop(struct backend *b);
/* What the server calls this login. */
void backend_account(const struct backend *b, const struct login *login,
    char account_r[LOGIN_MAX + 1]);
/* Ends a CHECK_RELAY, whether it waits or is asked about. Loop's thread, not
 * locked. */
void backend_abandon(struct check *check, const struct result *result);

/* queue.c; locked */
/* The check's place in its queue. -1: no memory; of logins only. */
int queue_put(struct check *check);
/* A login that waits, or whose turn it was, does so no longer. */
void queue_leave(struct check *check);
void queue_end(struct check *check);
/* Whose turn it is, if a connection is free; it is in no queue any more. */
struct check *queue_take(struct backend *b);
/* Answers all questions about accounts with "unknown". */
void queue_give_up(struct backend *b);
/* ... about passwords and relayed logins. */
void queue_give_up_logins(struct backend *b);
/* ... all that there are. */
void queue_clear(struct backend *b);
/* ... logins that have waited for too long. False: none has. */
bool queue_drop_late(struct backend *b);
/* When the next one will have; UINT64_MAX: nobody waits. */
uint64_t queue_late_in_ms(const struct backend *b);

/* alarm.c; on the loop's thread, not locked */
/* One line for the administrator. */
void alarm_note(struct backend *b, enum identity_level level,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* ... unless the same was said within the last minute. */
void alarm_raise(struct backend *b, enum alarm_kind kind,
    enum identity_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* outcome.c */
/* The end of a check that is in no list and has no exchange any more. Loop's
 * thread, not locked. */
void outcome_take(struct check *check, const struct result *result);

/* relay.c; on the loop's thread, and not locked, unless it says otherwise. */
/* Puts the client's first message into the question. */
void relay_ask(const struct identity_relay *relay,
    struct dialogue_question *question);
/* Its check has a new exchange. */
void relay_begun(struct identity_relay *relay);
/* Its check is answered. Locked. */
void relay_end(struct identity_relay *relay, enum identity answer);
/* Carries what clients have said. */
void relay_run(struct identity_engine *engine);
/* Others wait: who lets them wait gets less time. */
void relay_make_room(struct backend *b);
/* Tells those whose exchange is over, and frees them. */
void relay_deliver(struct identity_engine *engine);
/* Ends those that no check stands for. */
void relay_stop(struct identity_engine *engine);

/* offers.c; all on the loop's thread, not locked. */
/* -1: no memory. */
int offers_init(struct backend *b);
void offers_clear(struct backend *b);
/* A server said what it offers. */
void offers_learn(struct backend *b, unsigned int mechanisms);
/* The end of a CHECK_OFFERS. */
void offers_answer(struct backend *b, const struct result *result);

/* selftest.c; all on the loop's thread, not locked. */
/* -1: no memory. */
int selftest_init(struct backend *b);
void selftest_clear(struct backend *b);
/* Begins now, unless it is at work. */
void selftest_kick(struct backend *b);
/* The answer to its question. */
void selftest_answer(struct backend *b, const struct result *result);

#endif
