/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posternctl login: tries a password as the SASL service would and says step by
 * step what IMAP answers and what follows from it. It leaves no trace: it
 * counts no guess and writes no proof, and knows nothing of what the running
 * daemon remembers. The password is never shown and does not outlive its use.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <openssl/crypto.h>

#include "ctl/ctl.h"
#include "ctl/secret.h"
#include "gate/attempt.h"
#include "gate/rules.h"
#include "identity/route.h"
#include "policy/netaddr.h"
#include "policy/reason.h"
#include "policy/sasl.h"

/* LeakSanitizer's, in builds that have it; else its address is NULL. */
void __lsan_do_leak_check(void) __attribute__((weak));

/* The engine ends an attempt itself long before. */
#define PATIENCE_S (IDENTITY_ATTEMPT_MS / 1000 + 4)

/* What the engine's thread hands over. */
struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool known;
	struct identity_verdict verdict;
};

struct trial {
	const char *user; /* as the client spells it */
	struct login login;
	struct netaddr client; /* NETADDR_NONE: not given */
	const struct conf *conf;
	const struct conf_imap *imap;
	bool counts; /* PLAIN or LOGIN is a login to MAIL (auth.mechanisms) */
	char password[SASL_PASSWORD_MAX + 1]; /* no NUL at its end */
	size_t len;
	struct outcome outcome;
};

static bool
has_source(const struct conf_imap *imap, enum verify_source source)
{
	return imap->verify[0] == source || imap->verify[1] == source;
}

static const char *
identity_words(enum identity identity)
{
	return identity == IDENTITY_UNKNOWN ? "undecided"
					    : identity_name(identity);
}

/* What MTAs make of it. */
static const char *
auth_words(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
		return "235, the client is in";
	case IDENTITY_REFUSED:
		return "535, as for any wrong password";
	case IDENTITY_DISABLED:
		return "535; that the account is disabled stands in the log";
	case IDENTITY_UNPROVEN:
	case IDENTITY_UNKNOWN:
		break;
	}
	return "454 (Postfix), 435 (Exim), but 535 (sendmail): postern hangs "
	       "up on the MTA without an answer";
}

/* The daemon's rule of what an identity means to a client from outside. */
static enum reason
mail_reason(enum identity identity)
{
	switch (identity) {
	case IDENTITY_VERIFIED:
		return REASON_AUTHENTICATED;
	case IDENTITY_REFUSED:
		return REASON_IDENTITY_REFUSED;
	case IDENTITY_DISABLED:
		return REASON_IDENTITY_DISABLED;
	case IDENTITY_UNPROVEN:
		return REASON_SESSION_UNPROVEN;
	case IDENTITY_UNKNOWN:
		break;
	}
	return REASON_IDENTITY_UNDECIDED;
}

/* On the engine's thread. The server's words are a stranger's. */
static void
print_step(void *arg, const char *text)
{
	(void)arg;
	flockfile(stdout);
	(void)fputs("  | ", stdout);
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		(void)putc_unlocked(c < 0x20 || c >= 0x7f ? '?' : c, stdout);
	}
	(void)putc_unlocked('\n', stdout);
	funlockfile(stdout);
}

static void
take_verdict(void *arg, const struct identity_verdict *verdict)
{
	struct outcome *outcome = arg;

	(void)pthread_mutex_lock(&outcome->lock);
	outcome->verdict = *verdict;
	outcome->known = true;
	(void)pthread_cond_signal(&outcome->changed);
	(void)pthread_mutex_unlock(&outcome->lock);
}

/* IDENTITY_UNKNOWN when no answer came. */
static enum identity
wait_for_verdict(struct outcome *outcome)
{
	enum identity identity = IDENTITY_UNKNOWN;
	struct timespec end;

	(void)clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE_S;
	(void)pthread_mutex_lock(&outcome->lock);
	while (!outcome->known) {
		if (pthread_cond_timedwait(&outcome->changed, &outcome->lock,
			&end) != 0)
			break;
	}
	if (outcome->known)
		identity = outcome->verdict.identity;
	(void)pthread_mutex_unlock(&outcome->lock);
	return identity;
}

