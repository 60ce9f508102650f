/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration files: every mistake is an error that names its line, all of
 * them in one run; a good file arrives whole; defaults, warnings, secrets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/options.h"
#include "conf/report.h"
#include "conf/value.h"
#include "policy/sasl.h"
#include "tests/unit/conf_text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The only error there is in each text. */
static const struct {
	const char *text;
	const char *want; /* after "t:" */
} mistakes[] = {
	/* the file */
	{ "",
	    "1: error: file: nothing is configured in it; it must set "
	    "something" },
	{ "# only\n/* comments */\n// here\n",
	    "1: error: file: nothing is configured in it; it must set "
	    "something" },
	/* what libconfuse would swallow */
	{ "imap \"a\" { url = \"imaps://h\"",
	    "1: error: imap: the section that begins here is never closed; is "
	    "the end of the file missing?" },
	{ "\ninternal = {\"::1\",\n",
	    "3: error: internal: the end of the file where a value or } should "
	    "be" },
	{ "mode = \"enforce\n",
	    "1: error: syntax: a string is not closed on its line" },
	{ "mode = \"enforce\n\"",
	    "1: error: syntax: a string is not closed on its line" },
	{ "user = \"a\\000b\"",
	    "1: error: syntax: a backslash in a string; only \\\\, \\\" and "
	    "\\' are known" },
	{ "\n/* no end",
	    "2: error: syntax: the comment that begins here is never closed" },
	{ "mode = ${MODE}",
	    "1: error: syntax: the character '$' (0x24) outside quotes" },
	{ "user = \"${HOME}\"",
	    "1: error: user: \"${HOME}\" is no name of a user or group; "
	    "allowed: a user name" },
	{ "tls|min_bits = 128",
	    "1: error: syntax: the character '|' (0x7c) outside quotes" },
	{ "user = a\001",
	    "1: error: syntax: the byte 0x01; the file must be "
	    "plain text" },
	{ "user = \"a\"\n}",
	    "2: error: syntax: } where the name of an option should be" },
	{ "user \"a\"", "1: error: user: a where = should be" },
	{ "user = ,", "1: error: user: , where a value should be" },
	{ "imap { }", "1: error: imap: { where a title in quotes should be" },
	{ "imap \"\" { url = \"imaps://h\" }",
	    "1: error: imap: an empty title; it is a name" },
	{ "tls \"x\" { }",
	    "1: error: tls: x where { (it has no title) should be" },
	{ "internal = {\"::1\" \"::2\"}",
	    "1: error: internal: ::2 where a comma or } should be" },
	{ "internal += {\"::1\"}",
	    "1: error: internal: += is not known; write the whole list in one "
	    "place" },
	/* unknown and repeated */
	{ "# one\n/* two\n*/ lisen = \"x\"",
	    "3: error: lisen: there is no such option; did you mean listen?" },
	{ "sals \"a\" { }",
	    "1: error: sals: there is no such option; did you mean sasl?" },
	{ "tls { urls = a\n}",
	    "1: error: tls.urls: there is no such option; "
	    "postern.conf(5) has them all" },
	{ "verify = {proxy}",
	    "1: error: verify: there is no such option here; it belongs into "
	    "the section imap" },
	{ "auth {\nlocal_domains = {a} }",
	    "2: error: auth.local_domains: there is no such option here; it "
	    "belongs to the top level" },
	{ "tls {\nmin_bit = 1 }",
	    "2: error: tls.min_bit: there is no such option; did you mean "
	    "min_bits?" },
	{ "fancies { enabled = true except = {\"a\"} }",
	    "1: error: fancies: there is no such option; postern.conf(5) has "
	    "them all" },
	{ "recipients { most = 0 }",
	    "1: error: recipients.most: there is no such option; "
	    "postern.conf(5) has them all" },
	{ "user = a\nuser = b",
	    "2: error: user: given twice, first on line 1; once is allowed" },
	{ "internal = {}\n\ninternal = {\"::1\"}",
	    "3: error: internal: given twice, first on line 1; once is "
	    "allowed" },
	{ "tls { }\ntls { min_bits = 256 }",
	    "2: error: tls: the section is given twice, first on line 1; once "
	    "is allowed" },
	{ "listener \"a\" { }\nlistener \"a\" { role = mx }",
	    "2: error: listener: the section a is given twice, first on line "
	    "1; once is allowed" },
	{ "user = {\"a\"}", "1: error: user: a list; one value is allowed" },
	{ "sasl \"a\" { listen = {\"unix:/x\"} }",
	    "1: error: sasl.listen: a list; one value is allowed" },
	{ "\ntls = \"TLSv1.2\"",
	    "2: error: tls: a section and no option; allowed: tls { ... }" },
	{ "imap = {\"a\"}",
	    "1: error: imap: a section and no option; allowed: imap \"NAME\" { "
	    "... }" },
	{ "mode { enforce }",
	    "1: error: mode: an option and no section; allowed: mode = VALUE" },
	/* the top level */
	{ "listen = \"unix:run/x\"",
	    "1: error: listen: \"unix:run/x\" has no absolute path; allowed: "
	    "unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | fd:N" },
	{ "listen = \"inet:8891\"",
	    "1: error: listen: \"inet:8891\" has no host, and would listen on "
	    "every address; allowed: unix:PATH | inet:PORT@HOST | "
	    "inet6:PORT@HOST | fd:N" },
	{ "listen = \"inet:0@127.0.0.1\"",
	    "1: error: listen: \"inet:0@127.0.0.1\" has no port from 1 to "
	    "65535; allowed: unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | "
	    "fd:N" },
	{ "listen = \"inet:65536@127.0.0.1\"",
	    "1: error: listen: \"inet:65536@127.0.0.1\" has no port from 1 to "
	    "65535; allowed: unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | "
	    "fd:N" },
	{ "listen = \"inet:25@::1\"",
	    "1: error: listen: \"inet:25@::1\" has neither an IPv4 address nor "
	    "a host name after @; allowed: unix:PATH | inet:PORT@HOST | "
	    "inet6:PORT@HOST | fd:N" },
	{ "listen = \"fd:2\"",
	    "1: error: listen: \"fd:2\" has no descriptor from 3 to 1023; "
	    "allowed: unix:PATH | inet:PORT@HOST | inet6:PORT@HOST | fd:N" },
	{ "listen = \"/run/x\"",
	    "1: error: listen: \"/run/x\" is no socket; allowed: unix:PATH | "
	    "inet:PORT@HOST | inet6:PORT@HOST | fd:N" },
	{ "socket_mode = \"0680\"",
	    "1: error: socket_mode: \"0680\" is no file mode in octal; "
	    "allowed: three octal digits after a 0" },
	{ "user = \"\"",
	    "1: error: user: \"\" is empty; allowed: a user name" },
	{ "state_dir = \"var\"",
	    "1: error: state_dir: \"var\" does not begin with /; allowed: an "
	    "absolute path" },
	{ "log = \"file\"",
	    "1: error: log: \"file\" is not known; allowed: syslog | stderr" },
	{ "mode = \"Enforce\"",
	    "1: error: mode: \"Enforce\" is not known; allowed: enforce | "
	    "observe" },
	{ "mode = \"|\"",
	    "1: error: mode: \"|\" is not known; allowed: enforce | observe" },
	{ "internal = {\"::1\",\n\"10.0.0.1/8\"}",
	    "2: error: internal: \"10.0.0.1/8\": host bits are set; the "
	    "network is 10.0.0.0/8" },
	{ "internal = {\n\"10.0.0.0/8\",\n\"!10.0.0.0/8\"}",
	    "3: error: internal: 10.0.0.0/8 is both listed and excluded; "
	    "allowed: each network once, and not everybody" },
	{ "internal = {\"0.0.0.0/1\", \"128.0.0.0/1\"}",
	    "1: error: internal: the listed networks add up to every IPv4 address; "
	    "allowed: each network once, and not everybody" },
	{ "local_domains = {\"example.org\", \"*.example.org\"}",
	    "1: error: local_domains: \"*.example.org\" is neither a domain "
	    "name nor an address literal; allowed: domain names or address "
	    "literals" },
	/* listeners, TLS, logins */
	{ "listener \"smtp\" { role = \"relay\" }",
	    "1: error: listener.role: \"relay\" is not known; allowed: "
	    "submission | mx" },
	{ "tls { min_version = \"TLSv1.1\" }",
	    "1: error: tls.min_version: \"TLSv1.1\" is not known; allowed: "
	    "TLSv1.2 | TLSv1.3" },
	{ "tls { min_bits = 111 }",
	    "1: error: tls.min_bits: \"111\" is out of range; allowed: 112 to "
	    "256 bits" },
	{ "tls { min_bits = 0128 }",
	    "1: error: tls.min_bits: \"0128\" is no whole number; allowed: 112 "
	    "to 256 bits" },
	{ "auth { mechanisms = {\"PLAIN\", \"anonymous\"} }",
	    "1: error: auth.mechanisms: \"anonymous\" is no login: everybody "
	    "has it; allowed: names of SASL mechanisms, but not ANONYMOUS or "
	    "XCLIENT" },
	{ "auth { mechanisms = {\"PLA IN\"} }",
	    "1: error: auth.mechanisms: \"PLA IN\" is no name of a SASL "
	    "mechanism; allowed: names of SASL mechanisms, but not ANONYMOUS "
	    "or XCLIENT" },
	{ "auth { realm = \"[192.0.2.1]\" }",
	    "1: error: auth.realm: \"[192.0.2.1]\" is no domain name; allowed: "
	    "a domain name, or empty" },
	{ "auth { internal = \"no\" }",
	    "1: error: auth.internal: \"no\" is not known; allowed: check | "
	    "ignore" },
	/* imap */
	{ "imap \"a\" {\ntimeout = \"2s\" }",
	    "1: error: imap.url: it is not given; allowed: "
	    "imaps://HOST[:PORT] or imap://HOST[:PORT]; it must be given" },
	{ "imap \"a\" {\nurl =\n{} }",
	    "3: error: imap.url: an empty list; allowed: imaps://HOST[:PORT] "
	    "or imap://HOST[:PORT]; it must be given" },
	{ "imap \"a\" { url = {\"imaps://h\",\n\"imaps://u@h\"} }",
	    "2: error: imap.url: \"imaps://u@h\" has more than a host and a "
	    "port; allowed: imaps://HOST[:PORT] or imap://HOST[:PORT]; it must "
	    "be given" },
	{ "imap \"a\" { url = \"http://h\" }",
	    "1: error: imap.url: \"http://h\" begins neither with imaps:// nor "
	    "with imap://; allowed: imaps://HOST[:PORT] or imap://HOST[:PORT]; "
	    "it must be given" },
	{ "imap \"a\" { url = \"imaps://h:0\" }",
	    "1: error: imap.url: \"imaps://h:0\" has no port from 1 to 65535 "
	    "after its host; allowed: imaps://HOST[:PORT] or "
	    "imap://HOST[:PORT]; it must be given" },
	{ "imap \"a\" { url = \"imaps://h/INBOX\" }",
	    "1: error: imap.url: \"imaps://h/INBOX\" has more than a host and "
	    "a port; allowed: imaps://HOST[:PORT] or imap://HOST[:PORT]; it "
	    "must be given" },
	{ "imap \"a\" { url = \"imaps://[127.0.0.1]\" }",
	    "1: error: imap.url: \"imaps://[127.0.0.1]\" has no IPv6 address "
	    "in its brackets; allowed: imaps://HOST[:PORT] or "
	    "imap://HOST[:PORT]; it must be given" },
	{ "imap \"a\" { url = \"imaps://127.1\" }",
	    "1: error: imap.url: \"imaps://127.1\" has neither a host name nor "
	    "an address; allowed: imaps://HOST[:PORT] or imap://HOST[:PORT]; "
	    "it must be given" },
	{ "imap \"a\" { url = \"imaps://h\" domains = {\"a..b\"} }",
	    "1: error: imap.domains: \"a..b\" is no domain name; allowed: "
	    "domain names, or *" },
	{ "imap \"a\" { url = \"imaps://h\" ca_file = \"ca.pem\" }",
	    "1: error: imap.ca_file: \"ca.pem\" does not begin with /; "
	    "allowed: an absolute path" },
	{ "imap \"a\" { url = \"imaps://h\" master_separator = \"x\" }",
	    "1: error: imap.master_separator: \"x\" would be found in ordinary "
	    "logins; allowed: ASCII punctuation other than @, or empty" },
	{ "imap \"a\" { url = \"imaps://h\" canary = \"a*b@c\" }",
	    "1: error: imap.canary: \"a*b@c\" contains the master_separator; "
	    "allowed: a login, or empty" },
	{ "imap \"a\" { url = \"imaps://h\" domains = \"b.org\"\n"
	  "canary = \"a@c.org\" }",
	    "2: error: imap.canary: \"a@c.org\" is in none of this section's "
	    "domains; allowed: a login, or empty" },
	{ "imap \"a\" { url = \"imaps://h\" timeout = \"0s\" }",
	    "1: error: imap.timeout: \"0s\" is out of range; allowed: 1s to "
	    "1m" },
	{ "imap \"a\" { url = \"imaps://h\" timeout = 5 }",
	    "1: error: imap.timeout: \"5\" is no duration such as 10s, 5m, 2h "
	    "or 1d; allowed: 1s to 1m" },
	{ "imap \"a\" { url = \"imaps://h\" max_connections = 0 }",
	    "1: error: imap.max_connections: \"0\" is out of range; allowed: 1 "
	    "to 256 connections" },
	/* the rest */
	{ "identity { wait = \"10s\" }",
	    "1: error: identity.wait: \"10s\" is out of range; allowed: 1s to "
	    "9s" },
	{ "identity { waiters = 99999999999999999999 }",
	    "1: error: identity.waiters: \"99999999999999999999\" is no whole "
	    "number; allowed: 1 to 1024 sessions" },
	{ "limits \"a\" {\nbytes = \"1000000000001/1d\" }",
	    "2: error: limits.bytes: \"1000000000001/1d\" is out of range; "
	    "allowed: N/DURATION with N from 1000 to 1000000000000 and a "
	    "duration from 1s to 7d, or empty" },
	{ "identity { ttl = 9999999999999d }",
	    "1: error: identity.ttl: \"9999999999999d\" is no duration such as "
	    "10s, 5m, 2h or 1d; allowed: 0s to 1h" },
	{ "identity { ttl = \"-1s\" }",
	    "1: error: identity.ttl: \"-1s\" is no duration such as 10s, 5m, "
	    "2h or 1d; allowed: 0s to 1h" },
	{ "senders { check = \"both\" }",
	    "1: error: senders.check: \"both\" is not known; allowed: off | "
	    "envelope" },
	{ "senders { fold_case = \"1\" }",
	    "1: error: senders.fold_case: \"1\" is not known; allowed: false | "
	    "true" },
	{ "senders { map = \"map\" }",
	    "1: error: senders.map: \"map\" does not begin with /; allowed: an "
	    "absolute path, or empty" },
	{ "recipients { routed = \"allow\" }",
	    "1: error: recipients.routed: \"allow\" is not known; allowed: "
	    "reject | allow-internal" },
};

