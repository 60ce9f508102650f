/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may use which sender address. Patterns and map only ever say yes or
 * nothing, so their order does not matter. It must not look at the raw spelling
 * of an address: the decoded local part and the canonical domain are compared,
 * whole.
 */
#include "policy/owner.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "policy/domain.h"
#include "policy/text.h"

/* A pattern, checked when it was added. */
struct pattern {
	struct pattern *next;
	bool any_local; /* "@DOMAIN" */
	char *domain;   /* in text, behind the local half */
	char text[];    /* both halves, each with its NUL */
};

/*
 * One grant of the map. The key is ADDRESS NUL LOGIN, where ADDRESS is
 * "local@domain", or the bare "domain" for all of its addresses: a domain has
 * no '@', so the empty local part ("") and the whole domain stay apart.
 */
struct grant {
	UT_hash_handle hh;
	char key[];
};

#define ADDRESS_MAX (PATH_LOCAL_MAX + 1 + DOMAIN_MAX)
#define KEY_MAX     (ADDRESS_MAX + 1 + LOGIN_MAX)

struct owners {
	bool fold_case;
	struct pattern *patterns;
	struct grant *grants;
};

struct owners *
owners_new(bool fold_case)
{
	struct owners *owners = calloc(1, sizeof(*owners));

	if (owners != NULL)
		owners->fold_case = fold_case;
	return owners;
}

void
owners_free(struct owners **owners)
{
	struct pattern *pattern;
	struct grant *grant, *next;

	if (*owners == NULL)
		return;
	while ((*owners)->patterns != NULL) {
		pattern = (*owners)->patterns;
		(*owners)->patterns = pattern->next;
		free(pattern);
	}
	grant = (*owners)->grants;
	HASH_CLEAR(hh, (*owners)->grants);
	while (grant != NULL) {
		next = grant->hh.next;
		free(grant);
		grant = next;
	}
	free(*owners);
	*owners = NULL;
}

/* A text that grows to a ceiling; beyond it, it fits nothing. */
struct buffer {
	char text[2 * LOGIN_MAX + 1];
	size_t len;
	bool full;
};

static void
buffer_add(struct buffer *b, const char *text, size_t len)
{
	if (b->full || len > sizeof(b->text) - 1 - b->len) {
		b->full = true;
		return;
	}
	memcpy(b->text + b->len, text, len);
	b->len += len;
	b->text[b->len] = '\0';
}

/* Puts local part and domain into a half of a pattern. False when it is about
 * a domain and there is none, or when it grows too long. */
static bool
pattern_expand(const char *half, const char *local, const char *domain,
    struct buffer *b)
{
	b->len = 0;
	b->full = false;
	b->text[0] = '\0';
	for (const char *p = half; *p != '\0'; p++) {
		if (*p != '%') {
			buffer_add(b, p, 1);
			continue;
		}
		p++; /* one of three: pattern_is_known() */
		if (*p == 'u') {
			buffer_add(b, local, strlen(local));
		} else if (*p == 'd') {
			if (*domain == '\0')
				return false;
			buffer_add(b, domain, strlen(domain));
		} else {
			buffer_add(b, "%", 1);
		}
	}
	return !b->full;
}

/* Is every percent sign followed by something known? */
static bool
pattern_is_known(const char *pattern)
{
	for (const char *p = pattern; *p != '\0'; p++) {
		if (*p != '%')
			continue;
		p++;
		if (*p != 'u' && *p != 'd' && *p != '%')
			return false;
	}
	return true;
}

/* Would the local half, filled in, be a local part as it is? */
static bool
pattern_local_is_valid(const char *half)
{
	struct buffer b;
	struct path path;

	if (!pattern_expand(half, "u", "d.example", &b))
		return false;
	path_parse_mailbox(b.text, b.len, &path);
	return path.form == PATH_MAILBOX && path.kind == DOMAIN_NONE &&
	    strcmp(path.local, b.text) == 0;
}

/* Would the domain half, filled in, be a domain? One without a percent sign is
 * kept in canonical form; the others must be ASCII. */
static bool
pattern_domain_is_valid(const char *half, char domain_r[DOMAIN_MAX + 1])
{
	bool fixed = strchr(half, '%') == NULL;
	struct buffer b;
	enum domain_kind kind;

	if (!pattern_expand(half, "u", "d.example", &b) ||
	    domain_parse(b.text, b.len, fixed, domain_r, &kind) != DOMAIN_VALID)
		return false;
	if (!fixed)
		memcpy(domain_r, half, strlen(half) + 1);
	return true;
}

