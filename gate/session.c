/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of an SMTP session: collects facts, asks policy/ what they mean and
 * identity/ what is missing, answers, and leaves one log line per decision. It
 * has no opinion of its own, and what it cannot do ends in "try again later".
 */
#include "gate/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gate/record.h"
#include "policy/classify.h"
#include "policy/decide.h"

#define SESSION_MAGIC 0x706f7374u

/* From MAIL to the end of the message or to RSET. */
struct transaction {
	struct facts facts;
	struct login login;
	struct path sender;
	struct path resolved;  /* {mail_addr}; PATH_UNKNOWN: not told */
	struct path recipient; /* the latest */
	char *from;            /* as typed, for the log */
	char *login_text;      /* canonical, or what was presented */
	char *mechanism;
	char *tls_version;
	bool smtputf8;
	struct decision judged; /* MAIL's, or the latest RCPT's that passed */
	size_t passed;          /* recipients that the MTA may take */
	bool counts;
	bool rcpt_alone; /* MAIL is judged for one recipient, and counted not */
	uint64_t size;   /* announced; 0: not */
	uint64_t body;
	struct login payer; /* empty: known by the address alone */
	struct limits_account account;
};

struct session {
	unsigned int magic;
	struct gate *gate;
	struct rules *rules;
	struct netaddr peer;
	char client[NETADDR_TEXT_MAX]; /* the peer, for the log */
	char *listener;
	char *helo;         /* NULL: not told */
	struct facts facts; /* of the connection */
	struct transaction *tx;
};

struct session *
session_new(struct gate *gate, const struct netaddr *peer, const char *listener)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SESSION_MAGIC;
	s->gate = gate;
	s->rules = gate_rules_ref(gate);
	s->peer = *peer;
	netaddr_format(peer, s->client);
	s->listener = strdup(listener != NULL ? listener : "");
	if (s->listener == NULL) {
		session_free(&s);
		return NULL;
	}
	store_callback(gate_store(gate));
	classify_client(&s->rules->conf->policy, peer, listener, &s->facts);
	if (s->facts.zone == ZONE_INTERNAL &&
	    limits_bar(gate_limits(gate), s->rules->conf, gate_store(gate),
		peer, gate_now_ms(gate)))
		s->facts.zone = ZONE_EXTERNAL;
	return s;
}

void
session_helo(struct session *s, const char *name)
{
	assert(s->magic == SESSION_MAGIC);
	free(s->helo);
	s->helo = name == NULL ? NULL : strdup(name);
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;

	if (s == NULL)
		return;
	assert(s->magic == SESSION_MAGIC);
	*sp = NULL;
	session_reset(s);
	gate_rules_unref(s->gate, s->rules);
	free(s->listener);
	free(s->helo);
	s->magic = 0;
	free(s);
}

static struct limits_client
limits_client_of(const struct session *s)
{
	const struct transaction *tx = s->tx;
	struct limits_client client = {
		.conf = s->rules->conf,
		.store = gate_store(s->gate),
		.counts = tx->counts,
		.rcpt_alone = tx->rcpt_alone,
		.addr = &s->peer,
		.zone = tx->facts.zone,
		.now_ms = gate_now_ms(s->gate),
	};

	if (tx->payer.text[0] != '\0')
		client.login = &tx->payer;
	return client;
}

void
session_reset(struct session *s)
{
	struct transaction *tx = s->tx;
	struct limits_client client;

	assert(s->magic == SESSION_MAGIC);
	if (tx == NULL)
		return;
	client = limits_client_of(s);
	limits_give_back(&client, &tx->account);
	s->tx = NULL;
	free(tx->from);
	free(tx->login_text);
	free(tx->mechanism);
	free(tx->tls_version);
	free(tx);
}

