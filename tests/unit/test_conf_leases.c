/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of leases and of the door where logins are reported. Every
 * mistake is the only line of its report.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/load.h"
#include "policy/classify.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Opens no file and does not look at this host. */
static const struct conf_env text_only = { .host = NULL, .no_files = true };

#define IMAP "internal = {\"::1\"} imap \"a\" { url = \"imaps://h\" } "
#define ON   IMAP "leases { enabled = true } "

static struct conf *
load_in(const char *text, const struct conf_env *env,
    struct conf_report *report)
{
	memset(report, 0, sizeof(*report));
	return conf_load_text("t", text, strlen(text), env, report);
}

static struct conf *
load_good(const char *text)
{
	struct conf_report report;
	struct conf *conf = load_in(text, &text_only, &report);

	for (size_t i = 0; conf == NULL && i < report.count; i++)
		print_error("%s\n", report.lines[i]);
	conf_report_clear(&report);
	assert_non_null(conf);
	return conf;
}

/* The only line that there is to say, after "t:". */
struct row {
	const char *text;
	const char *want; /* NULL: nothing */
	bool good;
};

#define LISTEN_ALLOWED "; allowed: ADDRESS:PORT | [ADDRESS]:PORT | unix:PATH"
#define NO_PORT(text) \
 "1: error: http.listen: \"" text "\" is no address and port" LISTEN_ALLOWED
#define OPEN                                                            \
 "1: error: http.listen: without http.secret_file, whoever reaches it " \
 "over the network can send as anybody; allowed: a loopback address, "  \
 "unix:PATH, or a secret_file"
#define LOCAL                                                             \
 "1: warning: http.listen: without http.secret_file, every user of this " \
 "host can send as anybody"
#define TTL_ALLOWED "; allowed: 1s to 1d"

static const struct row rows[] = {
	{ ON, NULL, true },
	{ IMAP "leases { enabled = maybe }",
	    "1: error: leases.enabled: \"maybe\" is not known; "
	    "allowed: false | true",
	    false },
	{ IMAP "leases { ttl = \"0s\" }",
	    "1: error: leases.ttl: \"0s\" is out of range" TTL_ALLOWED, false },
	{ IMAP "leases { ttl = \"25h\" }",
	    "1: error: leases.ttl: \"25h\" is out of range" TTL_ALLOWED,
	    false },
	{ IMAP "leases {\nexcept = {\"192.0.2.1/24\"} }", "2: error: ", false },
	{ IMAP "leases { except = {\"0.0.0.0/0\"} }", "1: error: ", false },
	{ IMAP "leases { except = {\"0.0.0.0/1\", \"128.0.0.0/1\"} }",
	    "1: error: leases.except: ", false },
	{ ON "http { listen = \"unix:/s\" }", NULL, true },
	{ ON "http { secret_file = \"/s\" }", NULL, true },
	{ ON "http { }", LOCAL, true },
	{ ON "http { listen = \"127.0.0.1:1\" }", LOCAL, true },
	{ ON "http { listen = \"localhost:1\" }", LOCAL, true },
	{ ON "http { listen = \"[::1]:1\" }", LOCAL, true },
	{ ON "http { listen = \"0.0.0.0:8025\" }", OPEN, false },
	{ ON "http { listen = \"192.0.2.1:8025\" }", OPEN, false },
	{ ON "http { listen = \"[::]:8025\" }", OPEN, false },
	{ ON "http { listen = \"[::ffff:127.0.0.1]:8025\" }", OPEN, false },
	{ ON "http { listen = \"[::]:8025\" secret_file = \"/s\" }", NULL,
	    true },
	{ ON "http { listen = \"127.0.0.1\" }", NO_PORT("127.0.0.1"), false },
	{ ON "http { listen = \":8025\" }", NO_PORT(":8025"), false },
	{ ON "http { listen = \"127.0.0.1:0\" }", NO_PORT("127.0.0.1:0"),
	    false },
	{ ON "http { listen = \"127.0.0.1:65536\" }",
	    NO_PORT("127.0.0.1:65536"), false },
	{ ON "http { listen = \"::1:8025\" }", NO_PORT("::1:8025"), false },
	{ ON "http { listen = \"[]:8025\" }", NO_PORT("[]:8025"), false },
	{ ON "http { listen = \"[127.0.0.1]:8025\" }",
	    NO_PORT("[127.0.0.1]:8025"), false },
	{ ON "http { listen = \"inet:8025@127.0.0.1\" }",
	    NO_PORT("inet:8025@127.0.0.1"), false },
	{ ON "http { listen = \"fd:3\" }", NO_PORT("fd:3"), false },
	{ ON "http { listen = \"unix:s\" }",
	    "1: error: http.listen: \"unix:s\" has no absolute "
	    "path" LISTEN_ALLOWED,
	    false },
	{ ON "http { listen = \"unix:/run/postern/milter.sock\" }",
	    "1: error: http.listen: \"unix:/run/postern/milter.sock\" is the "
	    "milter's own socket (listen)" LISTEN_ALLOWED,
	    false },
	{ ON "sasl \"x\" { listen = \"inet:8025@127.0.0.1\" } "
	     "http { listen = \"127.0.0.1:8025\" secret_file = \"/s\" }",
	    "1: error: http.listen: \"inet:8025@127.0.0.1\" is the socket of "
	    "sasl \"x\" too" LISTEN_ALLOWED,
	    false },
	{ ON "delegation { listen = \"unix:/s\" } http { listen = \"unix:/s\" "
	     "}",
	    "1: error: http.listen: \"unix:/s\" is delegation.listen "
	    "too" LISTEN_ALLOWED,
	    false },
	{ ON "http { listen = \"unix:/s\" socket_mode = \"0666\" }",
	    "1: warning: http.socket_mode: 0666 lets everybody on this host "
	    "send as anybody",
	    true },
	{ ON "http { secret_file = \"s\" }",
	    "1: error: http.secret_file: \"s\" does not begin with /; allowed: "
	    "an absolute path, or empty",
	    false },
	{ IMAP "http { secret_file = \"/s\" }", NULL, true },
};

