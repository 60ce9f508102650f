/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of the SASL server and of what hangs on it: sources of the
 * truth, guessing limits, the store. Every mistake is the only error of its
 * text and names its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "policy/sasl.h"
#include "tests/unit/conf_text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What every text begins with, on its first line. */
#define INTERNAL "internal = {\"::1\"} "
#define STORES                                           \
 "lmdb: | lmdb:DIR | redis://[USER@]HOST[:PORT][/DB] | " \
 "rediss://[USER@]HOST[:PORT][/DB] | "                   \
 "redis://[USER@]/SOCKET[?db=DB]"
#define IMAP      INTERNAL "imap \"a\" { url = \"imaps://h\" } "
#define IMAP_A    INTERNAL "imap \"a\" { url = \"imaps://h\" domains = a.org } "
#define UNLIMITED "limits \"none\" {} "
#define BY_SESSION \
 INTERNAL "imap \"a\" { url = \"imaps://h\" verify = session } "

#define LISTEN_ALLOWED                                                    \
 "; allowed: unix:PATH | inet:PORT@HOST | inet6:PORT@HOST, loopback; it " \
 "must be given"
#define CLEAR_TEXT(host)                                       \
 "would cross the network in clear text, for " host " is not " \
 "loopback" LISTEN_ALLOWED
#define LONG_27 "abcdefghijklmnopqrstuvwxyz/"
#define PASS_ALLOWED \
 "; allowed: CRAM-MD5 | SCRAM-SHA-1 | SCRAM-SHA-256 | OAUTHBEARER | XOAUTH2"
#define CRAM_ALONE                                                           \
 "error: sasl.pass_through: with CRAM-MD5 the server speaks before anybody " \
 "knows which login it is about; allowed: CRAM-MD5 if there is just one "    \
 "imap section, with \"*\" in its domains"