/* The first section whose domains match, or NULL. */
static const struct conf_imap *
imap_of(const struct conf *conf, const struct login *login)
{
	for (size_t i = 0; i < conf->imap_count; i++) {
		const struct conf_imap *imap = &conf->imaps[i];

		if (route_matches((const char *const *)imap->domains,
			imap->domain_count, login))
			return imap;
	}
	return NULL;
}

/* Who is asked about whom? False: nobody, it is refused here. */
static bool
say_route(struct trial *t)
{
	char account[LOGIN_MAX + 1];

	if (login_normalise(t->user, strlen(t->user), t->conf->policy.realm,
		&t->login) != 0) {
		(void)printf("login      malformed; refused unasked\n");
		return false;
	}
	(void)printf("login      %s\n", t->login.text);
	t->imap = imap_of(t->conf, &t->login);
	if (t->imap == NULL) {
		(void)printf("imap       none: no section's domains match; "
			     "refused unasked\n");
		return false;
	}
	if (route_is_ambiguous(&t->login)) {
		(void)printf("imap       %s: the login has more than one @; "
			     "refused unasked\n",
		    t->imap->name);
		return false;
	}
	if (route_is_master(t->imap->master_separator, &t->login)) {
		(void)printf("imap       %s: the login contains "
			     "master_separator \"%s\"; refused unasked\n",
		    t->imap->name, t->imap->master_separator);
		return false;
	}
	if (t->imap->login_as == LOGIN_AS_ADDRESS)
		memcpy(account, t->login.text, sizeof(account));
	else
		login_local(&t->login, account);
	(void)printf("imap       %s, which knows it as %s", t->imap->name,
	    account);
	for (size_t i = 0; i < t->imap->url_count; i++)
		(void)printf("%s%s", i == 0 ? ": " : ", ", t->imap->urls[i]);
	(void)putchar('\n');
	return true;
}

static void
say_client(const struct trial *t)
{
	char text[NETADDR_TEXT_MAX] = "(none given)";

	if (t->client.family != NETADDR_NONE)
		netaddr_format(&t->client, text);
	(void)printf("client     %s%s\n", text,
	    t->client.family == NETADDR_NONE ? ""
		: t->imap->forward_client
		? ", which IMAP is told (forward_client)"
		: ", which IMAP is not told (forward_client is off)");
}

/* saslauthd is not told which mechanism a password came by. */
static bool
takes_password(const struct trial *t, const struct conf_sasl *sasl)
{
	return t->counts || sasl->protocol == SASL_PROTOCOL_SASLAUTHD;
}

static void
say_auth(const struct trial *t, enum identity identity)
{
	const struct conf *conf = t->conf;

	if (t->counts || conf->sasl_count == 0)
		(void)printf("AUTH       %s\n", auth_words(identity));
	for (size_t i = 0; !t->counts && i < conf->sasl_count; i++)
		(void)printf("AUTH       sasl \"%s\": %s\n",
		    conf->sasls[i].name,
		    takes_password(t, &conf->sasls[i])
			? auth_words(identity)
			: "535 unasked, for auth.mechanisms has neither "
			  "PLAIN nor LOGIN");
	if (identity == IDENTITY_UNKNOWN && conf->identity_grace_ms > 0)
		(void)printf("           (unless the daemon saw it verify "
			     "within identity.grace)\n");
}

/* Is a success by this door remembered? */
static bool
keeps_proof(const struct trial *t, const struct conf_sasl *sasl)
{
	return takes_password(t, sasl) &&
	    (sasl->proof == SASL_PROOF_LOGIN ||
		sasl->protocol == SASL_PROTOCOL_DOVECOT);
}