static void
each_mistake_is_named(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *want = rows[i].want;
		struct conf_report report;
		struct conf *conf = load_in(rows[i].text, &text_only, &report);
		bool ok = (conf != NULL) == rows[i].good &&
		    report.count == (want != NULL ? 1 : 0);

		if (ok && want != NULL)
			ok = strncmp(report.lines[0] + 2, want, strlen(want)) ==
			    0;
		if (!ok) {
			print_error("row %zu: %s\n      want: t:%s\n", i,
			    rows[i].text, want != NULL ? want : " nothing");
			for (size_t k = 0; k < report.count; k++)
				print_error("      got:  %s\n",
				    report.lines[k]);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}

static void
nothing_said_means_no_leases(void **state)
{
	struct conf *conf = load_good(IMAP "limits \"none\" {}");

	(void)state;
	assert_int_equal(conf->policy.switches.leases, LEASES_OFF);
	assert_int_equal(conf->policy.switches.lease_tls, LEASE_TLS_REQUIRED);
	assert_int_equal(conf->lease_ttl_ms, 20 * 60 * 1000);
	assert_null(conf->http.listen);
	assert_false(conf_needs_store(conf));
	conf_free(&conf);
}

static void
what_is_said_counts(void **state)
{
	static const struct {
		const char *address;
		bool barred;
	} clients[] = {
		{ "192.0.2.1", true },
		{ "192.0.2.7", false },
		{ "198.51.100.1", false },
		{ "2001:db8::1", true },
		{ "10.0.0.1", true }, /* an exclusion of internal */
		{ "10.0.0.2", false },
		{ "no address", true },
	};
	struct conf *conf =
	    load_good("internal = {\"10.0.0.0/8\", \"!10.0.0.1\"} "
		      "imap \"a\" { url = \"imaps://h\" } "
		      "leases { enabled = true ttl = \"90s\" "
		      "require_tls = false except = {\"192.0.2.0/24\", "
		      "\"!192.0.2.7\", \"2001:db8::/64\"} } "
		      "http { listen = \"[::1]:25\" secret_file = \"/x\" }");

	(void)state;
	assert_int_equal(conf->policy.switches.leases, LEASES_ON);
	assert_int_equal(conf->policy.switches.lease_tls, LEASE_TLS_OPTIONAL);
	assert_int_equal(conf->lease_ttl_ms, 90000);
	assert_string_equal(conf->http.listen, "inet6:25@::1");
	assert_true(conf_needs_store(conf));
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		struct netaddr addr;

		(void)netaddr_parse(clients[i].address, &addr);
		if (classify_lease_barred(&conf->policy, &addr) !=
		    clients[i].barred)
			fail_msg("%s: want %s", clients[i].address,
			    clients[i].barred ? "barred" : "not barred");
	}
	conf_free(&conf);
}

static void
the_secret_is_kept_from_others(void **state)
{
	static const struct conf_env files = { .host = NULL };
	char path[] = "/tmp/test_conf_leases.XXXXXX", text[512];
	struct conf_report report;
	struct conf *conf;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "sesame\n", 7), 7);
	(void)close(fd);
	(void)snprintf(text, sizeof(text),
	    "internal = {\"::1\"} imap \"a\" { url = \"imaps://h\" "
	    "verify = session ca_file = \"%s\" } sasl \"x\" { listen = "
	    "\"unix:/s\" } leases { enabled = true } http { secret_file = "
	    "\"%s\" }",
	    path, path);
	conf = load_in(text, &files, &report);
	assert_non_null(conf);
	assert_int_equal(report.count, 0);
	assert_string_equal(conf->http.secret, "sesame");
	conf_free(&conf);
	conf_report_clear(&report);
	assert_int_equal(chmod(path, 0640), 0);
	conf = load_in(text, &files, &report);
	(void)unlink(path);
	assert_null(conf);
	assert_non_null(strstr(report.lines[0], "http.secret_file"));
	assert_non_null(strstr(report.lines[0], "others have access"));
	conf_report_clear(&report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_named),
		cmocka_unit_test(nothing_said_means_no_leases),
		cmocka_unit_test(what_is_said_counts),
		cmocka_unit_test(the_secret_is_kept_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