static const struct conf_text_row sasl_mistakes[] = {
	{ IMAP "\nsasl \"a\" { protocol = dovecot }",
	    "2: error: sasl.listen: it is not given" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"\" }",
	    "1: error: sasl.listen: \"\" is empty" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:run/s\" }",
	    "1: error: sasl.listen: \"unix:run/s\" has no absolute "
	    "path" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/" LONG_27 LONG_27 LONG_27 LONG_27
	       "\" }",
	    "1: error: sasl.listen: \"unix:/" LONG_27 LONG_27
	    "abcdefghijklmnopqrst\" has a path longer than 107 "
	    "octets" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"fd:3\" }",
	    "1: error: sasl.listen: \"fd:3\" is a socket that somebody else "
	    "has made" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"inet:4190\" }",
	    "1: error: sasl.listen: \"inet:4190\" has no host, and would "
	    "listen on every address" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { \nlisten = \"inet:4190@0.0.0.0\" }",
	    "2: error: sasl.listen: \"inet:4190@0.0.0.0\" " CLEAR_TEXT(
		"0.0.0.0") },
	{ IMAP "sasl \"a\" { listen = \"inet:4190@192.0.2.1\" }",
	    "1: error: sasl.listen: \"inet:4190@192.0.2.1\" " CLEAR_TEXT(
		"192.0.2.1") },
	{ IMAP "sasl \"a\" { listen = \"inet:4190@128.0.0.1\" }",
	    "1: error: sasl.listen: \"inet:4190@128.0.0.1\" " CLEAR_TEXT(
		"128.0.0.1") },
	{ IMAP "sasl \"a\" { listen = \"inet:4190@localhost.example\" }",
	    "1: error: sasl.listen: \"inet:4190@localhost.example\" " CLEAR_TEXT(
		"localhost.example") },
	{ IMAP "sasl \"a\" { listen = \"inet6:4190@::\" }",
	    "1: error: sasl.listen: \"inet6:4190@::\" " CLEAR_TEXT("::") },
	{ IMAP "sasl \"a\" { listen = \"inet6:4190@::ffff:127.0.0.1\" }",
	    "1: error: sasl.listen: \"inet6:4190@::ffff:127.0.0.1\" " CLEAR_TEXT(
		"::ffff:127.0.0.1") },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" }\n"
	       "sasl \"b\" { listen = \"unix:/s\" }",
	    "2: error: sasl.listen: \"unix:/s\" is the socket of sasl \"a\" "
	    "too" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s/t\" }\n"
	       "sasl \"b\" { listen = \"unix:/x\" }\n"
	       "sasl \"c\" { listen = \"unix://s///t\" }",
	    "3: error: sasl.listen: \"unix://s///t\" is the socket of sasl "
	    "\"a\" too" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"inet:1@localhost\" }\n"
	       "sasl \"b\" { listen = \"inet:1@localhost\" }",
	    "2: error: sasl.listen: \"inet:1@localhost\" is the socket of sasl "
	    "\"a\" too" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/run/postern/milter.sock\" }",
	    "1: error: sasl.listen: \"unix:/run/postern/milter.sock\" is the "
	    "milter's own socket (listen)" LISTEN_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" protocol = cyrus }",
	    "1: error: sasl.protocol: \"cyrus\" is not known; allowed: dovecot "
	    "| saslauthd" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" socket_mode = 0999 }",
	    "1: error: sasl.socket_mode: \"0999\" is no file mode in octal; "
	    "allowed: three octal digits after a 0" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" socket_mode = \"\" }",
	    "1: error: sasl.socket_mode: \"\" is no file mode in octal; "
	    "allowed: three octal digits after a 0" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" socket_group = \"a b\" }",
	    "1: error: sasl.socket_group: \"a b\" is no name of a user or "
	    "group; allowed: a group name, or empty to leave the group alone" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" plaintext_internal = yes }",
	    "1: error: sasl.plaintext_internal: \"yes\" is not known; allowed: "
	    "false | true" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" proof = none }",
	    "1: error: sasl.proof: \"none\" is not known; allowed: address | "
	    "login" },
	/* mechanisms */
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {PLAIN} }",
	    "1: error: sasl.pass_through: \"PLAIN\" is not passed through: if "
	    "auth.mechanisms has it, its password is checked "
	    "here" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {login} }",
	    "1: error: sasl.pass_through: \"login\" is not passed through: if "
	    "auth.mechanisms has it, its password is checked "
	    "here" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = "
	       "{SCRAM-SHA-1-PLUS} }",
	    "1: error: sasl.pass_through: \"SCRAM-SHA-1-PLUS\" is bound to the "
	    "client's TLS, which ends at the MTA" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {EXTERNAL} }",
	    "1: error: sasl.pass_through: \"EXTERNAL\" is not "
	    "known" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {ANONYMOUS} }",
	    "1: error: sasl.pass_through: \"ANONYMOUS\" is no login: everybody "
	    "has it" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {XOAUTH2, \n"
	       "xoauth2} }",
	    "2: error: sasl.pass_through: \"xoauth2\" is there "
	    "twice" PASS_ALLOWED },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd \n"
	       "pass_through = {SCRAM-SHA-256} }",
	    "2: error: sasl.pass_through: protocol saslauthd carries passwords "
	    "and nothing else; allowed: {}, or protocol dovecot" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" domains = example.org }\n"
		   "sasl \"a\" { listen = \"unix:/s\" pass_through = "
		   "{CRAM-MD5} }",
	    "2: " CRAM_ALONE },
	{ IMAP_A
	    "imap \"b\" { url = \"imaps://g\" domains = example.org }\n"
	    "sasl \"a\" { listen = \"unix:/s\" pass_through = {CRAM-MD5} }",
	    "2: " CRAM_ALONE },
	/* proofs */
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" \nproof = login }",
	    "2: error: sasl.proof: \"login\" would prove less than is known: "
	    "protocol dovecot carries the address; allowed: address" },
	{ BY_SESSION "\nsasl \"a\" { listen = \"unix:/s\" protocol = "
		     "saslauthd }",
	    "2: error: sasl.proof: \"address\" with protocol saslauthd, which "
	    "carries none, proves nothing to imap \"a\" with its verify = "
	    "\"session\" alone; allowed: login" },
	{ IMAP_A "imap \"b\" { url = \"imaps://h\" verify = session }\n"
		 "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd\n"
		 "proof = address }",
	    "3: error: sasl.proof: \"address\" with protocol saslauthd, which "
	    "carries none, proves nothing to imap \"b\" with its verify = "
	    "\"session\" alone; allowed: login" },
};