/* What the log says of the client and its MAIL, the same on every line. */
static void
fill_record(const struct session *s, struct record *r)
{
	const struct transaction *tx = s->tx;

	r->client = s->client;
	r->zone = s->facts.zone == ZONE_INTERNAL ? "internal" : "external";
	r->listener = s->listener;
	r->observed = s->rules->conf->policy.mode == MODE_OBSERVE;
	if (tx == NULL)
		return;
	r->tls = tx->tls_version;
	r->mechanism = tx->mechanism;
	r->login = tx->login_text;
	if (tx->facts.identity_asked)
		r->identity = identity_name(tx->facts.identity);
	r->from = tx->from;
}

static void
write_record(const struct session *s, const struct record *known,
    const struct decision *d, const struct answer *answer, const char *id,
    uint64_t begun_us)
{
	char reply[sizeof(answer->reply.code) + sizeof(answer->reply.xcode)];
	char line[RECORD_MAX];
	const struct reason_row *row = reason_row(d->reason);
	struct record r = { .stage = known->stage,
		.queue = known->queue,
		.rcpt = known->rcpt,
		.recipients = known->recipients };
	uint64_t now_us = gate_clock_us();

	if (gate_log(s->gate) == NULL)
		return;
	/* only what the client was refused is ever left out */
	if (answer->verdict != VERDICT_PERMIT &&
	    !repeats_allow(gate_repeats(s->gate), &s->peer, d->reason,
		now_us / 1000, &r.repeated))
		return;
	fill_record(s, &r);
	r.id = id;
	r.verdict = verdict_name(d->verdict);
	r.reason = row->name;
	r.sender_foreign = d->sender_foreign;
	r.over_limit = s->tx != NULL && s->tx->account.warned;
	memcpy(reply, answer->reply.code, 3);
	reply[3] = ' ';
	memcpy(reply + 4, answer->reply.xcode, sizeof(answer->reply.xcode));
	r.reply = reply;
	r.ms = (double)(now_us - begun_us) / 1000;
	record_format(log_format(gate_log(s->gate)), &r, line);
	log_line(gate_log(s->gate), LOG_LEVEL_INFO, line);
}

/* Turns a decision into an answer, and a log line unless r is NULL. */
static void
conclude(const struct session *s, const struct decision *d,
    const struct record *r, uint64_t begun_us, struct answer *answer_r)
{
	char id[DECISION_ID_LEN + 1];

	assert(d->verdict != VERDICT_NEED);
	gate_decision_id(s->gate, id);
	answer_r->decision = *d;
	answer_r->verdict = d->verdict;
	if (s->rules->conf->policy.mode == MODE_OBSERVE)
		answer_r->verdict = VERDICT_PERMIT;
	reply_format(d->reason, id, &answer_r->reply);
	if (r != NULL)
		write_record(s, r, d, answer_r, id, begun_us);
}

/* A decision that could not even be begun. */
static void
conclude_lost(struct session *s, const struct record *r, uint64_t begun_us,
    struct answer *answer_r)
{
	struct decision d = decision_refuse(REASON_INTERNAL_ERROR);

	conclude(s, &d, r, begun_us, answer_r);
}

void
session_lost(struct answer *answer_r)
{
	memset(answer_r, 0, sizeof(*answer_r));
	answer_r->decision = decision_refuse(REASON_INTERNAL_ERROR);
	reply_format(REASON_INTERNAL_ERROR, "none", &answer_r->reply);
}

static void
fetch_identity(struct session *s)
{
	struct transaction *tx = s->tx;

	tx->facts.identity = gate_ask(s->gate, s->rules, &tx->login, &s->peer);
	tx->facts.identity_asked = true;
}

/* Looked up at every MAIL; an internal client's address is warrant enough. */
static void
fetch_guessing(struct session *s)
{
	struct transaction *tx = s->tx;
	const struct login *login =
	    tx->facts.login == LOGIN_PRESENT ? &tx->login : NULL;

	if (tx->facts.zone == ZONE_INTERNAL)
		return;
	tx->facts.guessing =
	    guess_client_over(gate_guess(s->gate), &s->rules->conf->guessing,
		&s->peer, login, gate_clock_us() / 1000) == GUESS_WITHIN
	    ? GUESSING_WITHIN
	    : GUESSING_OVER;
}

