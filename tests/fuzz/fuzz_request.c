/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds policy requests to their reader, and the addresses in them on to the
 * one of paths. What is read must lie within what came, each attribute must be
 * there just once, and an address must not turn into another one.
 */
#include "policy/path.h"
#include "service/request.h"
#include "tests/fuzz/fuzz.h"

/* How many lines of the request begin so? */
static unsigned int
count(const char *text, size_t len, const char *name)
{
	const char *at = text, *end = text + len;
	size_t n = strlen(name);
	unsigned int found = 0;

	while (at < end) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));

		found += (size_t)(end - at) > n && memcmp(at, name, n) == 0 &&
		    at[n] == '=';
		if (feed == NULL)
			break;
		at = feed + 1;
	}
	return found;
}

static void
check_once(const char *text, size_t len, const struct request *r)
{
	static const char *const names[] = {
#define NAME(id, name) name,
		REQUEST_TABLE(NAME)
#undef NAME
	};

	for (unsigned int i = 0; i < REQUEST_ATTRIBUTES; i++) {
		unsigned int found = count(text, len, names[i]);

		REQUIRE(found <= 1);
		REQUIRE(r->values[i] == NULL || found == 1);
		REQUIRE(i == REQUEST_SENDER || r->values[i] == NULL ||
		    *r->values[i] != '\0');
	}
}

/* The domain is what follows the last '@', the local part what is before it. */
static void
check_address(const char *address)
{
	static char text[REQUEST_PATH_MAX];
	const char *at = strrchr(address, '@');
	struct path path;
	size_t len = request_path(address, text);

	REQUIRE(len < REQUEST_PATH_MAX && strlen(text) == len);
	REQUIRE(text[0] == '<' && text[len - 1] == '>');
	path_parse(PATH_OF_RCPT, text, len, true, &path);
	if (path.form != PATH_MAILBOX)
		return;
	REQUIRE(at != NULL && at > address);
	REQUIRE(strlen(path.local) == (size_t)(at - address));
	REQUIRE(memcmp(path.local, address, (size_t)(at - address)) == 0);
	REQUIRE(path.routed ==
	    (strpbrk(path.local, "@%!") != NULL ||
		strstr(path.local, "::") != NULL));
}

static void
read_request(const char *data, size_t len)
{
	char *text = fuzz_copy(data, len);
	struct request r;

	if (request_parse(text, len, &r) == NULL) {
		REQUIRE(r.stage != REQUEST_AT_UNKNOWN);
		REQUIRE(memchr(data, '\0', len) == NULL);
		REQUIRE(memchr(data, '\r', len) == NULL);
		check_once(data, len, &r);
		for (unsigned int i = 0; i < REQUEST_ATTRIBUTES; i++) {
			const char *value = r.values[i];

			REQUIRE(value == NULL ||
			    (value > text &&
				value + strlen(value) < text + len));
		}
		if (r.values[REQUEST_SENDER] != NULL)
			check_address(r.values[REQUEST_SENDER]);
		if (r.values[REQUEST_RECIPIENT] != NULL)
			check_address(r.values[REQUEST_RECIPIENT]);
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	size_t n;

	while ((n = request_length(at, (size_t)(end - at))) > 0) {
		REQUIRE(n <= (size_t)(end - at) && at[n - 1] == '\n');
		REQUIRE(n == 1 || at[n - 2] == '\n');
		read_request(at, n);
		at += n;
	}
	return 0;
}