static void
a_mistake_in_a_sasl_section_is_one_error(void **state)
{
	(void)state;
	conf_text_check(sasl_mistakes, ARRAY_LEN(sasl_mistakes), false);
}

#define RATE_ALLOWED \
 "; allowed: N/DURATION with N from 1 to 10000 and a duration from 1s to 7d"
#define NO_RATE      "is no rate such as 20/10m" RATE_ALLOWED
#define OUT_OF_RANGE "is out of range" RATE_ALLOWED

static const struct conf_text_row other_mistakes[] = {
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = {} }",
	    "1: error: imap.verify: an empty list; allowed: session | proxy" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = {session,\n"
		   "\"lease\"} canary = a }",
	    "2: error: imap.verify: \"lease\" is not known; allowed: session | "
	    "proxy" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = {proxy, proxy} }",
	    "1: error: imap.verify: \"proxy\" is there twice; allowed: session "
	    "| proxy" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = {session, proxy, "
		   "session} }",
	    "1: error: imap.verify: \"session\" is there twice; allowed: "
	    "session | proxy" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" forward_client = 1 }",
	    "1: error: imap.forward_client: \"1\" is not known; allowed: false "
	    "| true" },
	{ IMAP_A "sasl \"a\" { listen = \"unix:/s\" }\n"
		 "imap \"b\" { url = \"imaps://h\" verify = {session}\n"
		 "canary = bob }",
	    "3: error: imap.canary: \"bob\" can only be asked about by proxy, "
	    "which verify does not name; allowed: a login, or empty" },
	{ IMAP "identity { session_ttl = 59s }",
	    "1: error: identity.session_ttl: \"59s\" is out of range; allowed: "
	    "1m to 7d" },
	{ IMAP "identity { session_ttl = 169h }",
	    "1: error: identity.session_ttl: \"169h\" is out of range; "
	    "allowed: 1m to 7d" },
	{ IMAP "identity { grace = 8d }",
	    "1: error: identity.grace: \"8d\" is out of range; allowed: 0s to "
	    "7d" },
	{ IMAP "guessing { per_address = 20 }",
	    "1: error: guessing.per_address: \"20\" " NO_RATE },
	{ IMAP "guessing { per_address = \"20/10\" }",
	    "1: error: guessing.per_address: \"20/10\" " NO_RATE },
	{ IMAP "guessing { per_address = \"/10m\" }",
	    "1: error: guessing.per_address: \"/10m\" " NO_RATE },
	{ IMAP "guessing { per_address = \"20 / 10m\" }",
	    "1: error: guessing.per_address: \"20 / 10m\" " NO_RATE },
	{ IMAP "guessing { per_address = \"020/10m\" }",
	    "1: error: guessing.per_address: \"020/10m\" " NO_RATE },
	{ IMAP "guessing { per_address = \"20/10m/1\" }",
	    "1: error: guessing.per_address: \"20/10m/1\" " NO_RATE },
	{ IMAP "guessing { per_network = off }",
	    "1: error: guessing.per_network: \"off\" " NO_RATE },
	{ IMAP "guessing { per_network = \"0/10m\" }",
	    "1: error: guessing.per_network: \"0/10m\" " OUT_OF_RANGE },
	{ IMAP "guessing { per_login = \"10001/10m\" }",
	    "1: error: guessing.per_login: \"10001/10m\" " OUT_OF_RANGE },
	{ IMAP "guessing { per_login = \"30/0s\" }",
	    "1: error: guessing.per_login: \"30/0s\" " OUT_OF_RANGE },
	{ IMAP "guessing {\nper_login = \"30/8d\" }",
	    "2: error: guessing.per_login: \"30/8d\" " OUT_OF_RANGE },
	{ IMAP "guessing { delay = 8s }",
	    "1: error: guessing.delay: \"8s\" is out of range; allowed: 0s to "
	    "7s" },
	{ IMAP "guessing { spare = 31d }",
	    "1: error: guessing.spare: \"31d\" is out of range; allowed: 0s to "
	    "30d" },
	{ IMAP "store { url = \"redis://me:geheim@localhost\" }",
	    "1: error: store.url: a password does not belong in it, but into "
	    "a file; allowed: store.password_file" },
	{ IMAP "store { url = \"redis://\" }",
	    "1: error: store.url: \"redis://\" names no host; allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://localhost:99999\" }",
	    "2: error: store.url: \"redis://localhost:99999\" has no port from 1 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://localhost:0/1\" }",
	    "2: error: store.url: \"redis://localhost:0/1\" has no port from 1 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://me@localhost:6379x\" }",
	    "2: error: store.url: \"redis://me@localhost:6379x\" has no port from 1 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"rediss://localhost:\" }",
	    "2: error: store.url: \"rediss://localhost:\" has no port from 1 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://[::1]:port\" }",
	    "2: error: store.url: \"redis://[::1]:port\" has no port from 1 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://:6379\" }",
	    "2: error: store.url: \"redis://:6379\" has neither a host name nor an address; allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://me@ho!st/1\" }",
	    "2: error: store.url: \"redis://me@ho!st/1\" has neither a host name nor an address; allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://a,b\" }",
	    "2: error: store.url: \"redis://a,b\" has neither a host name nor an address; allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://[::1\" }",
	    "2: error: store.url: \"redis://[::1\" has no IPv6 address in its brackets; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://localhost/x\" }",
	    "2: error: store.url: \"redis://localhost/x\" has no database from 0 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store {\nurl = \"redis://localhost:6379/65536\" }",
	    "2: error: store.url: \"redis://localhost:6379/65536\" has no database from 0 to 65535 after its host; "
	    "allowed: " STORES },
	{ IMAP "store { url = \"lmdb\" }",
	    "1: error: store.url: \"lmdb\" is no store that postern knows; "
	    "allowed: " STORES },
	{ IMAP "store { url = \"lmdb:store\" }",
	    "1: error: store.url: \"lmdb:store\" does not begin with /; "
	    "allowed: " STORES },
};