static void
each_mistake_is_one_error_that_names_its_line(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct conf_report report;
		struct conf *conf = conf_text_load(mistakes[i].text, &report);
		char want[512];

		(void)snprintf(want, sizeof(want), "t:%s", mistakes[i].want);
		if (conf != NULL || report.errors != 1 ||
		    !conf_text_reported(&report, want)) {
			print_error("row %zu: %s\n      want: %s\n", i,
			    mistakes[i].text, want);
			conf_text_print(&report);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}

static void
all_errors_of_a_file_are_reported_in_one_run(void **state)
{
	static const char text[] = "listn = \"x\"\n"
				   "mode = \"observ\"\n"
				   "internal = {\"10/8\",\n"
				   "  \"10.0.1.0/8\"}\n"
				   "tls { min_bits = 64\n"
				   "  min_bits = 128 }\n"
				   "sasl \"mta\" { listen = \"a\" }\n"
				   "imap \"a\" { timeout = \"0s\" }\n"
				   "socket_mode = 0787\n";
	static const unsigned int lines[] = { 1, 2, 3, 4, 5, 6, 7, 8, 8, 9 };
	struct conf_report report;
	struct conf *conf = conf_text_load(text, &report);

	(void)state;
	assert_null(conf);
	if (report.errors != ARRAY_LEN(lines))
		conf_text_print(&report);
	assert_int_equal(report.errors, ARRAY_LEN(lines));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char start[32];
		bool found = false;

		(void)snprintf(start, sizeof(start), "t:%u: error: ", lines[i]);
		for (size_t k = 0; k < report.count; k++)
			found = found ||
			    strncmp(report.lines[k], start, strlen(start)) == 0;
		if (!found)
			print_error("no error for line %u\n", lines[i]);
		assert_true(found);
	}
	conf_report_clear(&report);
}

