/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The milter door: libmilter's callbacks and macros in, SMFIS values out. The
 * only file that knows libmilter, and it decides nothing: whatever is missing
 * (memory, context, negotiation) ends in a tempfail, and letting pass is
 * SMFIS_CONTINUE and nothing else.
 */
#include "milter/filter.h"

#include <ctype.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "gate/session.h"
#include "policy/login.h"

#define DOOR_MAGIC 0x646f6f72u

/* What crosses libmilter's void pointer; from negotiation to close. */
struct door {
	unsigned int magic;
	bool is_sendmail; /* logins come in xtext */
	bool early_login; /* {auth_*} came before MAIL: not to be trusted */
	bool silent_helo; /* the MTA does not wait for an answer to HELO */
	struct session *session;
};

static struct gate *the_gate;

static struct door *
door_of(SMFICTX *ctx)
{
	struct door *door = smfi_getpriv(ctx);

	return door != NULL && door->magic == DOOR_MAGIC ? door : NULL;
}

static struct session *
session_of(SMFICTX *ctx)
{
	struct door *door = door_of(ctx);

	return door == NULL ? NULL : door->session;
}

/* A macro that is empty is a macro that is not there (sendmail sends some so).
 * Borrowed from libmilter for the callback. */
static const char *
look_up_macro(SMFICTX *ctx, char *name)
{
	const char *value = smfi_getsymval(ctx, name);

	return value == NULL || *value == '\0' ? NULL : value;
}

/* libmilter wants a name that could be written to */
#define macro(ctx, name) look_up_macro((ctx), (char[]){ name })

/* sendmail's {v} is its bare version number; an MTA that sends none shows
 * itself by the macros that only sendmail has. */
static bool
mta_is_sendmail(SMFICTX *ctx)
{
	const char *version = macro(ctx, "v");

	if (version != NULL)
		return isdigit((unsigned char)*version) != 0;
	return macro(ctx, "{if_name}") != NULL ||
	    macro(ctx, "{if_addr}") != NULL || macro(ctx, "{auth_ssf}") != NULL;
}

/* libmilter and both MTAs treat the text as a format. */
static void
double_percents(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 <= size; text++) {
		if (*text == '%')
			out[n++] = '%';
		out[n++] = *text;
	}
	out[n] = '\0';
}

/* The answer's code class and the SMFIS value come from one table row, so that
 * libmilter never drops the text. */
static sfsistat
tell(SMFICTX *ctx, const struct answer *answer)
{
	char code[sizeof(answer->reply.code)];
	char xcode[sizeof(answer->reply.xcode)];
	char text[2 * sizeof(answer->reply.text)];

	if (answer->verdict == VERDICT_PERMIT)
		return SMFIS_CONTINUE;
	(void)snprintf(code, sizeof(code), "%s", answer->reply.code);
	(void)snprintf(xcode, sizeof(xcode), "%s", answer->reply.xcode);
	double_percents(answer->reply.text, text, sizeof(text));
	(void)smfi_setreply(ctx, code, xcode, text);
	return answer->verdict == VERDICT_REJECT ? SMFIS_REJECT
						 : SMFIS_TEMPFAIL;
}

static sfsistat
tell_lost(SMFICTX *ctx)
{
	struct answer answer;

	session_lost(&answer);
	log_event(gate_log(the_gate), LOG_LEVEL_WARNING,
	    "a command came without a session before it: refused for now");
	return tell(ctx, &answer);
}

/*
 * libmilter falls back to an earlier stage's value, so a login that the MTA
 * states before MAIL outlives the STARTTLS that ends it. We ask for none there,
 * and for no HELO at all; an MTA that takes no such wishes and shows a login at
 * connect or HELO (be it the latest MAIL's) gets no login believed.
 */
static void
watch_for_early_login(SMFICTX *ctx, struct door *door)
{
	static atomic_bool told;

	if (door->early_login ||
	    (macro(ctx, "{auth_type}") == NULL &&
		macro(ctx, "{auth_authen}") == NULL))
		return;
	door->early_login = true;
	if (!atomic_exchange(&told, true))
		log_event(gate_log(the_gate), LOG_LEVEL_ALARM,
		    "the MTA sends {auth_*} at connect or HELO, where it goes "
		    "stale: no login is believed; send it at MAIL only");
}