static void
say_proof_of(const struct trial *t, const struct conf_sasl *sasl)
{
	char from[NETADDR_TEXT_MAX] = "the client's address";

	if (!keeps_proof(t, sasl)) {
		(void)printf("proof      sasl \"%s\": none, %s\n", sasl->name,
		    takes_password(t, sasl)
			? "saslauthd's clients tell no address"
			: "it takes no password");
		return;
	}
	if (sasl->proof == SASL_PROOF_LOGIN)
		(void)snprintf(from, sizeof(from), "anywhere");
	else if (t->client.family != NETADDR_NONE)
		netaddr_format(&t->client, from);
	(void)printf("proof      sasl \"%s\": for the login from %s "
		     "(session_ttl %ju s)\n",
	    sasl->name, from,
	    (uintmax_t)(t->conf->identity_session_ttl_ms / 1000));
}

/* Would there be one? */
static bool
say_proofs(const struct trial *t)
{
	bool any = false;

	if (!has_source(t->imap, VERIFY_SESSION)) {
		(void)printf("proof      not looked at: imap \"%s\" does not "
			     "verify by session\n",
		    t->imap->name);
		return false;
	}
	if (t->conf->sasl_count == 0)
		(void)printf("proof      none: without a sasl section no "
			     "login passes postern\n");
	for (size_t i = 0; i < t->conf->sasl_count; i++) {
		say_proof_of(t, &t->conf->sasls[i]);
		any = any || keeps_proof(t, &t->conf->sasls[i]);
	}
	return any;
}

/* As rules_ask() does, with a proof that is assumed, and what the question by
 * proxy gave. */
static enum identity
judge(const struct conf_imap *imap, bool proven, enum identity account)
{
	enum identity last = IDENTITY_UNKNOWN;
	bool undecided = false;

	for (size_t i = 0; i < VERIFY_SOURCES; i++) {
		if (imap->verify[i] == VERIFY_NONE ||
		    (i > 0 && last != IDENTITY_UNKNOWN &&
			last != IDENTITY_UNPROVEN))
			continue;
		last = proven ? IDENTITY_VERIFIED : IDENTITY_UNPROVEN;
		if (imap->verify[i] == VERIFY_PROXY)
			last = account;
		undecided = undecided || last == IDENTITY_UNKNOWN;
	}
	return last == IDENTITY_UNPROVEN && undecided ? IDENTITY_UNKNOWN : last;
}

static void
say_mail(const struct trial *t, const struct rules *rules, bool verified,
    bool proven)
{
	enum identity account = IDENTITY_UNKNOWN;
	const struct reason_row *row;

	if (!t->counts) {
		row = reason_row(REASON_MECHANISM_NOT_ACCEPTED);
		(void)printf("MAIL       %u %s %s, from outside over TLS, "
			     "after PLAIN or LOGIN\n",
		    row->code, row->xcode, row->name);
		return;
	}
	if (has_source(t->imap, VERIFY_PROXY)) {
		(void)printf("the account is asked about by proxy:\n");
		account = identity_ask(rules_engine(rules), &t->login);
		(void)printf("account    %s\n", identity_words(account));
	}
	row = reason_row(mail_reason(judge(t->imap, proven, account)));
	(void)printf("MAIL       %u %s %s, from outside over TLS%s\n",
	    row->code, row->xcode, row->name,
	    verified ? "" : ", if the MTA accepts the login by other means");
}

static int
say_verdict(struct trial *t, const struct rules *rules, enum identity identity)
{
	bool verified = identity == IDENTITY_VERIFIED, proven = false;

	t->counts = attempt_would_count(rules, SASL_PLAIN) ||
	    attempt_would_count(rules, SASL_LOGIN);
	(void)printf("password   %s\n", identity_words(identity));
	say_auth(t, identity);
	if (verified)
		proven = say_proofs(t);
	say_mail(t, rules, verified, proven);
	return verified && t->counts ? CTL_GOOD : CTL_FINDING;
}

/* The password is gone when this returns. */
static int
try_password(struct trial *t, const struct rules *rules)
{
	const struct identity_password question = {
		.login = &t->login,
		.password = t->password,
		.len = t->len,
		.client = &t->client,
	};

	(void)printf("the password is tried:\n");
	identity_verify(rules_engine(rules), &question, take_verdict,
	    &t->outcome);
	OPENSSL_cleanse(t->password, sizeof(t->password));
	return say_verdict(t, rules, wait_for_verdict(&t->outcome));
}