static void
what_is_skipped_has_to_end_too(void **state)
{
	struct conf_report report;

	(void)state;
	assert_null(conf_text_load("fancies {\n { }\n", &report));
	assert_int_equal(report.errors, 2);
	assert_true(conf_text_reported(&report,
	    "t:1: error: syntax: the { on this line is never closed; is the "
	    "end of the file missing?"));
	conf_report_clear(&report);
}

static void
a_report_is_bounded_and_counts_on(void **state)
{
	static char text[1000 * 8 + 1];
	struct conf_report report;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + i * 8, "x = \"y\"\n", 8);
	assert_null(conf_text_load(text, &report));
	assert_int_equal(report.errors, 1000);
	assert_int_equal(report.count, REPORT_LINES_MAX);
	conf_report_clear(&report);
	assert_int_equal(report.count + report.errors, 0);
}

static void
a_good_file_arrives_whole(void **state)
{
	static const char text[] =
	    "listen = 'inet6:8891@::1' # a comment\n"
	    "socket_mode = 0600 socket_group = \"\" user = nobody\r\n"
	    "state_dir = \"/tmp/a 'b' \\\"c\\\\\" // another\n"
	    "log = stderr log_format = json mode = enforce\n"
	    "internal = {\"10.0.0.0/8\", \"!10.0.0.1\", ::1,}\n"
	    "local_domains = {\"Example.ORG\", \"b\\u00fccher\"}\n";
	static const char more[] =
	    "listener \"submission\" { role = submission }\n"
	    "listener \"a 'smtp' \\\\\" { role = mx }\n"
	    "tls { min_version = TLSv1.3 min_bits = 256 }\n"
	    "auth { mechanisms = {plain, \"Scram-SHA-256\"}\n"
	    "  realm = \"EXAMPLE.org\" internal = ignore }\n"
	    "imap \"one\" { url = {\"imaps://a.example:993\",\n"
	    "    \"imap://[::1]:143\", \"imaps://192.0.2.1\"}\n"
	    "  ca_file = \"/ca\" domains = {\"Example.org\", \"b.example\"}\n"
	    "  login_as = address master_separator = \"\\\\\"\n"
	    "  verify = proxy proxy_user = \"p\"\n"
	    "  proxy_password_file = \"/secret\" mailbox_check = no\n"
	    "  canary = \"Bob\" timeout = 1m max_connections = 1 }\n"
	    "imap \"two\" { url = \"imaps://b\" }\n"
	    "identity { ttl = 0s refused_ttl = 0s wait = 9s waiters = 1024 }\n"
	    "senders { check = envelope action = warn own = {} \n"
	    "  fold_case = false }\n"
	    "recipients { routed = allow-internal }\n";
	char whole[sizeof(text) + sizeof(more)];
	char *escape;
	struct conf_report report;
	struct conf *c;
	struct netaddr addr;

	(void)state;
	(void)snprintf(whole, sizeof(whole), "%s%s", text, more);
	escape = strstr(whole, "\\u00fc"); /* u-umlaut, in UTF-8 */
	memcpy(escape, "\xc3\xbc    ", 6);
	memmove(escape + 2, escape + 6, strlen(escape + 6) + 1);
	c = conf_text_load(whole, &report);
	if (c == NULL || report.count != 0)
		conf_text_print(&report);
	assert_non_null(c);
	assert_int_equal(report.count, 0);

	assert_string_equal(c->file, "t");
	assert_string_equal(c->listen, "inet6:8891@::1");
	assert_int_equal(c->socket_mode, 0600);
	assert_string_equal(c->socket_group, "");
	assert_string_equal(c->user, "nobody");
	assert_string_equal(c->state_dir, "/tmp/a 'b' \"c\\");
	assert_int_equal(c->log, LOG_TARGET_STDERR);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_int_equal(c->policy.mode, MODE_ENFORCE);
	assert_int_equal(netset_count(c->policy.internal), 3);
	assert_int_equal(netaddr_parse("10.0.0.2", &addr), 0);
	assert_true(netset_contains(c->policy.internal, &addr, NULL));
	assert_int_equal(netaddr_parse("10.0.0.1", &addr), 0);
	assert_false(netset_contains(c->policy.internal, &addr, NULL));
	assert_int_equal(domainset_count(c->policy.local_domains), 2);
	assert_true(domainset_contains(c->policy.local_domains, "example.org"));
	assert_true(
	    domainset_contains(c->policy.local_domains, "xn--bcher-kva"));

	assert_int_equal(c->policy.listener_count, 2);
	assert_string_equal(c->policy.listeners[0].name, "submission");
	assert_int_equal(c->policy.listeners[0].role, ROLE_SUBMISSION);
	assert_string_equal(c->policy.listeners[1].name, "a 'smtp' \\");
	assert_int_equal(c->policy.listeners[1].role, ROLE_MX);
	assert_int_equal(c->policy.tls_min_version, TLS_1_3);
	assert_int_equal(c->policy.tls_min_bits, 256);
	assert_int_equal(c->policy.mechanism_count, 2);
	assert_string_equal(c->policy.mechanisms[0], "PLAIN");
	assert_string_equal(c->policy.mechanisms[1], "SCRAM-SHA-256");
	assert_string_equal(c->policy.realm, "example.org");
	assert_int_equal(c->policy.switches.auth_internal,
	    AUTH_INTERNAL_IGNORE);

	assert_int_equal(c->imap_count, 2);
	assert_string_equal(c->imaps[0].name, "one");
	assert_int_equal(c->imaps[0].url_count, 3);
	assert_string_equal(c->imaps[0].urls[0], "imaps://a.example:993");
	assert_string_equal(c->imaps[0].urls[1], "imap://[::1]:143");
	assert_string_equal(c->imaps[0].urls[2], "imaps://192.0.2.1");
	assert_string_equal(c->imaps[0].ca_file, "/ca");
	assert_int_equal(c->imaps[0].domain_count, 2);
	assert_string_equal(c->imaps[0].domains[0], "example.org");
	assert_string_equal(c->imaps[0].domains[1], "b.example");
	assert_int_equal(c->imaps[0].login_as, LOGIN_AS_ADDRESS);
	assert_string_equal(c->imaps[0].master_separator, "\\");
	assert_string_equal(c->imaps[0].proxy_user, "p");
	assert_int_equal(c->imaps[0].mailbox_check, MAILBOX_CHECK_NO);
	assert_string_equal(c->imaps[0].canary, "Bob@example.org");
	assert_int_equal(c->imaps[0].timeout_ms, 60000);
	assert_int_equal(c->imaps[0].max_connections, 1);
	assert_string_equal(c->imaps[1].name, "two");
	assert_int_equal(c->imaps[0].verify[0], VERIFY_PROXY);
	assert_int_equal(c->imaps[0].verify[1], VERIFY_NONE);

	assert_int_equal(c->identity_ttl_ms, 0);
	assert_int_equal(c->identity_refused_ttl_ms, 0);
	assert_int_equal(c->identity_wait_ms, 9000);
	assert_int_equal(c->identity_waiters, 1024);
	assert_int_equal(c->policy.switches.sender_check,
	    SENDER_CHECK_ENVELOPE);
	assert_int_equal(c->policy.switches.sender_action, SENDER_ACTION_WARN);
	assert_int_equal(c->policy.switches.routed, ROUTED_ALLOW_INTERNAL);
	conf_free(&c);
	assert_null(c);
	conf_report_clear(&report);
}