static bool
ask_for_macros(SMFICTX *ctx)
{
	/* TLS and AUTH at MAIL, AUTH not earlier. */
	static const struct {
		int stage;
		const char *names;
	} wanted[] = {
		{ SMFIM_CONNECT, "v {daemon_name} {if_name} {if_addr}" },
		{ SMFIM_HELO, "{tls_version} {cipher} {cipher_bits}" },
		{ SMFIM_ENVFROM,
		    "i {auth_type} {auth_authen} {auth_ssf} {tls_version} "
		    "{cipher} {cipher_bits} {mail_addr}" },
		{ SMFIM_ENVRCPT, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}" },
		{ SMFIM_EOM, "i" },
	};
	char names[128];

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		/* libmilter wants text that could be written to */
		memcpy(names, wanted[i].names, strlen(wanted[i].names) + 1);
		if (smfi_setsymlist(ctx, wanted[i].stage, names) != MI_SUCCESS)
			return false;
	}
	return true;
}

/* What a connection keeps ends here, at its close or at another negotiation. */
static void
forget_door(SMFICTX *ctx)
{
	struct door *door = door_of(ctx);

	if (door == NULL)
		return;
	(void)smfi_setpriv(ctx, NULL);
	session_free(&door->session);
	door->magic = 0;
	free(door);
}

/* What limits and the sentinel want to see. */
static unsigned long
steps_that_count(void)
{
	struct rules *rules = gate_rules_ref(the_gate);
	unsigned long steps = 0;

	if (conf_limits_count(rules->conf, COUNTER_BYTES))
		steps |= SMFIP_NOBODY;
	if (rules->conf->sentinel != SENTINEL_OFF &&
	    gate_store(the_gate) != NULL)
		steps |= SMFIP_NOHELO;
	gate_rules_unref(the_gate, rules);
	return steps;
}

/*
 * Steps that decide nothing are left out where the MTA offers that. HELO
 * carries the TLS macros of an MTA that does not take our list, and a name for
 * the sentinel; an answer would be a round trip, a fifth of a short session.
 */
static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
    unsigned long unused2, unsigned long unused3, unsigned long *actions_r,
    unsigned long *steps_r, unsigned long *unused2_r, unsigned long *unused3_r)
{
	unsigned long skip = SMFIP_NOBODY | SMFIP_NOHDRS | SMFIP_NOEOH |
	    SMFIP_NOUNKNOWN | SMFIP_NODATA;
	struct door *door = calloc(1, sizeof(*door));

	(void)unused2;
	(void)unused3;
	forget_door(ctx);
	*actions_r = 0;
	*unused2_r = 0;
	*unused3_r = 0;
	if ((actions & SMFIF_SETSYMLIST) != 0 && ask_for_macros(ctx)) {
		*actions_r = SMFIF_SETSYMLIST;
		skip |= SMFIP_NOHELO;
	}
	skip &= ~steps_that_count();
	*steps_r = (skip | SMFIP_RCPT_REJ) & steps;
	if (door == NULL)
		return SMFIS_CONTINUE;
	door->magic = DOOR_MAGIC;
	door->silent_helo = (steps & SMFIP_NR_HELO) != 0;
	if (smfi_setpriv(ctx, door) != MI_SUCCESS)
		free(door);
	else
		*steps_r |= SMFIP_NR_HELO & steps;
	return SMFIS_CONTINUE;
}

