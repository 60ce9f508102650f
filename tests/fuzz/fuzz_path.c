/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds path_parse() and path_parse_mailbox(), and through them domain_parse().
 * The first octet of the input chooses the command (bit 0) and SMTPUTF8 (bit
 * 1), so that '0' to '3' do in a corpus; the rest is the path. Anything that
 * breaks a promise of policy/path.h aborts.
 */
#include "policy/path.h"
#include "policy/text.h"
#include "tests/fuzz/fuzz.h"

/* The canonical domain is a fixed point, in ASCII, of the same kind. */
static void
check_domain(const struct path *path)
{
	char again[DOMAIN_MAX + 1];
	enum domain_kind kind;

	REQUIRE(strlen(path->domain) <= DOMAIN_MAX);
	REQUIRE(domain_parse(path->domain, strlen(path->domain), false, again,
		    &kind) == DOMAIN_VALID);
	REQUIRE(strcmp(path->domain, again) == 0);
	REQUIRE(path->kind == kind);
}

static void
check_local(const struct path *path)
{
	size_t len = strlen(path->local);
	bool active = false;

	REQUIRE(len <= PATH_LOCAL_MAX);
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code;

		n = text_utf8_decode(path->local + i, len - i, &code);
		REQUIRE(n > 0);
		REQUIRE(!text_is_control(code));
		if (code == '@' || code == '%' || code == '!')
			active = true;
	}
	active = active || strstr(path->local, "::") != NULL;
	REQUIRE(path->routed || !active);
}

static void
check_path(const struct path *path)
{
	switch (path->form) {
	case PATH_MAILBOX:
		check_local(path);
		if (path->kind != DOMAIN_NONE) {
			check_domain(path);
			return;
		}
		break;
	case PATH_POSTMASTER:
		REQUIRE(strcmp(path->local, "postmaster") == 0);
		break;
	case PATH_NULL:
	case PATH_MALFORMED:
	case PATH_NOT_ASCII:
		REQUIRE(path->local[0] == '\0');
		REQUIRE(!path->routed);
		break;
	case PATH_UNKNOWN:
		REQUIRE(path->form != PATH_UNKNOWN);
		break;
	}
	REQUIRE(path->domain[0] == '\0' && path->kind == DOMAIN_NONE);
}

/* SMTPUTF8 changes nothing but PATH_NOT_ASCII. */
static void
check_smtputf8(enum path_command command, const char *raw, size_t len,
    const struct path *path, bool smtputf8)
{
	struct path other;

	path_parse(command, raw, len, !smtputf8, &other);
	if (smtputf8 && path->form == PATH_MAILBOX)
		REQUIRE(
		    other.form == PATH_MAILBOX || other.form == PATH_NOT_ASCII);
	else if (path->form == PATH_NOT_ASCII)
		REQUIRE(!smtputf8 && other.form == PATH_MAILBOX);
	else
		REQUIRE(other.form == path->form);
}

/* A path without a route is a mailbox in brackets, and reads the same. */
static void
check_brackets(const char *raw, size_t len, const struct path *path)
{
	struct path bare;

	if (path->form != PATH_MAILBOX || len < 2 || raw[1] == '@')
		return;
	path_parse_mailbox(raw + 1, len - 2, &bare);
	REQUIRE(bare.form == path->form && bare.kind == path->kind);
	REQUIRE(bare.routed == path->routed);
	REQUIRE(strcmp(bare.local, path->local) == 0);
	REQUIRE(strcmp(bare.domain, path->domain) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum path_command command;
	struct path path;
	bool smtputf8;
	size_t len;
	char *raw;

	if (size == 0)
		return 0;
	command = (data[0] & 1) != 0 ? PATH_OF_RCPT : PATH_OF_MAIL;
	smtputf8 = (data[0] & 2) != 0;
	len = size - 1;
	raw = fuzz_copy(data + 1, len);

	path_parse(command, raw, len, smtputf8, &path);
	check_path(&path);
	REQUIRE(path.form != PATH_NULL || command == PATH_OF_MAIL);
	REQUIRE(path.form != PATH_POSTMASTER || command == PATH_OF_RCPT);
	REQUIRE(path.form != PATH_MAILBOX || path.kind != DOMAIN_NONE);
	REQUIRE(!path_is_valid(&path) || len <= PATH_RAW_MAX);
	check_smtputf8(command, raw, len, &path, smtputf8);
	check_brackets(raw, len, &path);

	path_parse_mailbox(raw, len, &path);
	REQUIRE(path.form == PATH_MAILBOX || path.form == PATH_MALFORMED);
	check_path(&path);
	free(raw);
	return 0;
}