int
owners_add_pattern(struct owners *owners, const char *pattern, struct err *e)
{
	char local[LOGIN_MAX + 1], domain[DOMAIN_MAX + 1];
	const char *at = strrchr(pattern, '@');
	struct pattern *new;
	size_t len;

	if (!pattern_is_known(pattern)) {
		err_set(e,
		    "'%.100s': only %%u (local part), %%d (domain) and %%%% "
		    "are known",
		    pattern);
		return -1;
	}
	if (at == NULL || strlen(pattern) > LOGIN_MAX)
		goto malformed;
	len = (size_t)(at - pattern);
	memcpy(local, pattern, len);
	local[len] = '\0';
	if ((len > 0 && !pattern_local_is_valid(local)) ||
	    !pattern_domain_is_valid(at + 1, domain))
		goto malformed;
	new = calloc(1, sizeof(*new) + len + 1 + strlen(domain) + 1);
	if (new == NULL) {
		err_set(e, "out of memory");
		return -1;
	}
	new->any_local = len == 0;
	new->domain = new->text + len + 1;
	memcpy(new->text, local, len + 1);
	memcpy(new->domain, domain, strlen(domain) + 1);
	new->next = owners->patterns;
	owners->patterns = new;
	return 0;
malformed:
	err_set(e,
	    "'%.100s': an address like %%u@%%d without quotes, or @DOMAIN for "
	    "all of a domain, is wanted",
	    pattern);
	return -1;
}

/* Writes the key of a grant, local NULL for a whole domain; its length. */
static size_t
key_build(bool fold, const char *local, size_t local_len, const char *domain,
    const struct login *login, char key_r[KEY_MAX + 1])
{
	size_t domain_len = strlen(domain);
	size_t login_len = strlen(login->text);
	size_t len = 0;

	if (local != NULL) {
		memcpy(key_r, local, local_len);
		for (; len < local_len; len++) {
			if (fold)
				key_r[len] = text_lower(key_r[len]);
		}
		key_r[len++] = '@';
	}
	memcpy(key_r + len, domain, domain_len + 1);
	len += domain_len + 1;
	memcpy(key_r + len, login->text, login_len + 1);
	return len + login_len;
}

static struct grant *
grant_find(const struct owners *owners, const char *key, size_t len)
{
	struct grant *grant;

	HASH_FIND(hh, owners->grants, key, len, grant);
	return grant;
}

/* -1: no memory. */
static int
grant_add(struct owners *owners, const char *key, size_t len)
{
	struct grant *grant;

	if (grant_find(owners, key, len) != NULL)
		return 0;
	grant = calloc(1, sizeof(*grant) + len + 1);
	if (grant == NULL)
		return -1;
	memcpy(grant->key, key, len);
	HASH_ADD_KEYPTR(hh, owners->grants, grant->key, len, grant);
	if (grant->hh.tbl == NULL) { /* no memory for the table */
		free(grant);
		return -1;
	}
	return 0;
}

/* A map while it is read. */
struct reader {
	struct owners *owners;
	const char *realm;
	void (*report)(void *arg, unsigned int line, const char *text);
	void *arg;
	unsigned int line; /* the one at hand */
	unsigned int key_line;
	bool key_good;       /* there is a key, and it can be used */
	bool no_login_yet;   /* for the key */
	bool whole_domain;   /* the key is "@domain" */
	struct path address; /* the key */
	bool failed;
	bool out_of_memory;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Reports what is wrong with a piece of the line; the piece is shown short and
 * printable. */
static void
reader_fail(struct reader *r, const char *piece, size_t len,
    const char *allowed)
{
	char shown[81];
	struct err e;
	size_t n = len < sizeof(shown) - 1 ? len : sizeof(shown) - 1;

	memcpy(shown, piece, n);
	for (size_t i = 0; i < n; i++) {
		if (shown[i] < ' ' || shown[i] > '~')
			shown[i] = '?';
	}
	shown[n] = '\0';
	err_set(&e, "'%s': %s", shown, allowed);
	r->failed = true;
	r->report(r->arg, r->line, e.text);
}

/* The key that is complete now must have had a login. */
static void
reader_end_key(struct reader *r)
{
	if (!r->key_good || !r->no_login_yet)
		return;
	r->failed = true;
	r->report(r->arg, r->key_line,
	    "no login: ADDRESS or @DOMAIN and, behind it, one login or more "
	    "are wanted");
}

static void
reader_take_key(struct reader *r, const char *key, size_t len)
{
	reader_end_key(r);
	r->key_line = r->line;
	r->no_login_yet = true;
	r->whole_domain = key[0] == '@';
	if (r->whole_domain)
		r->key_good =
		    domain_parse(key + 1, len - 1, true, r->address.domain,
			&r->address.kind) == DOMAIN_VALID;
	else {
		path_parse_mailbox(key, len, &r->address);
		r->key_good = r->address.form == PATH_MAILBOX &&
		    r->address.kind != DOMAIN_NONE;
	}
	if (!r->key_good)
		reader_fail(r, key, len,
		    "an address with its domain, or @DOMAIN, is wanted");
}

static bool
reader_take_login(struct reader *r, const char *text, size_t len)
{
	char key[KEY_MAX + 1];
	struct login login;
	size_t key_len;

	r->no_login_yet = false;
	if (text[0] == '#') {
		reader_fail(r, text, len, "a comment needs a line of its own");
		return false;
	}
	if (login_normalise(text, len, r->realm, &login) != 0) {
		reader_fail(r, text, len, "not a login");
		return false;
	}
	key_len = key_build(r->owners->fold_case,
	    r->whole_domain ? NULL : r->address.local, strlen(r->address.local),
	    r->address.domain, &login, key);
	if (grant_add(r->owners, key, key_len) != 0)
		r->out_of_memory = true;
	return !r->out_of_memory;
}

/* The length of the key that a line begins with: up to a blank that is not in a
 * quoted local part. */
static size_t
key_length(const char *line, size_t len)
{
	bool quoted = false;
	size_t i = 0;

	while (i < len && (quoted || !is_blank(line[i]))) {
		if (line[i] == '"')
			quoted = !quoted;
		else if (quoted && line[i] == '\\' && i + 1 < len)
			i++;
		i++;
	}
	return i;
}

/* One physical line, without its newline. */
static void
reader_take_line(struct reader *r, const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && is_blank(line[i]))
		i++;
	if (i == len || line[i] == '#')
		return;
	if (i == 0) {
		i = key_length(line, len);
		reader_take_key(r, line, i);
	} else if (r->key_line == 0) {
		reader_fail(r, line + i, len - i,
		    "a continuation line, but there is nothing to continue");
		return;
	}
	while (r->key_good && i < len) {
		size_t start;

		while (i < len && (is_blank(line[i]) || line[i] == ','))
			i++;
		start = i;
		while (i < len && !is_blank(line[i]) && line[i] != ',')
			i++;
		if (i > start && !reader_take_login(r, line + start, i - start))
			return;
	}
}