static void
a_mistake_in_what_hangs_on_it_is_one_error(void **state)
{
	(void)state;
	conf_text_check(other_mistakes, ARRAY_LEN(other_mistakes), false);
}

#define DELEGATION IMAP "delegation {\n"

static const struct conf_text_row delegation_mistakes[] = {
	{ DELEGATION "socket_mode = 0600 }",
	    "1: error: delegation.listen: it is not given" LISTEN_ALLOWED },
	{ DELEGATION "listen = \"inet:4190@192.0.2.1\" }",
	    "2: error: delegation.listen: \"inet:4190@192.0.2.1\" " CLEAR_TEXT(
		"192.0.2.1") },
	{ DELEGATION "listen = \"fd:3\" }",
	    "2: error: delegation.listen: \"fd:3\" is a socket that somebody "
	    "else has made" LISTEN_ALLOWED },
	{ DELEGATION "listen = \"unix:/run/postern//milter.sock\" }",
	    "2: error: delegation.listen: \"unix:/run/postern//milter.sock\" "
	    "is the milter's own socket (listen)" LISTEN_ALLOWED },
	{ DELEGATION "listen = \"unix:/s\" }\n"
		     "sasl \"b\" { listen = "
		     "\"unix:/s\" }",
	    "2: error: delegation.listen: \"unix:/s\" is the socket of sasl "
	    "\"b\" too" LISTEN_ALLOWED },
	{ DELEGATION "listen = \"unix:/s\" socket_mode = 0999 }",
	    "2: error: delegation.socket_mode: \"0999\" is no file mode in "
	    "octal; allowed: three octal digits after a 0" },
	{ DELEGATION "listen = \"unix:/s\" socket_group = \"a b\" }",
	    "2: error: delegation.socket_group: \"a b\" is no name of a user "
	    "or group; allowed: a group name, or empty to leave the group "
	    "alone" },
	{ DELEGATION "listen = \"unix:/s\" heaps = true }",
	    "2: error: delegation.heaps: there is no such option; "
	    "postern.conf(5) has them all" },
};

