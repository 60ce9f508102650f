/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * saslauthd's protocol, the server's side. There is no answer for "cannot
 * tell": the connection is closed without one, which Postfix and Exim take for
 * a temporary failure (sendmail does not).
 */
#include "service/saslauthd.h"

#include "service/mux.h"

static void
greet(struct peer *p)
{
	(void)p;
}

static void
ask(struct peer *p, const struct mux_request *request)
{
	char login[MUX_LOGIN_MAX];
	const struct sasl_credentials credentials = { .authzid = "",
		.authcid = login,
		.authcid_len = mux_login(request, login),
		.password = request->password,
		.password_len = request->password_len };
	struct trial *a = trial_new(p, 0, SASL_PLAIN);

	if (a == NULL)
		return;
	if (credentials.authcid_len == MUX_LOGIN_MAX)
		trial_malformed(a);
	else
		trial_password(a, &credentials);
}

static size_t
take(struct peer *p, const char *data, size_t len)
{
	struct mux_request request;

	if (p->introduced) {
		peer_protocol_error(p, "more than one request");
		return len;
	}
	switch (mux_parse(data, len, &request)) {
	case MUX_PART:
		return 0;
	case MUX_WHOLE:
		p->introduced = true;
		ask(p, &request);
		return len;
	case MUX_BAD:
		break;
	}
	peer_protocol_error(p, "more than one request");
	return len;
}

/* There is nothing to carry challenges. */
static void
challenge(struct trial *a, const char *text)
{
	(void)text;
	peer_cut(a->peer);
}

static void
answer(struct trial *a, const struct auth_answer *result)
{
	if (result->verdict == VERDICT_PERMIT)
		peer_write(a->peer, "\0\2OK", 4);
	else
		peer_write(a->peer, "\0\2NO", 4);
	a->peer->closing = true;
}

const struct protocol saslauthd_protocol = {
	.greet = greet,
	.take = take,
	.challenge = challenge,
	.answer = answer,
};