/* Nothing is refused here: it would take STARTTLS and AUTH away. */
static sfsistat
on_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *address)
{
	struct door *door = door_of(ctx);
	struct netaddr peer;

	(void)hostname;
	if (door == NULL)
		return SMFIS_CONTINUE; /* MAIL will find no session */
	session_free(&door->session);
	netaddr_from_sockaddr(address, &peer);
	door->is_sendmail = mta_is_sendmail(ctx);
	watch_for_early_login(ctx, door);
	door->session =
	    session_new(the_gate, &peer, macro(ctx, "{daemon_name}"));
	return SMFIS_CONTINUE;
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct door *door = door_of(ctx);

	if (door == NULL)
		return SMFIS_CONTINUE;
	watch_for_early_login(ctx, door);
	if (door->session != NULL)
		session_helo(door->session, name);
	return door->silent_helo ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Decodes sendmail's xtext once. What is not xtext is a login that nobody has:
 * it goes on as an empty one. */
static void
read_login(SMFICTX *ctx, bool xtext, char buffer[LOGIN_MAX + 2],
    struct mail_event *event)
{
	event->login = macro(ctx, "{auth_authen}");
	if (event->login == NULL)
		return;
	event->login_len = strlen(event->login);
	if (!xtext)
		return;
	if (login_xtext_decode(event->login, buffer, LOGIN_MAX + 2,
		&event->login_len) != 0)
		event->login_len = 0;
	event->login = buffer;
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct door *door = door_of(ctx);
	char login[LOGIN_MAX + 2] = "";
	struct mail_event event = {
		.path = argv[0],
		.path_len = strlen(argv[0]),
		.args = (const char *const *)argv + 1,
		.resolved = macro(ctx, "{mail_addr}"),
		.tls_version = macro(ctx, "{tls_version}"),
		.cipher = macro(ctx, "{cipher}"),
		.cipher_bits = macro(ctx, "{cipher_bits}"),
		.mechanism = macro(ctx, "{auth_type}"),
		.queue_id = macro(ctx, "i"),
		.counts = true,
	};
	struct answer answer;

	if (door == NULL || door->session == NULL)
		return tell_lost(ctx);
	if (door->early_login)
		event.mechanism = NULL;
	else
		read_login(ctx, door->is_sendmail, login, &event);
	session_mail(door->session, &event, &answer);
	return tell(ctx, &answer);
}

/* The MTA shows what it refuses itself (SMFIP_RCPT_REJ) by this mailer. */
static bool
is_refused(SMFICTX *ctx)
{
	const char *mailer = macro(ctx, "{rcpt_mailer}");

	return mailer != NULL && strcmp(mailer, "error") == 0;
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	bool refused = is_refused(ctx);
	struct session *session = session_of(ctx);
	struct rcpt_event event = {
		.path = argv[0],
		.path_len = strlen(argv[0]),
		/* of a refused one they are the MTA's own words */
		.resolved = refused ? NULL : macro(ctx, "{rcpt_addr}"),
		.resolved_host = refused ? NULL : macro(ctx, "{rcpt_host}"),
		.refused = refused,
		.queue_id = macro(ctx, "i"),
	};
	struct answer answer;

	if (session == NULL)
		return tell_lost(ctx);
	session_rcpt(session, &event, &answer);
	return tell(ctx, &answer);
}

/* Asked for only when somebody counts. */
static sfsistat
on_body(SMFICTX *ctx, unsigned char *octets, size_t len)
{
	struct session *session = session_of(ctx);

	(void)octets;
	if (session != NULL)
		session_body(session, len);
	return SMFIS_CONTINUE;
}

static sfsistat
on_message(SMFICTX *ctx)
{
	struct session *session = session_of(ctx);
	struct answer answer;

	if (session == NULL)
		return tell_lost(ctx);
	session_message(session, macro(ctx, "i"), &answer);
	return tell(ctx, &answer);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *session = session_of(ctx);

	if (session != NULL)
		session_reset(session);
	return SMFIS_CONTINUE;
}

/*
 * Can come without a connect, and twice. The negotiation ends here as well:
 * after QUIT_NC, which no MTA sends, the next client is refused for now.
 */
static sfsistat
on_close(SMFICTX *ctx)
{
	forget_door(ctx);
	return SMFIS_CONTINUE;
}

/*
 * libmilter waits for SIGHUP, SIGINT and SIGTERM in a thread of its own, and
 * when the kernel hands it one it stops seconds late, or aborts. The process's
 * signals are caught elsewhere (process.c), so that thread is put to rest: it
 * is the only caller of sigwait(3), and this definition takes libc's place.
 */
int
sigwait(const sigset_t *restrict set, int *restrict sig)
{
	(void)set;
	(void)sig;
	for (;;)
		(void)pause();
}

int
filter_open(const char *listen, struct err *e)
{
	static char name[] = "postern";
	struct smfiDesc filter = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_SETSYMLIST,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_body = on_body,
		.xxfi_eom = on_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};
	char *conn = strdup(listen);
	int rc = -1;

	if (conn == NULL)
		err_set(e, "out of memory");
	else if (smfi_register(filter) != MI_SUCCESS)
		err_set(e, "libmilter does not take the filter");
	else if (smfi_setconn(conn) != MI_SUCCESS ||
	    smfi_opensocket(true) != MI_SUCCESS)
		err_set(e, "%s: cannot listen there (in use, or not allowed)",
		    listen);
	else
		rc = 0;
	free(conn);
	return rc;
}

int
filter_run(struct gate *gate)
{
	the_gate = gate;
	return smfi_main() == MI_SUCCESS ? 0 : -1;
}

void
filter_stop(void)
{
	(void)smfi_stop();
}

void
filter_version(unsigned int *major_r, unsigned int *minor_r,
    unsigned int *patch_r)
{
	*major_r = *minor_r = *patch_r = 0;
	(void)smfi_version(major_r, minor_r, patch_r);
}