static void
a_mistake_in_the_delegation_section_is_one_error(void **state)
{
	(void)state;
	conf_text_check(delegation_mistakes, ARRAY_LEN(delegation_mistakes),
	    false);
}

static void
the_delegation_section_says_where_and_for_whom(void **state)
{
	struct conf_report report;
	struct conf *conf;

	(void)state;
	conf = conf_text_load(IMAP "socket_mode = 0600 socket_group = mail\n"
				   "delegation { listen = \"unix:/d\" }",
	    &report);
	assert_non_null(conf);
	assert_string_equal(conf->delegation.listen, "unix:/d");
	assert_int_equal(conf->delegation.socket_mode, 0600);
	assert_string_equal(conf->delegation.socket_group, "mail");
	conf_free(&conf);
	conf_report_clear(&report);
	conf = conf_text_load(IMAP "delegation { listen = \"inet6:1@::1\" "
				   "socket_mode = 0640 socket_group = \"\" }",
	    &report);
	assert_non_null(conf);
	assert_string_equal(conf->delegation.listen, "inet6:1@::1");
	assert_int_equal(conf->delegation.socket_mode, 0640);
	assert_string_equal(conf->delegation.socket_group, "");
	conf_free(&conf);
	conf_report_clear(&report);
	conf = conf_text_load(IMAP, &report);
	assert_non_null(conf);
	assert_null(conf->delegation.listen);
	conf_free(&conf);
	conf_report_clear(&report);
}