static void
what_is_not_given_has_its_default(void **state)
{
	struct conf_report report;
	struct conf *c =
	    conf_text_load("imap \"a\" { url = \"imaps://h\" }", &report);

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->listen, "unix:/run/postern/milter.sock");
	assert_int_equal(c->socket_mode, 0660);
	assert_string_equal(c->socket_group, "postfix");
	assert_string_equal(c->user, "postern");
	assert_string_equal(c->state_dir, "/var/lib/postern");
	assert_int_equal(c->log, LOG_TARGET_SYSLOG);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->policy.mode, MODE_ENFORCE);
	assert_int_equal(netset_count(c->policy.internal), 0);
	assert_int_equal(domainset_count(c->policy.local_domains), 0);
	assert_int_equal(c->policy.listener_count, 0);
	assert_int_equal(c->policy.tls_min_version, TLS_1_2);
	assert_int_equal(c->policy.tls_min_bits, 128);
	assert_int_equal(c->policy.mechanism_count, 9);
	assert_string_equal(c->policy.mechanisms[8], "GSSAPI");
	assert_string_equal(c->policy.realm, "");
	assert_int_equal(c->policy.switches.auth_internal, AUTH_INTERNAL_CHECK);
	assert_string_equal(c->imaps[0].ca_file,
	    "/etc/ssl/certs/ca-certificates.crt");
	assert_int_equal(c->imaps[0].domain_count, 1);
	assert_string_equal(c->imaps[0].domains[0], "*");
	assert_int_equal(c->imaps[0].login_as, LOGIN_AS_USER);
	assert_string_equal(c->imaps[0].master_separator, "*");
	assert_string_equal(c->imaps[0].proxy_user, "postern");
	assert_int_equal(c->imaps[0].mailbox_check, MAILBOX_CHECK_AUTO);
	assert_string_equal(c->imaps[0].canary, "");
	assert_int_equal(c->imaps[0].timeout_ms, 5000);
	assert_int_equal(c->imaps[0].max_connections, 16);
	assert_int_equal(c->identity_ttl_ms, 120000);
	assert_int_equal(c->identity_refused_ttl_ms, 15000);
	assert_int_equal(c->identity_wait_ms, 4000);
	assert_int_equal(c->identity_waiters, 16);
	assert_int_equal(c->policy.switches.sender_check, SENDER_CHECK_OFF);
	assert_int_equal(c->policy.switches.sender_action,
	    SENDER_ACTION_REJECT);
	assert_int_equal(c->policy.switches.routed, ROUTED_REJECT);
	conf_free(&c);
	conf_report_clear(&report);
}