static const struct path *
told_path(const struct path *path)
{
	return path->form == PATH_UNKNOWN ? NULL : path;
}

/* The holder to whom the sender belongs becomes the transaction's login: for
 * the log, and for whatever is counted. */
static void
fetch_lease(struct session *s)
{
	struct login holders[LEASE_HOLDERS_MAX];
	struct transaction *tx = s->tx;
	int count = gate_leases(s->gate, s->rules, &s->peer, holders);

	tx->facts.lease = LEASE_UNKNOWN;
	if (count < 0)
		return;
	classify_lease(&s->rules->conf->policy, &tx->sender,
	    told_path(&tx->resolved), holders, (size_t)count, &tx->login,
	    &tx->facts);
	if (tx->login.text[0] == '\0')
		return;
	free(tx->login_text);
	tx->login_text = strdup(tx->login.text);
	if (tx->login_text == NULL) /* nobody would know whose it was */
		tx->facts.lease = LEASE_UNKNOWN;
}

/* Of MAIL that has passed. A login that nobody has vouched for is none: it is
 * the address that sends then. */
static void
fetch_limit(struct session *s)
{
	struct transaction *tx = s->tx;
	bool leased =
	    tx->facts.login == LOGIN_ABSENT && tx->login.text[0] != '\0';
	struct limits_client client;

	if (leased || tx->facts.identity == IDENTITY_VERIFIED)
		limits_payer(s->rules, &tx->login, &tx->payer);
	client = limits_client_of(s);
	limits_mail(gate_limits(s->gate), &client, &tx->sender, tx->size,
	    &tx->account, &tx->facts);
}

static struct decision
judge_mail(struct session *s)
{
	const struct switches *sw = &s->rules->conf->policy.switches;
	struct decision d;

	fetch_guessing(s);
	d = decide_mail(sw, &s->tx->facts);
	if (d.verdict == VERDICT_NEED && d.need == FACT_IDENTITY) {
		fetch_identity(s);
		d = decide_mail(sw, &s->tx->facts);
	}
	if (d.verdict == VERDICT_NEED && d.need == FACT_LEASE) {
		fetch_lease(s);
		d = decide_mail(sw, &s->tx->facts);
	}
	if (d.verdict == VERDICT_NEED && d.need == FACT_LIMIT) {
		fetch_limit(s);
		d = decide_mail(sw, &s->tx->facts);
	}
	if (d.verdict == VERDICT_NEED)
		d = decision_refuse(REASON_INTERNAL_ERROR);
	return d;
}

/* The recipient that tx->facts are about. */
static struct decision
judge_rcpt(struct session *s, bool refused)
{
	const struct switches *sw = &s->rules->conf->policy.switches;
	struct transaction *tx = s->tx;
	struct limits_client client = limits_client_of(s);
	struct limits *limits = gate_limits(s->gate);
	struct decision d;

	tx->facts.recipient_limit = LIMIT_NOT_ASKED;
	d = decide_rcpt(sw, &tx->facts);
	if (d.verdict == VERDICT_NEED && d.need == FACT_RECIPIENT_LIMIT) {
		if (refused) {
			limits_bad_rcpt(limits, &client, &tx->recipient,
			    &tx->account);
			tx->facts.recipient_limit = LIMIT_WITHIN;
		} else {
			limits_rcpt(limits, &client, &tx->recipient,
			    &tx->account, &tx->facts);
			limits_watch(limits, &client, s->helo, &tx->sender,
			    &tx->recipient);
		}
		d = decide_rcpt(sw, &tx->facts);
		/* for the next one */
		tx->facts.containment = tx->account.step;
	} else if (d.reason == REASON_CONTAINED) {
		limits_contained(limits, &client, &tx->recipient, &tx->account);
	}
	if (d.verdict == VERDICT_NEED) /* no memory, or MAIL was not judged */
		d = decision_refuse(REASON_INTERNAL_ERROR);
	return d;
}