static const struct conf_text_row fine[] = {
	{ DELEGATION "listen = \"unix:/s\"\nsocket_mode = 0666 }",
	    "3: warning: delegation.socket_mode: 0666 lets everybody on this "
	    "host ask who may send what, and say for any client" },
	{ DELEGATION "listen = \"inet:1@localhost\" socket_mode = 0666 }",
	    NULL },
	/* warnings */
	{ INTERNAL "imap \"a\" { url = \"imaps://h\"\nverify = session }",
	    "2: warning: imap.verify: session alone and no sasl section: no "
	    "login will ever be proven (session-unproven)" },
	{ IMAP "auth { mechanisms = {plain, cram-md5} }\n"
	       "sasl \"a\" { listen = \"unix:/s\"\n"
	       "pass_through = {CRAM-MD5, XOAUTH2} }",
	    "3: warning: sasl.pass_through: XOAUTH2 is not in auth.mechanisms, "
	    "so it is not offered" },
	{ IMAP "auth { mechanisms = {xoauth2} }\n"
	       "sasl \"a\" { listen = \"unix:/s\" }",
	    "2: warning: sasl: nothing is offered: auth.mechanisms has none of "
	    "PLAIN, LOGIN and pass_through" },
	{ IMAP "auth { mechanisms = {xoauth2} }\n"
	       "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd }",
	    NULL },
	{ IMAP "\nimap \"b\" { url = \"imaps://g\"\ndomains = b.org }",
	    "3: warning: imap.domains: imap \"a\" comes before and has \"*\": "
	    "this section is never asked" },
	{ INTERNAL
	    "imap \"a\" { url = \"imaps://h\" domains = {a.org, b.org} }\n"
	    "imap \"b\" { url = \"imaps://g\" domains = {c.org, B.org} }\n"
	    "imap \"c\" { url = \"imaps://f\" }",
	    "2: warning: imap.domains: \"b.org\" is also in imap \"a\", which "
	    "comes before: this section is never asked about it" },
	{ IMAP "limits \"a\" { action = contain }",
	    "1: warning: limits: \"a\" has no counter and limits nothing; "
	    "limits \"none\" { } says so on purpose" },
	{ IMAP UNLIMITED, NULL },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\"\nplaintext_internal = true }",
	    "2: warning: sasl.plaintext_internal: internal clients may send "
	    "passwords over the network in clear text" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd\n"
	       "plaintext_internal = true }",
	    "2: warning: sasl.plaintext_internal: it has no effect with "
	    "protocol saslauthd, which tells nothing of the client" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" forward_client = true }\n"
		   "sasl \"a\" { listen = \"unix:/s\"\n"
		   "protocol = saslauthd }",
	    "3: warning: sasl.protocol: saslauthd carries no client address: "
	    "imap \"a\" with its forward_client = true is told none, and takes "
	    "this host for everybody who mistypes a password" },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" forward_client = true }\n"
		   "sasl \"a\" { listen = \"unix:/s\" }",
	    NULL },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\"\nsocket_mode = 0666 }",
	    "2: warning: sasl.socket_mode: 0666 lets everybody on this host "
	    "try passwords, and say for any client" },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" }\n"
	       "senders { check = envelope }",
	    "2: warning: senders.own: %d is any domain that a client likes: "
	    "with its login_as = \"user\", imap \"a\" takes "
	    "alice@whatever.example for alice; name its domains, instead of "
	    "\"*\"" },
	/* and no warnings */
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" }", NULL },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" }\n"
	       "senders { check = envelope own = \"%u@example.org\" }",
	    NULL },
	{ IMAP "senders { check = envelope }", NULL },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = session "
		   "domains = example.org }\n"
		   "sasl \"a\" { listen = \"unix:/s\" }"
		   "senders { check = envelope }",
	    NULL },
	{ INTERNAL "imap \"a\" { url = \"imaps://h\" verify = session "
		   "login_as = address }\n"
		   "sasl \"a\" { listen = \"unix:/s\" }"
		   "senders { check = envelope }",
	    NULL },
	{ BY_SESSION "sasl \"a\" { listen = \"unix:/s\" }", NULL },
	{ BY_SESSION "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd "
		     "proof = login }",
	    NULL },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" protocol = saslauthd }",
	    NULL },
	{ IMAP "sasl \"a\" { listen = \"unix:/s\" pass_through = {CRAM-MD5} }",
	    NULL },
	{ IMAP "sasl \"a\" { listen = \"inet:1@127.0.0.1\" socket_mode = 0666 }"
	       "sasl \"b\" { listen = \"inet:1@127.9.9.9\" }"
	       "sasl \"c\" { listen = \"inet:1@localhost\" }"
	       "sasl \"d\" { listen = \"inet6:1@localhost\" }"
	       "sasl \"e\" { listen = \"inet6:1@::1\" }"
	       "sasl \"f\" { listen = \"unix:/s@0.0.0.0\" }"
	       "sasl \"g\" { listen = \"unix:/s@0.0.0.0/t\" }",
	    NULL },
	{ IMAP "store { url = \"lmdb:\" }", NULL },
};

static void
a_warning_is_the_only_line(void **state)
{
	(void)state;
	conf_text_check(fine, ARRAY_LEN(fine), true);
}

static void
all_mistakes_of_a_section_are_reported_in_one_run(void **state)
{
	static const char text[] =
	    INTERNAL "imap \"a\" { url = \"imaps://h\" domains = \"b.org\" }\n"
		     "sasl \"a\" { listen = \"unix:s\"\n"
		     "socket_mode = 1\n"
		     "pass_through = {CRAM-MD5}\n"
		     "proof = login }\n"
		     "guessing { delay = 1d\n"
		     "spare = x }\n";
	struct conf_report report;

	(void)state;
	assert_null(conf_text_load(text, &report));
	if (report.errors != 6)
		conf_text_print(&report);
	assert_int_equal(report.errors, 6);
	for (size_t i = 0; i < 6; i++) {
		static const unsigned int lines[] = { 2, 3, 5, 4, 6, 7 };
		char start[32];

		(void)snprintf(start, sizeof(start), "t:%u: error: ", lines[i]);
		if (strncmp(report.lines[i], start, strlen(start)) != 0)
			print_error("line %zu: want %s\n", i, start);
		assert_memory_equal(report.lines[i], start, strlen(start));
	}
	conf_report_clear(&report);
}