/* An address is somebody's own by the pattern, and case does not matter,
 * unless the file says otherwise. */
static bool
owns(const char *text, const char *login_text, const char *address)
{
	struct conf_report report;
	struct conf *c = conf_text_load(text, &report);
	struct login login;
	struct path path;
	bool own;

	assert_non_null(c);
	assert_int_equal(
	    login_normalise(login_text, strlen(login_text), "", &login), 0);
	path_parse_mailbox(address, strlen(address), &path);
	own = owners_own(c->policy.owners, &login, &path);
	conf_free(&c);
	conf_report_clear(&report);
	return own;
}

static void
sender_patterns_reach_the_policy(void **state)
{
	(void)state;
	assert_true(
	    owns("senders { }", "alice@example.org", "ALICE@example.org"));
	assert_false(
	    owns("senders { }", "alice@example.org", "bob@example.org"));
	assert_false(owns("senders { fold_case = false }", "alice@example.org",
	    "ALICE@example.org"));
	assert_false(owns("senders { own = {} }", "alice@example.org",
	    "alice@example.org"));
	assert_true(owns("senders { own = {\"%u@lists.example.org\"} }",
	    "alice@example.org", "alice@lists.example.org"));
}

/* Octets of a day are more than 32 bits count. */
static void
limits_go_as_far_as_they_say(void **state)
{
	struct conf_report report;
	struct conf *c = conf_text_load("limits \"a\" { messages = "
					"\"10000000/7d\"\n"
					"bytes = \"1000000000000/1d\" }",
	    &report);

	(void)state;
	if (c == NULL)
		conf_text_print(&report);
	assert_non_null(c);
	assert_int_equal(c->limit_count, 1);
	assert_int_equal(c->limits[0].quotas[COUNTER_MESSAGES].count, 10000000);
	assert_int_equal(c->limits[0].quotas[COUNTER_BYTES].count,
	    UINT64_C(1000000000000));
	assert_int_equal(c->limits[0].quotas[COUNTER_BYTES].window_ms,
	    86400000);
	conf_free(&c);
	conf_report_clear(&report);
}