/* How long the servers that are asked by proxy may take; 0: none is. */
static uint64_t
proxy_patience(const struct conf *conf)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < conf->imap_count; i++) {
		if (has_source(&conf->imaps[i], VERIFY_PROXY) &&
		    conf->imaps[i].timeout_ms > longest)
			longest = conf->imaps[i].timeout_ms;
	}
	return longest;
}

/* Starts an engine as the daemon's, but one that tells what it does. Takes
 * conf. */
static int
ask_imap(struct trial *t, struct conf *conf)
{
	struct log *log = log_new(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	uint64_t patience = proxy_patience(conf);
	struct rules *rules = NULL;
	struct err e = { "out of memory" };
	int rc = CTL_FINDING;

	if (log == NULL) {
		conf_free(&conf);
	} else {
		log_set_level(log, LOG_LEVEL_WARNING);
		if (patience > 0)
			(void)printf("the servers that are asked by proxy are "
				     "tested first:\n");
		rules = rules_new_traced(conf, log, print_step, NULL, &e);
	}
	if (rules == NULL) {
		(void)fprintf(stderr, "posternctl: %s\n", e.text);
	} else {
		(void)rules_wait_ready(rules, patience);
		rc = try_password(t, rules);
	}
	rules_free(&rules);
	log_free(&log);
	return rc;
}

/* Everything that needs no IMAP. False: the login is refused without. */
static bool
prepare(struct trial *t)
{
	char prompt[LOGIN_MAX + 32];

	if (!say_route(t))
		return false;
	say_client(t);
	(void)snprintf(prompt, sizeof(prompt),
	    "Password of %s: ", t->login.text);
	if (secret_read(prompt, t->password, sizeof(t->password), &t->len) != 0)
		return false;
	if (sasl_password_fits(t->password, t->len))
		return true;
	(void)printf("password   empty, longer than %d octets or with control "
		     "characters; refused unasked\n",
	    SASL_PASSWORD_MAX);
	return false;
}

/* [--addr ADDRESS] USER */
static int
parse_arguments(int argc, char **argv, struct trial *t)
{
	int i = 0;

	if (argc - i >= 2 && strcmp(argv[i], "--addr") == 0) {
		if (netaddr_parse(argv[i + 1], &t->client) != 0) {
			(void)fprintf(stderr,
			    "posternctl: login: \"%s\" is no IP address\n",
			    argv[i + 1]);
			return -1;
		}
		i += 2;
	}
	if (argc - i >= 1 && strcmp(argv[i], "--") == 0)
		i++;
	else if (argc - i >= 1 && *argv[i] == '-')
		i = argc;
	if (argc - i != 1) {
		(void)fprintf(stderr,
		    "posternctl: login wants [--addr ADDRESS] USER\n");
		return -1;
	}
	t->user = argv[i];
	return 0;
}

/* As the daemon: the limit does not bind a program that core_pattern names. */
static void
forbid_core(void)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	if (__lsan_do_leak_check != NULL)
		return;
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

int
ctl_login(const char *file, int argc, char **argv)
{
	struct trial t = { .outcome = { .lock = PTHREAD_MUTEX_INITIALIZER,
			       .changed = PTHREAD_COND_INITIALIZER } };
	struct conf *conf;
	int rc = CTL_FINDING;

	if (parse_arguments(argc, argv, &t) != 0)
		return CTL_USAGE;
	conf = ctl_load(file, NULL);
	if (conf == NULL)
		return CTL_CONFIG;
	forbid_core();
	/* in step with what the engine says on standard error */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	t.conf = conf;
	if (prepare(&t))
		rc = ask_imap(&t, conf);
	else
		conf_free(&conf);
	OPENSSL_cleanse(t.password, sizeof(t.password));
	return rc;
}