static void
what_is_set_arrives_whole(void **state)
{
	static const char text[] = INTERNAL
	    "socket_mode = 0640 socket_group = \"mail\"\n"
	    "imap \"a\" { url = \"imaps://h\" verify = {proxy, session}\n"
	    "  domains = a.org forward_client = true proxy_password_file = \"/s\" }\n"
	    "imap \"b\" { url = \"imaps://h\" verify = session\n"
	    "  proxy_password_file = \"/s\" }\n"
	    "sasl \"x\" { listen = \"inet:4190@127.0.0.1\"\n"
	    "  pass_through = {xoauth2, \"SCRAM-SHA-1\"} }\n"
	    "sasl \"y\" { listen = \"unix:/s\" protocol = saslauthd\n"
	    "  proof = login socket_mode = 0600 socket_group = \"\" }\n"
	    "identity { session_ttl = 1m grace = 7d }\n"
	    "guessing { per_address = \"1/1s\" per_network = \"10000/7d\"\n"
	    "  per_login = \"9/90s\" delay = 0s spare = 0s }\n"
	    "store { url = \"lmdb:/var/x\" }\n";
	struct conf_report report;
	struct conf *c = conf_text_load(text, &report);

	(void)state;
	if (c == NULL || report.count != 1)
		conf_text_print(&report);
	assert_non_null(c);
	assert_int_equal(report.count, 1); /* of forward_client and saslauthd */
	assert_int_equal(c->imaps[0].verify[0], VERIFY_PROXY);
	assert_int_equal(c->imaps[0].verify[1], VERIFY_SESSION);
	assert_true(c->imaps[0].forward_client);
	assert_string_not_equal(c->imaps[0].proxy_password, "");
	assert_int_equal(c->imaps[1].verify[0], VERIFY_SESSION);
	assert_int_equal(c->imaps[1].verify[1], VERIFY_NONE);
	assert_string_equal(c->imaps[1].proxy_password, "");

	assert_int_equal(c->sasl_count, 2);
	assert_string_equal(c->sasls[0].name, "x");
	assert_int_equal(c->sasls[0].protocol, SASL_PROTOCOL_DOVECOT);
	assert_string_equal(c->sasls[0].listen, "inet:4190@127.0.0.1");
	assert_int_equal(c->sasls[0].socket_mode, 0640);
	assert_string_equal(c->sasls[0].socket_group, "mail");
	assert_int_equal(c->sasls[0].pass_through,
	    SASL_BIT(SASL_XOAUTH2) | SASL_BIT(SASL_SCRAM_SHA_1));
	assert_false(c->sasls[0].plaintext_internal);
	assert_int_equal(c->sasls[0].proof, SASL_PROOF_ADDRESS);
	assert_string_equal(c->sasls[1].name, "y");
	assert_int_equal(c->sasls[1].protocol, SASL_PROTOCOL_SASLAUTHD);
	assert_string_equal(c->sasls[1].listen, "unix:/s");
	assert_int_equal(c->sasls[1].socket_mode, 0600);
	assert_string_equal(c->sasls[1].socket_group, "");
	assert_int_equal(c->sasls[1].pass_through, 0);
	assert_int_equal(c->sasls[1].proof, SASL_PROOF_LOGIN);

	assert_int_equal(c->identity_session_ttl_ms, 60000);
	assert_int_equal(c->identity_grace_ms, 604800000);
	assert_int_equal(c->guessing.per_address.count, 1);
	assert_int_equal(c->guessing.per_address.window_ms, 1000);
	assert_int_equal(c->guessing.per_network.count, 10000);
	assert_int_equal(c->guessing.per_network.window_ms, 604800000);
	assert_int_equal(c->guessing.per_login.count, 9);
	assert_int_equal(c->guessing.per_login.window_ms, 90000);
	assert_int_equal(c->guessing.delay_ms, 0);
	assert_int_equal(c->guessing.spare_ms, 0);
	assert_string_equal(c->store_url, "lmdb:/var/x");
	conf_free(&c);
	conf_report_clear(&report);
}