static const struct {
	const char *text;
	const char *want; /* after "t:"; NULL: no warning */
} warnings[] = {
	{ "socket_mode = 0666\ninternal = {10.0.0.0/8}\n",
	    "1: warning: socket_mode: 0666 lets everybody on this host "
	    "connect, and whoever can connect can crash libmilter" },
	{ "mode = observe",
	    "1: warning: mode: observe: verdicts are only logged, ALL MAIL "
	    "PASSES" },
	{ "\ninternal = {}",
	    "2: warning: internal: it is empty: no client is internal, and "
	    "everybody has to log in" },
	{ "user = a",
	    "1: warning: internal: it is empty: no client is internal, and "
	    "everybody has to log in" },
	{ "user = a",
	    "1: warning: imap: there is no imap section: every login "
	    "will be refused" },
	{ "auth { mechanisms = {} }",
	    "1: warning: auth.mechanisms: it is empty: every login will be "
	    "refused" },
	{ "listener \"smtp\" { role = mx }",
	    "1: warning: listener: role mx and no local_domains: outsiders "
	    "reach nobody" },
	{ "internal = {::1,\n206.81.16.0/20}",
	    "2: warning: internal: \"206.81.16.0/20\" is a public network "
	    "wider than /24; are all its hosts yours?" },
	{ "internal = {\"::ffff:206.81.16.0/116\"}",
	    "1: warning: internal: \"::ffff:206.81.16.0/116\" is a public "
	    "network wider than /24; are all its hosts yours?" },
	{ "internal = {172.0.0.0/8}",
	    "1: warning: internal: \"172.0.0.0/8\" is a public network wider "
	    "than /24; are all its hosts yours?" },
	{ "internal = {2001:db8::/47}",
	    "1: warning: internal: \"2001:db8::/47\" is a public network wider "
	    "than /48; are all its hosts yours?" },
	{ "internal = {64:ff9b::/96}",
	    "1: warning: internal: \"64:ff9b::/96\" reaches into "
	    "64:ff9b::/96, NAT64 (RFC 6052): anybody may be behind it" },
	{ "internal = {\"64:ff9b:1:2::/64\"}",
	    "1: warning: internal: \"64:ff9b:1:2::/64\" reaches into "
	    "64:ff9b:1::/48, local NAT64 (RFC 8215): anybody may be behind "
	    "it" },
	{ "internal = {2002:a00::/24}",
	    "1: warning: internal: \"2002:a00::/24\" reaches into 2002::/16, "
	    "6to4 (RFC 3056): anybody may be behind it" },
	{ "internal = {2000::/8}",
	    "1: warning: internal: \"2000::/8\" reaches into 2001::/32, Teredo "
	    "(RFC 4380): anybody may be behind it" },
	/* no reason to warn */
	{ "internal = {10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, "
	  "169.254.0.0/16, 100.64.0.0/10, fc00::/7, fe80::/10, ::1, "
	  "192.0.2.0/24, 2001:db8::/48, \"!206.81.16.0/20\", "
	  "\"!64:ff9b::/96\"}",
	    NULL },
};