/* RFC 1870, 6.1: SIZE=digits. What is not announced is counted as it comes. */
static uint64_t
announced_size(const char *const *args)
{
	for (; args != NULL && *args != NULL; args++) {
		if (strncasecmp(*args, "SIZE=", 5) == 0 &&
		    strspn(*args + 5, "0123456789") == strlen(*args + 5) &&
		    strlen(*args) < 5 + 16)
			return strtoull(*args + 5, NULL, 10);
	}
	return 0;
}

/* SMTPUTF8 takes no value (RFC 6531, 3.4). */
static bool
has_smtputf8(const char *const *args)
{
	for (; args != NULL && *args != NULL; args++) {
		if (strcasecmp(*args, "SMTPUTF8") == 0)
			return true;
	}
	return false;
}

static int
copy_text(const char *text, char **copy_r)
{
	*copy_r = text == NULL ? NULL : strdup(text);
	return text != NULL && *copy_r == NULL ? -1 : 0;
}

/* Copies what the log needs. The path may hold NULs (posternctl explain); the
 * log then shows what is before the first one. */
static int
copy_texts(struct transaction *tx, const struct mail_event *event)
{
	tx->from = strndup(event->path, event->path_len);
	if (tx->from == NULL ||
	    copy_text(event->tls_version, &tx->tls_version) != 0 ||
	    copy_text(event->mechanism, &tx->mechanism) != 0)
		return -1;
	if (tx->facts.login == LOGIN_PRESENT)
		return copy_text(tx->login.text, &tx->login_text);
	if (event->login == NULL)
		return 0;
	tx->login_text = strndup(event->login, event->login_len);
	return tx->login_text == NULL ? -1 : 0;
}

static int
begin_transaction(struct session *s, const struct mail_event *event)
{
	const struct policy *policy = &s->rules->conf->policy;
	struct transaction *tx = calloc(1, sizeof(*tx));

	if (tx == NULL)
		return -1;
	s->tx = tx;
	tx->facts = s->facts;
	tx->smtputf8 = has_smtputf8(event->args);
	tx->size = announced_size(event->args);
	tx->counts = event->counts;
	tx->rcpt_alone = event->rcpt_follows;
	classify_tls(policy, event->tls_version, event->cipher,
	    event->cipher_bits, &tx->facts);
	classify_login(policy, event->mechanism, event->login, event->login_len,
	    &tx->login, &tx->facts);
	path_parse(PATH_OF_MAIL, event->path, event->path_len, tx->smtputf8,
	    &tx->sender);
	if (event->resolved != NULL && *event->resolved != '\0')
		path_parse_mailbox(event->resolved, strlen(event->resolved),
		    &tx->resolved);
	classify_sender(policy, &tx->sender, told_path(&tx->resolved),
	    &tx->login, &tx->facts);
	if (copy_texts(tx, event) != 0) {
		session_reset(s);
		return -1;
	}
	return 0;
}

void
session_mail(struct session *s, const struct mail_event *event,
    struct answer *answer_r)
{
	struct record record = { .stage = "mail", .queue = event->queue_id };
	uint64_t begun_us = gate_clock_us();
	struct decision d;

	assert(s->magic == SESSION_MAGIC);
	memset(answer_r, 0, sizeof(*answer_r));
	store_callback(gate_store(s->gate));
	session_reset(s);
	if (begin_transaction(s, event) != 0) {
		conclude_lost(s, &record, begun_us, answer_r);
		return;
	}
	d = judge_mail(s);
	s->tx->judged = d;
	if (event->rcpt_follows && d.verdict == VERDICT_PERMIT)
		conclude(s, &d, NULL, begun_us, answer_r);
	else
		conclude(s, &d, &record, begun_us, answer_r);
}

