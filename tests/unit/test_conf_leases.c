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
#include "tests/unit/conf_text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define IMAP "internal = {\"::1\"} imap \"a\" { url = \"imaps://h\" } "
#define ON   IMAP "leases { enabled = true } "

static struct conf *
load_good(const char *text)
{
	struct conf_report report;
	struct conf *conf = conf_text_load(text, &report);

	if (conf == NULL)
		conf_text_print(&report);
	conf_report_clear(&report);
	assert_non_null(conf);
	return conf;
}

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

static const struct conf_text_row mistakes[] = {
	{ IMAP "leases { enabled = maybe }",
	    "1: error: leases.enabled: \"maybe\" is not known; "
	    "allowed: false | true" },
	{ IMAP "leases { ttl = \"0s\" }",
	    "1: error: leases.ttl: \"0s\" is out of range" TTL_ALLOWED },
	{ IMAP "leases { ttl = \"25h\" }",
	    "1: error: leases.ttl: \"25h\" is out of range" TTL_ALLOWED },
	{ IMAP "leases {\nexcept = {\"192.0.2.1/24\"} }",
	    "2: error: leases.except: \"192.0.2.1/24\": host bits are set; the "
	    "network is 192.0.2.0/24" },
	{ IMAP "leases { except = {\"0.0.0.0/0\"} }",
	    "1: error: leases.except: \"0.0.0.0/0\": that is every address; "
	    "the prefix length must be from 1 to 32" },
	{ IMAP "leases { except = {\"0.0.0.0/1\", \"128.0.0.0/1\"} }",
	    "1: error: leases.except: the listed networks add up to every IPv4 "
	    "address; allowed: each network once, and not everybody" },
	{ ON "http { listen = \"0.0.0.0:8025\" }", OPEN },
	{ ON "http { listen = \"192.0.2.1:8025\" }", OPEN },
	{ ON "http { listen = \"[::]:8025\" }", OPEN },
	{ ON "http { listen = \"[::ffff:127.0.0.1]:8025\" }", OPEN },
	{ ON "http { listen = \"127.0.0.1\" }", NO_PORT("127.0.0.1") },
	{ ON "http { listen = \":8025\" }", NO_PORT(":8025") },
	{ ON "http { listen = \"127.0.0.1:0\" }", NO_PORT("127.0.0.1:0") },
	{ ON "http { listen = \"127.0.0.1:65536\" }",
	    NO_PORT("127.0.0.1:65536") },
	{ ON "http { listen = \"::1:8025\" }", NO_PORT("::1:8025") },
	{ ON "http { listen = \"[]:8025\" }", NO_PORT("[]:8025") },
	{ ON "http { listen = \"[127.0.0.1]:8025\" }",
	    NO_PORT("[127.0.0.1]:8025") },
	{ ON "http { listen = \"inet:8025@127.0.0.1\" }",
	    NO_PORT("inet:8025@127.0.0.1") },
	{ ON "http { listen = \"fd:3\" }", NO_PORT("fd:3") },
	{ ON "http { listen = \"unix:s\" }",
	    "1: error: http.listen: \"unix:s\" has no absolute "
	    "path" LISTEN_ALLOWED },
	{ ON "http { listen = \"unix:/run/postern/milter.sock\" }",
	    "1: error: http.listen: \"unix:/run/postern/milter.sock\" is the "
	    "milter's own socket (listen)" LISTEN_ALLOWED },
	{ ON "sasl \"x\" { listen = \"inet:8025@127.0.0.1\" } "
	     "http { listen = \"127.0.0.1:8025\" secret_file = \"/s\" }",
	    "1: error: http.listen: \"127.0.0.1:8025\" is the socket of "
	    "sasl \"x\" too" LISTEN_ALLOWED },
	{ ON "delegation { listen = \"unix:/s\" } http { listen = \"unix:/s\" "
	     "}",
	    "1: error: http.listen: \"unix:/s\" is delegation.listen "
	    "too" LISTEN_ALLOWED },
	{ ON "http { secret_file = \"s\" }",
	    "1: error: http.secret_file: \"s\" does not begin with /; allowed: "
	    "an absolute path, or empty" },
};

static const struct conf_text_row fine[] = {
	{ ON, NULL },
	{ ON "http { listen = \"unix:/s\" }", NULL },
	{ ON "http { secret_file = \"/s\" }", NULL },
	{ ON "http { }", LOCAL },
	{ ON "http { listen = \"127.0.0.1:1\" }", LOCAL },
	{ ON "http { listen = \"localhost:1\" }", LOCAL },
	{ ON "http { listen = \"[::1]:1\" }", LOCAL },
	{ ON "http { listen = \"[::]:8025\" secret_file = \"/s\" }", NULL },
	{ ON "http { listen = \"unix:/s\" socket_mode = \"0666\" }",
	    "1: warning: http.socket_mode: 0666 lets everybody on this host "
	    "send as anybody" },
	{ IMAP "http { secret_file = \"/s\" }", NULL },
};

static void
each_mistake_is_named(void **state)
{
	(void)state;
	conf_text_check(mistakes, ARRAY_LEN(mistakes), false);
}

static void
a_warning_is_the_only_line(void **state)
{
	(void)state;
	conf_text_check(fine, ARRAY_LEN(fine), true);
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
	memset(&report, 0, sizeof(report));
	conf = conf_load_text("t", text, strlen(text), &files, &report);
	assert_non_null(conf);
	assert_int_equal(report.count, 0);
	assert_string_equal(conf->http.secret, "sesame");
	conf_free(&conf);
	conf_report_clear(&report);
	assert_int_equal(chmod(path, 0640), 0);
	conf = conf_load_text("t", text, strlen(text), &files, &report);
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
		cmocka_unit_test(a_warning_is_the_only_line),
		cmocka_unit_test(nothing_said_means_no_leases),
		cmocka_unit_test(what_is_said_counts),
		cmocka_unit_test(the_secret_is_kept_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