static void
warnings_are_no_errors(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(warnings); i++) {
		struct conf_report report;
		struct conf *conf = conf_text_load(warnings[i].text, &report);
		char want[512];
		bool ok = conf != NULL && report.errors == 0;

		if (warnings[i].want != NULL) {
			(void)snprintf(want, sizeof(want), "t:%s",
			    warnings[i].want);
			ok = ok && conf_text_reported(&report, want);
		}
		for (size_t k = 0; warnings[i].want == NULL && k < report.count;
		     k++)
			ok = ok && strstr(report.lines[k], "internal") == NULL;
		if (!ok) {
			print_error("row %zu: %s\n      want: %s\n", i,
			    warnings[i].text,
			    warnings[i].want == NULL ? "nothing" : want);
			conf_text_print(&report);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}

/* A word's place in the table is the value of its enum. */
static void
words_stand_in_the_order_of_their_enums(void **state)
{
	static const struct {
		enum option option;
		const char *word;
		unsigned int value;
	} words[] = {
		{ OPTION_LOG, "syslog", LOG_TARGET_SYSLOG },
		{ OPTION_LOG, "stderr", LOG_TARGET_STDERR },
		{ OPTION_LOG_FORMAT, "text", LOG_FORMAT_TEXT },
		{ OPTION_LOG_FORMAT, "json", LOG_FORMAT_JSON },
		{ OPTION_MODE, "enforce", MODE_ENFORCE },
		{ OPTION_MODE, "observe", MODE_OBSERVE },
		{ OPTION_LISTENER_ROLE, "submission", ROLE_SUBMISSION },
		{ OPTION_LISTENER_ROLE, "mx", ROLE_MX },
		{ OPTION_TLS_MIN_VERSION, "TLSv1.2", 0 },
		{ OPTION_TLS_MIN_VERSION, "TLSv1.3", 1 },
		{ OPTION_AUTH_INTERNAL, "check", AUTH_INTERNAL_CHECK },
		{ OPTION_AUTH_INTERNAL, "ignore", AUTH_INTERNAL_IGNORE },
		{ OPTION_IMAP_LOGIN_AS, "user", LOGIN_AS_USER },
		{ OPTION_IMAP_LOGIN_AS, "address", LOGIN_AS_ADDRESS },
		{ OPTION_IMAP_MAILBOX_CHECK, "auto", MAILBOX_CHECK_AUTO },
		{ OPTION_IMAP_MAILBOX_CHECK, "yes", MAILBOX_CHECK_YES },
		{ OPTION_IMAP_MAILBOX_CHECK, "no", MAILBOX_CHECK_NO },
		{ OPTION_SENDERS_CHECK, "off", SENDER_CHECK_OFF },
		{ OPTION_SENDERS_CHECK, "envelope", SENDER_CHECK_ENVELOPE },
		{ OPTION_SENDERS_ACTION, "reject", SENDER_ACTION_REJECT },
		{ OPTION_SENDERS_ACTION, "warn", SENDER_ACTION_WARN },
		{ OPTION_SENDERS_FOLD_CASE, "false", false },
		{ OPTION_SENDERS_FOLD_CASE, "true", true },
		{ OPTION_RECIPIENTS_ROUTED, "reject", ROUTED_REJECT },
		{ OPTION_RECIPIENTS_ROUTED, "allow-internal",
		    ROUTED_ALLOW_INTERNAL },
		{ OPTION_IMAP_VERIFY, "session", 0 },
		{ OPTION_IMAP_VERIFY, "proxy", VERIFY_PROXY - VERIFY_SESSION },
		{ OPTION_IMAP_FORWARD_CLIENT, "true", true },
		{ OPTION_SASL_PROTOCOL, "dovecot", SASL_PROTOCOL_DOVECOT },
		{ OPTION_SASL_PROTOCOL, "saslauthd", SASL_PROTOCOL_SASLAUTHD },
		{ OPTION_SASL_PROOF, "address", SASL_PROOF_ADDRESS },
		{ OPTION_SASL_PROOF, "login", SASL_PROOF_LOGIN },
		{ OPTION_SASL_PLAINTEXT_INTERNAL, "true", true },
		{ OPTION_SASL_PASS_THROUGH, "CRAM-MD5", 0 },
		{ OPTION_SASL_PASS_THROUGH, "SCRAM-SHA-1",
		    SASL_SCRAM_SHA_1 - SASL_CRAM_MD5 },
		{ OPTION_SASL_PASS_THROUGH, "SCRAM-SHA-256",
		    SASL_SCRAM_SHA_256 - SASL_CRAM_MD5 },
		{ OPTION_SASL_PASS_THROUGH, "OAUTHBEARER",
		    SASL_OAUTHBEARER - SASL_CRAM_MD5 },
		{ OPTION_SASL_PASS_THROUGH, "XOAUTH2",
		    SASL_XOAUTH2 - SASL_CRAM_MD5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		unsigned int got = 99;

		(void)value_word(option_row(words[i].option)->allowed,
		    words[i].word, &got);
		if (got != words[i].value)
			print_error("%s: got %u, want %u\n", words[i].word, got,
			    words[i].value);
		assert_int_equal(got, words[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_one_error_that_names_its_line),
		cmocka_unit_test(all_errors_of_a_file_are_reported_in_one_run),
		cmocka_unit_test(what_is_skipped_has_to_end_too),
		cmocka_unit_test(a_report_is_bounded_and_counts_on),
		cmocka_unit_test(a_good_file_arrives_whole),
		cmocka_unit_test(what_is_not_given_has_its_default),
		cmocka_unit_test(sender_patterns_reach_the_policy),
		cmocka_unit_test(limits_go_as_far_as_they_say),
		cmocka_unit_test(warnings_are_no_errors),
		cmocka_unit_test(words_stand_in_the_order_of_their_enums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