void
session_rcpt(struct session *s, const struct rcpt_event *event,
    struct answer *answer_r)
{
	const struct policy *policy = &s->rules->conf->policy;
	struct record record = { .stage = "rcpt", .queue = event->queue_id };
	char *rcpt = strndup(event->path, event->path_len);
	uint64_t begun_us = gate_clock_us();
	struct path resolved = { 0 };
	struct transaction *tx = s->tx;
	struct decision d;

	assert(s->magic == SESSION_MAGIC);
	memset(answer_r, 0, sizeof(*answer_r));
	store_callback(gate_store(s->gate));
	record.rcpt = rcpt;
	if (tx == NULL || rcpt == NULL) {
		conclude_lost(s, &record, begun_us, answer_r);
		free(rcpt);
		return;
	}
	path_parse(PATH_OF_RCPT, event->path, event->path_len, tx->smtputf8,
	    &tx->recipient);
	if (event->resolved != NULL && *event->resolved != '\0')
		path_parse_mailbox(event->resolved, strlen(event->resolved),
		    &resolved);
	classify_recipient(policy, &tx->recipient, told_path(&resolved),
	    event->resolved_host, &tx->facts);
	d = judge_rcpt(s, event->refused);
	if (event->refused && d.verdict == VERDICT_PERMIT)
		conclude(s, &d, NULL, begun_us, answer_r);
	else
		conclude(s, &d, &record, begun_us, answer_r);
	if (answer_r->verdict == VERDICT_PERMIT && !event->refused) {
		tx->passed++;
		tx->judged = d;
	}
	free(rcpt);
}

void
session_body(struct session *s, size_t octets)
{
	assert(s->magic == SESSION_MAGIC);
	if (s->tx != NULL)
		s->tx->body += octets;
}

void
session_commit(struct session *s)
{
	struct limits_client client;

	assert(s->magic == SESSION_MAGIC);
	if (s->tx == NULL)
		return;
	store_callback(gate_store(s->gate));
	client = limits_client_of(s);
	limits_settle(gate_limits(s->gate), &client, &s->tx->account);
}

/* What was reserved is used if the MTA takes the message. */
static void
conclude_message(struct session *s, struct record *record, uint64_t begun_us,
    struct answer *answer_r)
{
	struct transaction *tx = s->tx;
	struct limits_client client = limits_client_of(s);
	struct limits *limits = gate_limits(s->gate);

	record->recipients = tx->passed;
	if (!limits_body(limits, &client, tx->body, &tx->account))
		tx->judged = decision_refuse(REASON_OVER_LIMIT);
	conclude(s, &tx->judged, record, begun_us, answer_r);
	if (answer_r->verdict == VERDICT_PERMIT)
		limits_settle(limits, &client, &tx->account);
}

void
session_message(struct session *s, const char *queue_id,
    struct answer *answer_r)
{
	struct record record = { .stage = "message", .queue = queue_id };
	uint64_t begun_us = gate_clock_us();

	assert(s->magic == SESSION_MAGIC);
	memset(answer_r, 0, sizeof(*answer_r));
	store_callback(gate_store(s->gate));
	if (s->tx == NULL || s->tx->passed == 0) {
		/* Nothing passed, so nothing may go on. */
		conclude_lost(s, &record, begun_us, answer_r);
	} else {
		conclude_message(s, &record, begun_us, answer_r);
	}
	session_reset(s);
}

const struct facts *
session_facts(const struct session *s)
{
	return s->tx != NULL ? &s->tx->facts : &s->facts;
}

const struct path *
session_sender(const struct session *s)
{
	return s->tx != NULL ? &s->tx->sender : NULL;
}

const struct path *
session_recipient(const struct session *s)
{
	return s->tx != NULL && s->tx->recipient.form != PATH_UNKNOWN
	    ? &s->tx->recipient
	    : NULL;
}

const struct login *
session_login(const struct session *s)
{
	return s->tx != NULL ? &s->tx->login : NULL;
}

const struct policy *
session_policy(const struct session *s)
{
	return &s->rules->conf->policy;
}
