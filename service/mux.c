/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the request of saslauthd's protocol. It judges neither login nor
 * password: what is empty, too long or holds odd octets is refused like any
 * other, by those who judge.
 */
#include "service/mux.h"

#include <stdbool.h>
#include <string.h>

#include "policy/text.h"

struct rest {
	const unsigned char *at;
	size_t len;
};

/* False: it is not there yet. */
static bool
take(struct rest *r, const char **text_r, size_t *len_r)
{
	size_t len;

	if (r->len < 2)
		return false;
	len = (size_t)(r->at[0] << 8 | r->at[1]);
	if (r->len - 2 < len)
		return false;
	*text_r = (const char *)r->at + 2;
	*len_r = len;
	r->at += 2 + len;
	r->len -= 2 + len;
	return true;
}

enum mux_state
mux_parse(const char *data, size_t len, struct mux_request *request_r)
{
	struct rest r = { (const unsigned char *)data, len };
	struct mux_request *q = request_r;

	*q = (struct mux_request){ 0 };
	if (!take(&r, &q->login, &q->login_len) ||
	    !take(&r, &q->password, &q->password_len) ||
	    !take(&r, &q->service, &q->service_len) ||
	    !take(&r, &q->realm, &q->realm_len))
		return MUX_PART;
	return r.len == 0 ? MUX_WHOLE : MUX_BAD;
}

/* Is it the realm that the login ends in? */
static bool
repeats(const struct mux_request *q, const char *at)
{
	size_t len = q->login_len - (size_t)(at + 1 - q->login);

	return len == q->realm_len && text_equal_fold(at + 1, q->realm, len);
}

size_t
mux_login(const struct mux_request *q, char login_r[MUX_LOGIN_MAX])
{
	const char *at = memrchr(q->login, '@', q->login_len);
	size_t len = q->login_len;

	/* one octet more than fits is kept, to be found too long */
	if (q->login_len > LOGIN_MAX + 1 || q->realm_len > LOGIN_MAX)
		return MUX_LOGIN_MAX;
	memcpy(login_r, q->login, len);
	if (q->realm_len == 0 || (at != NULL && repeats(q, at)))
		return len;
	login_r[len++] = '@';
	memcpy(login_r + len, q->realm, q->realm_len);
	return len + q->realm_len;
}