static void
what_is_not_set_has_its_default(void **state)
{
	struct conf_report report;
	struct conf *c =
	    conf_text_load(IMAP "sasl \"m\" { listen = \"unix:/s\" }", &report);

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->imaps[0].verify[0], VERIFY_SESSION);
	assert_int_equal(c->imaps[0].verify[1], VERIFY_PROXY);
	assert_false(c->imaps[0].forward_client);
	assert_int_equal(c->sasls[0].protocol, SASL_PROTOCOL_DOVECOT);
	assert_int_equal(c->sasls[0].socket_mode, 0660);
	assert_string_equal(c->sasls[0].socket_group, "postfix");
	assert_int_equal(c->sasls[0].pass_through, 0);
	assert_false(c->sasls[0].plaintext_internal);
	assert_int_equal(c->sasls[0].proof, SASL_PROOF_ADDRESS);
	assert_int_equal(c->identity_session_ttl_ms, 28800000);
	assert_int_equal(c->identity_grace_ms, 0);
	assert_int_equal(c->guessing.per_address.count, 20);
	assert_int_equal(c->guessing.per_address.window_ms, 600000);
	assert_int_equal(c->guessing.per_network.count, 60);
	assert_int_equal(c->guessing.per_network.window_ms, 600000);
	assert_int_equal(c->guessing.per_login.count, 30);
	assert_int_equal(c->guessing.per_login.window_ms, 3600000);
	assert_int_equal(c->guessing.delay_ms, 2000);
	assert_int_equal(c->guessing.spare_ms, 86400000);
	assert_string_equal(c->store_url, "lmdb:");
	conf_free(&c);
	conf_report_clear(&report);
}

static void
a_store_is_needed_for_proofs_and_limits(void **state)
{
	static const struct {
		const char *text;
		bool needed;
	} rows[] = {
		{ "user = a", true }, /* limits are on unless told otherwise */
		{ UNLIMITED "user = a", false },
		{ UNLIMITED IMAP, false },
		{ UNLIMITED BY_SESSION, false },
		{ UNLIMITED "sasl \"a\" { listen = \"unix:/s\" }", false },
		{ UNLIMITED IMAP "sasl \"a\" { listen = \"unix:/s\" }", true },
		{ UNLIMITED BY_SESSION "sasl \"a\" { listen = \"unix:/s\" }",
		    true },
		{ UNLIMITED "imap \"a\" { url = \"imaps://h\" verify = proxy } "
			    "sasl \"a\" { listen = \"unix:/s\" }",
		    false },
		{ UNLIMITED
		    "imap \"a\" { url = \"imaps://h\" verify = proxy } "
		    "imap \"b\" { url = \"imaps://h\" verify = {proxy, session} }"
		    "sasl \"a\" { listen = \"unix:/s\" }",
		    true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_report report;
		struct conf *c = conf_text_load(rows[i].text, &report);

		assert_non_null(c);
		if (conf_needs_store(c) != rows[i].needed)
			print_error("row %zu: want %d\n", i, rows[i].needed);
		assert_int_equal(conf_needs_store(c), rows[i].needed);
		conf_free(&c);
		conf_report_clear(&report);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mistake_in_a_sasl_section_is_one_error),
		cmocka_unit_test(a_mistake_in_what_hangs_on_it_is_one_error),
		cmocka_unit_test(
		    a_mistake_in_the_delegation_section_is_one_error),
		cmocka_unit_test(
		    the_delegation_section_says_where_and_for_whom),
		cmocka_unit_test(a_warning_is_the_only_line),
		cmocka_unit_test(
		    all_mistakes_of_a_section_are_reported_in_one_run),
		cmocka_unit_test(what_is_set_arrives_whole),
		cmocka_unit_test(what_is_not_set_has_its_default),
		cmocka_unit_test(a_store_is_needed_for_proofs_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