int
owners_add_map(struct owners *owners, const char *text, size_t len,
    const char *realm,
    void (*report)(void *arg, unsigned int line, const char *text), void *arg)
{
	struct reader r = {
		.owners = owners,
		.realm = realm,
		.report = report,
		.arg = arg,
	};

	for (size_t start = 0; start < len;) {
		const char *line = text + start;
		const char *newline = memchr(line, '\n', len - start);
		size_t n =
		    newline != NULL ? (size_t)(newline - line) : len - start;

		r.line++;
		reader_take_line(&r, line, n);
		if (r.out_of_memory) {
			report(arg, r.line, "out of memory");
			return -1;
		}
		start += n + 1;
	}
	reader_end_key(&r);
	if (r.key_line == 0 && !r.failed) {
		report(arg, 1,
		    "there is no entry; allowed: address-or-@domain login[, "
		    "login...]");
		return -1;
	}
	return r.failed ? -1 : 0;
}

/* The part before the '+' of a subaddress, or all of it. */
static size_t
base_length(const char *local)
{
	size_t len = strcspn(local, "+");

	return len > 0 ? len : strlen(local);
}

static bool
map_grants(const struct owners *owners, const struct login *login,
    const struct path *address)
{
	const char *local = address->local;
	size_t len = strlen(local), base = base_length(local), key_len;
	char key[KEY_MAX + 1];

	key_len = key_build(owners->fold_case, local, len, address->domain,
	    login, key);
	if (grant_find(owners, key, key_len) != NULL)
		return true;
	if (base < len) {
		key_len = key_build(owners->fold_case, local, base,
		    address->domain, login, key);
		if (grant_find(owners, key, key_len) != NULL)
			return true;
	}
	key_len =
	    key_build(owners->fold_case, NULL, 0, address->domain, login, key);
	return grant_find(owners, key, key_len) != NULL;
}

/* Is the owned local part that of the address, or of its base? */
static bool
local_is_owned(bool fold, const struct buffer *owned, const char *local)
{
	size_t len = strlen(local);

	if (owned->len != len)
		len = base_length(local);
	if (owned->len != len)
		return false;
	return fold ? text_equal_fold(owned->text, local, len)
		    : memcmp(owned->text, local, len) == 0;
}

static bool
pattern_grants(const struct owners *owners, const struct pattern *pattern,
    const struct login *login, const struct path *address)
{
	const char *domain = login_domain(login);
	char local[LOGIN_MAX + 1];
	struct buffer b;

	login_local(login, local);
	if (!pattern_expand(pattern->domain, local, domain, &b) ||
	    b.len != strlen(address->domain) ||
	    !text_equal_fold(b.text, address->domain, b.len))
		return false;
	return pattern->any_local ||
	    (pattern_expand(pattern->text, local, domain, &b) &&
		local_is_owned(owners->fold_case, &b, address->local));
}

bool
owners_own(const struct owners *owners, const struct login *login,
    const struct path *address)
{
	if (address->form != PATH_MAILBOX || address->kind == DOMAIN_NONE ||
	    login->text[0] == '\0')
		return false;
	for (const struct pattern *p = owners->patterns; p != NULL; p = p->next)
		if (pattern_grants(owners, p, login, address))
			return true;
	return owners->grants != NULL && map_grants(owners, login, address);
}
