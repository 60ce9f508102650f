/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_TESTS_LIB_TRY_H
#define POSTERN_TESTS_LIB_TRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "gate/auth.h"

/*
 * Login attempts at a gate, with a stand-in for IMAP, a store in a directory of
 * its own, and a log that can be read. One gate at a time; what goes wrong
 * fails the test that cmocka runs.
 */

/* The site, with more options of its auth section. */
/* clang-format off */
#define TRY_SITE(auth) \
 "internal = {\"10.0.0.0/8\"}\n" \
 "auth { realm = \"example.org\" " auth "}\n" \
 "imap \"main\" { url = \"imaps://imap.example.org\" " \
 "verify = {\"session\"} }\n" \
 "sasl \"mta\" { listen = \"unix:/run/p/sasl\" pass_through = " \
 "{\"CRAM-MD5\", \"SCRAM-SHA-256\", \"OAUTHBEARER\"} }\n" \
 "sasl \"lan\" { listen = \"unix:/run/p/lan\" plaintext_internal = true }\n" \
 "sasl \"mux\" { protocol = \"saslauthd\" listen = \"unix:/run/p/mux\" " \
 "proof = \"login\" }\n"
/* clang-format on */
extern const char try_site[];

/* identity/ knows it by name only. */
struct try_carried {
	identity_relay_event *event;
	void *arg;
	bool live;
	char login[LOGIN_MAX + 1];
	char message[256]; /* the latest one, in base64 */
};

/* Waits for its turn. */
struct try_queued {
	bool (*admit)(void *arg);
	identity_done *done;
	void *arg;
};
#define TRY_QUEUE_MAX 128

/* What IMAP is to say, and what it was asked. Zeroed by try_open(). */
struct try_imap {
	struct identity_verdict verdict;
	unsigned int asked;
	char login[LOGIN_MAX + 1];
	char password[64];
	char client[NETADDR_TEXT_MAX];
	bool on_thread; /* answer later, on a thread of its own */
	bool busy;      /* answer when try_imap_serves() */
	struct try_queued queue[TRY_QUEUE_MAX];
	unsigned int queued;
	identity_done *done;
	void *arg;
	pthread_t thread;
	unsigned int offers; /* SASL_BIT()s */
	bool no_relay;
	unsigned int begun;
	unsigned int cancelled;
	struct try_carried relay;
};
extern struct try_imap try_imap;
/* All that wait, one after another, have their turn. */
void try_imap_serves(void);
/* What comes on the engine's thread: the end of the latest exchange. */
void try_imap_ends(enum identity identity);

extern struct gate *try_gate;
void try_open(const char *site);
/* Every attempt has to have ended by then. */
void try_close(void);

/* So often was this logged. */
void try_expect_logged(const char *what, size_t times);

struct try_outcome {
	unsigned int ends;
	struct auth_answer answer;
	unsigned int challenges;
	char challenge[64];
};
/* An auth_done; arg is the outcome. */
void try_take_answer(void *arg, const struct auth_answer *answer);

/* Who tries what; alice, with PLAIN, over TLS, at "mta", where nothing is said.
 */
struct
try {
	const char *service;
	enum sasl_mechanism mechanism; /* without: PLAIN */
	bool unknown;                  /* a mechanism that there is not */
	const char *from;
	bool in_clear;
	const char *authzid;
	const char *login;
	const char *password;
};
extern const struct try try_scram, try_cram, try_bearer;

struct auth_client try_client(const struct try *try, struct netaddr *addr);
struct auth_answer try_password(const struct try *try);
/* Likewise, but the answer may come later. */
void try_begin(const struct try *try, struct try_outcome *outcome);
/* The outcome is zeroed first, and filled as it comes. */
struct auth_relay *try_relay(const struct try *try, const char *message,
    struct try_outcome *outcome);

void try_expect(const char *what, const struct auth_answer *got,
    enum verdict verdict, enum reason reason);
/* What would MAIL say to a client at this address, with this login or none
 * (NULL)? */
void try_expect_mail(const char *from, const char *login, enum reason want);

/* While a gate is open, standard error is its log; what cmocka says goes where
 * it always went. Around all tests. */
void try_divert(void);
void try_restore(void);

#endif
