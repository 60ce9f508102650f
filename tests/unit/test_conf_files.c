/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a configuration file names: secrets, CA files and maps, and the host
 * that it is loaded on. Everything is made in a directory of its own.
 */
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/load.h"
#include "tests/unit/conf_text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct dir {
	char path[256];
	char text[1024]; /* of file() */
};

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct dir *dir = calloc(1, sizeof(*dir));

	assert_non_null(dir);
	(void)snprintf(dir->path, sizeof(dir->path), "%s/postern-conf.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir->path));
	*state = dir;
	return 0;
}

/* Files are made under these names only. */
static const char *const names[] = { "conf", "secret", "ca", "map",
	"proc/route", "proc/ipv6_route", "sys/br0/bridge", "sys/br0", "sys",
	"proc" };

static const char *
file(struct dir *dir, const char *name)
{
	(void)snprintf(dir->text, sizeof(dir->text), "%s/%s", dir->path, name);
	return dir->text;
}

static int
remove_dir(void **state)
{
	struct dir *dir = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)remove(file(dir, names[i]));
	assert_int_equal(rmdir(dir->path), 0);
	free(dir);
	return 0;
}

static void
write_file(struct dir *dir, const char *name, mode_t mode, const char *text,
    size_t len)
{
	const char *path = file(dir, name);
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static struct conf *
load_with_files(struct dir *dir, struct conf_report *report)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "internal = ::1 user = %s listen = \"inet:8891@127.0.0.1\"\n"
	    "auth { realm = example.org }\n"
	    "imap \"a\" { url = \"imaps://h\"\n"
	    "  ca_file = \"%s/ca\"\n"
	    "  proxy_password_file = \"%s/secret\" }\n"
	    "senders { map = \"%s/map\" }\n",
	    getpwuid(geteuid())->pw_name, dir->path, dir->path, dir->path);
	write_file(dir, "conf", 0644, text, strlen(text));
	memset(report, 0, sizeof(*report));
	return conf_load(file(dir, "conf"), report);
}

static void
write_good_files(struct dir *dir)
{
	write_file(dir, "ca", 0644, "x", 1);
	write_file(dir, "secret", 0600, "hunter2\n", 8);
	write_file(dir, "map", 0644, "sales@example.org alice\n", 24);
}

static void
a_configuration_is_readable_while_its_files_are(void **state)
{
	static const char *const needed[] = { "conf", "secret", "ca", "map" };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		struct conf_report report;
		struct conf *conf;

		write_good_files(*state);
		conf = load_with_files(*state, &report);
		assert_non_null(conf);
		assert_true(conf_is_readable(conf));
		assert_int_equal(remove(file(*state, needed[i])), 0);
		if (conf_is_readable(conf))
			fail_msg("%s is gone, and not missed", needed[i]);
		conf_free(&conf);
		conf_report_clear(&report);
	}
}

static char long_secret[1030];

static const struct {
	const char *text;
	size_t len;
	mode_t mode;
	const char *secret; /* NULL: refused */
	const char *reason;
} secrets[] = {
	{ "hunter2\n", 8, 0600, "hunter2", NULL },
	{ "hunter2", 7, 0400, "hunter2", NULL },
	{ "hunter2\r\n", 9, 0600, "hunter2", NULL },
	{ " hunter 2 \n", 11, 0600, " hunter 2 ", NULL },
	{ long_secret, 1024, 0600, long_secret + 4, NULL },
	{ "hunter2\n", 8, 0644, NULL, "its mode is 0644" },
	{ "hunter2\n", 8, 0640, NULL, "its mode is 0640" },
	{ "hunter2\n", 8, 0604, NULL, "its mode is 0604" },
	{ "", 0, 0600, NULL, "there is no secret" },
	{ "\n", 1, 0600, NULL, "there is no secret" },
	{ "a\n\n", 3, 0600, NULL, "more than one line" },
	{ "a\nb", 3, 0600, NULL, "more than one line" },
	{ "a\rb\n", 4, 0600, NULL, "more than one line" },
	{ "a\0b\n", 4, 0600, NULL, "or a NUL" },
	{ long_secret, 1025, 0600, NULL, "longer than 1024" },
	{ long_secret, 1028, 0600, NULL, "longer than 1024" },
};

static void
a_secret_is_private_and_one_line(void **state)
{
	struct dir *dir = *state;
	unsigned int failures = 0;

	memset(long_secret, 's', sizeof(long_secret) - 1);
	write_good_files(dir);
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		struct conf_report report;
		struct conf *conf;
		const char *want = secrets[i].secret;
		char start[600];
		bool ok;

		if (want == long_secret + 4)
			want = long_secret + sizeof(long_secret) - 1 - 1024;
		write_file(dir, "secret", secrets[i].mode, secrets[i].text,
		    secrets[i].len);
		conf = load_with_files(dir, &report);
		if (want != NULL) {
			ok = conf != NULL &&
			    strcmp(conf->imaps[0].proxy_password, want) == 0;
		} else {
			(void)snprintf(start, sizeof(start),
			    "%s/conf:5: error: imap.proxy_password_file: ",
			    dir->path);
			ok = conf == NULL && report.errors == 1 &&
			    strncmp(report.lines[0], start, strlen(start)) ==
				0 &&
			    strstr(report.lines[0], secrets[i].reason) != NULL;
		}
		if (!ok) {
			print_error("row %zu, want %s\n", i,
			    want != NULL ? want : secrets[i].reason);
			conf_text_print(&report);
			failures++;
		}
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}

/* Whoever asks nobody by proxy need not have a password for it. */
static void
a_secret_is_read_for_proxy_only(void **state)
{
	static const struct {
		const char *verify;
		bool read;
	} rows[] = {
		{ "{session}", false },
		{ "{proxy}", true },
		{ "{session, proxy}", true },
		{ "{proxy, session}", true },
	};
	struct dir *dir = *state;
	char text[1024];

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		bool there = i % 2 == 0, read = rows[i / 2].read;
		struct conf_report report = { NULL, 0, 0 };
		struct conf *conf;

		write_good_files(dir);
		if (!there)
			assert_int_equal(unlink(file(dir, "secret")), 0);
		(void)snprintf(text, sizeof(text),
		    "sasl \"a\" { listen = \"unix:/s\" }\n"
		    "imap \"a\" { url = \"imaps://h\" verify = %s\n"
		    "  ca_file = \"%s/ca\"\n"
		    "  proxy_password_file = \"%s/secret\" }\n",
		    rows[i / 2].verify, dir->path, dir->path);
		write_file(dir, "conf", 0600, text, strlen(text));
		conf = conf_load(file(dir, "conf"), &report);
		if ((conf != NULL) != (there || !read)) {
			print_error("row %zu: want %d\n", i, there || !read);
			conf_text_print(&report);
		}
		assert_int_equal(conf != NULL, there || !read);
		if (conf != NULL)
			assert_string_equal(conf->imaps[0].proxy_password,
			    read ? "hunter2" : "");
		conf_free(&conf);
		conf_report_clear(&report);
	}
}

static void
a_secret_is_a_regular_file(void **state)
{
	struct dir *dir = *state;
	struct conf_report report;

	write_good_files(dir);
	(void)unlink(file(dir, "secret"));
	assert_int_equal(mkfifo(file(dir, "secret"), 0600), 0);
	assert_null(load_with_files(dir, &report));
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(report.lines[0], "not a regular file"));
	conf_report_clear(&report);
}

/* Who opened a FIFO to read would wait for a writer: alarm() ends that. */
static void
a_configuration_and_a_map_are_regular_files(void **state)
{
	struct dir *dir = *state;
	struct conf_report report;
	char want[1024];

	(void)alarm(10);
	write_good_files(dir);
	(void)unlink(file(dir, "map"));
	assert_int_equal(mkfifo(file(dir, "map"), 0600), 0);
	assert_null(load_with_files(dir, &report));
	(void)snprintf(want, sizeof(want),
	    "%s/conf:6: error: senders.map: \"%s/map\": not a regular file; "
	    "allowed: a file that postern can read",
	    dir->path, dir->path);
	if (report.errors != 1 || !conf_text_reported(&report, want)) {
		print_error("want %s\n", want);
		conf_text_print(&report);
	}
	assert_int_equal(report.errors, 1);
	assert_true(conf_text_reported(&report, want));
	conf_report_clear(&report);

	assert_int_equal(unlink(file(dir, "conf")), 0);
	assert_int_equal(mkfifo(file(dir, "conf"), 0600), 0);
	assert_null(conf_load(file(dir, "conf"), &report));
	if (report.errors != 1 ||
	    strstr(report.lines[0], "not a regular file") == NULL)
		conf_text_print(&report);
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(report.lines[0], "/conf:1: error: file: "));
	assert_non_null(strstr(report.lines[0], "not a regular file"));
	conf_report_clear(&report);
	(void)alarm(0);
}

static void
files_that_are_not_there_are_errors(void **state)
{
	struct dir *dir = *state;
	struct conf_report report;
	char want[3][1024];

	assert_null(load_with_files(dir, &report));
	(void)snprintf(want[0], sizeof(want[0]),
	    "%s/conf:4: error: imap.ca_file: \"%s/ca\": No such file or "
	    "directory; allowed: a file of CA certificates in PEM that postern "
	    "can read",
	    dir->path, dir->path);
	(void)snprintf(want[1], sizeof(want[1]),
	    "%s/conf:5: error: imap.proxy_password_file: \"%s/secret\": No "
	    "such file or directory; allowed: a file with the password of "
	    "proxy_user in one line of 1 to 1024 octets, readable to "
	    "postern's user alone (mode 0600 or 0400)",
	    dir->path, dir->path);
	(void)snprintf(want[2], sizeof(want[2]),
	    "%s/conf:6: error: senders.map: \"%s/map\": No such file or "
	    "directory; allowed: a file that postern can read",
	    dir->path, dir->path);
	if (report.errors != 3)
		conf_text_print(&report);
	assert_int_equal(report.errors, 3);
	for (size_t i = 0; i < 3; i++) {
		if (!conf_text_reported(&report, want[i]))
			print_error("want %s\n got %s\n", want[i],
			    report.lines[i]);
		assert_true(conf_text_reported(&report, want[i]));
	}
	conf_report_clear(&report);

	assert_null(conf_load(file(dir, "nothing"), &report));
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(report.lines[0],
	    "/nothing:1: error: file: it cannot be read: No"));
	conf_report_clear(&report);
	assert_null(conf_load(dir->path, &report));
	assert_int_equal(report.errors, 1);
	conf_report_clear(&report);
}

/* What the start would stumble over is told beforehand. */
static void
what_this_host_does_not_have_is_warned_of(void **state)
{
	struct dir *dir = *state;
	static const char text[] =
	    "internal = ::1\n"
	    "user = no-such-user\n"
	    "socket_group = no-such-group\n"
	    "listen = \"unix:/no/such/directory/sock\"\n"
	    "sasl \"a\" {\n"
	    "listen = \"unix:/no/such/place/sasl\"\n"
	    "socket_group = no-such-club }\n"
	    "sasl \"b\" { listen = \"inet:4190@127.0.0.1\"\n"
	    "socket_group = no-such-team }\n";
	static const char *const want[] = {
		":2: warning: user: there is no user \"no-such-user\"",
		":3: warning: socket_group: there is no group "
		"\"no-such-group\"",
		":4: warning: listen: the directory "
		"\"/no/such/directory/\" is not there",
		":1: warning: file: ",
		":6: warning: sasl.listen: the directory "
		"\"/no/such/place/\" is not there",
		":7: warning: sasl.socket_group: there is no group "
		"\"no-such-club\"",
	};
	struct conf_report report = { 0 };
	struct conf *conf;

	write_file(dir, "conf", 0646, text, sizeof(text) - 1);
	conf = conf_load(file(dir, "conf"), &report);
	assert_non_null(conf);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		bool found = false;

		for (size_t k = 0; k < report.count; k++)
			found =
			    found || strstr(report.lines[k], want[i]) != NULL;
		if (!found)
			fail_msg("no warning like %s", want[i]);
	}
	/* a TCP socket has no group */
	for (size_t k = 0; k < report.count; k++)
		assert_null(strstr(report.lines[k], "no-such-team"));
	conf_free(&conf);
	conf_report_clear(&report);
}

/* As nobody, the daemon could not write where root alone may. */
static void
a_directory_that_the_user_cannot_write_is_warned_of(void **state)
{
	struct dir *dir = *state;
	static const char *const texts[][2] = {
		{ "state_dir = \"/usr\"\n", ":3: warning: state_dir: " },
		{ "store { url = \"lmdb:/usr\" }\n",
		    ":3: warning: store.url: " },
		{ "store { url = \"lmdb:/no/such\" }\n",
		    ":3: warning: store.url: \"/no/such\": No such file" },
		{ "limits \"none\" {} state_dir = \"/usr\"\n", NULL },
		{ "state_dir = \"/tmp\"\n", NULL },
		{ "state_dir = \"/no/such/directory\"\n", NULL },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conf_report report = { 0 };
		struct conf *conf;
		bool found = false;
		char text[200];
		int len = snprintf(text, sizeof(text),
		    "internal = ::1\nuser = nobody\n%s", texts[i][0]);

		write_file(dir, "conf", 0644, text, (size_t)len);
		conf = conf_load(file(dir, "conf"), &report);
		assert_non_null(conf);
		for (size_t k = 0; k < report.count; k++)
			found = found ||
			    strstr(report.lines[k],
				texts[i][1] == NULL ? "cannot write there"
						    : texts[i][1]) != NULL;
		if (found != (texts[i][1] != NULL))
			fail_msg("row %zu: warned %d", i, found);
		conf_free(&conf);
		conf_report_clear(&report);
	}
}

static void
a_command_that_the_user_cannot_run_is_warned_of(void **state)
{
	static const struct {
		const char *command;
		const char *want; /* NULL: no warning */
	} rows[] = {
		{ "/no/such", ": No such file or directory; nobody would" },
		{ "/etc/passwd", ": user \"nobody\" cannot run it (owner 0" },
		{ "/usr", ": user \"nobody\" cannot run it (owner 0" },
		{ "/bin/true", NULL },
		{ "", NULL },
	};
	struct dir *dir = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf_report report = { 0 };
		struct conf *conf;
		const char *said = NULL;
		char text[200];
		int len = snprintf(text, sizeof(text),
		    "user = nobody\ncontain { command = \"%s\" }\n",
		    rows[i].command);

		write_file(dir, "conf", 0644, text, (size_t)len);
		conf = conf_load(file(dir, "conf"), &report);
		assert_non_null(conf);
		for (size_t k = 0; k < report.count && said == NULL; k++)
			said = strstr(report.lines[k],
			    ":2: warning: contain.command: ");
		if ((said != NULL) != (rows[i].want != NULL) ||
		    (said != NULL && strstr(said, rows[i].want) == NULL))
			fail_msg("%s: got %s, want %s", rows[i].command,
			    said != NULL ? said : "nothing",
			    rows[i].want != NULL ? rows[i].want : "nothing");
		conf_free(&conf);
		conf_report_clear(&report);
	}
}

static void
a_map_is_read_and_its_errors_name_its_lines(void **state)
{
	struct dir *dir = *state;
	struct conf_report report;
	struct conf *conf;
	struct login login;
	struct path path;
	char start[600];

	write_good_files(dir);
	conf = load_with_files(dir, &report);
	if (conf == NULL)
		conf_text_print(&report);
	assert_non_null(conf);
	assert_int_equal(login_normalise("alice@example.org", 17, "", &login),
	    0);
	path_parse_mailbox("sales@example.org", 17, &path);
	assert_true(owners_own(conf->policy.owners, &login, &path));
	conf_free(&conf);
	conf_report_clear(&report);

	write_file(dir, "map", 0644, "# one\nsales@example.org\n", 24);
	assert_null(load_with_files(dir, &report));
	(void)snprintf(start, sizeof(start),
	    "%s/map:2: error: senders.map: ", dir->path);
	assert_int_equal(report.errors, 1);
	if (strncmp(report.lines[0], start, strlen(start)) != 0)
		conf_text_print(&report);
	assert_int_equal(strncmp(report.lines[0], start, strlen(start)), 0);
	conf_report_clear(&report);
}

/* --- this host's gateways and bridges --- */

static struct sockaddr_in bridge_address;
static struct ifaddrs bridge = {
	.ifa_name = (char[]){ "br0" },
	.ifa_addr = (struct sockaddr *)(void *)&bridge_address,
};
static struct ifaddrs no_bridge = {
	.ifa_next = &bridge,
	.ifa_name = (char[]){ "eth0" },
	.ifa_addr = (struct sockaddr *)(void *)&bridge_address,
};

static int
get_addresses(struct ifaddrs **list_r)
{
	bridge_address.sin_family = AF_INET;
	bridge_address.sin_addr.s_addr = inet_addr("172.17.0.1");
	*list_r = &no_bridge;
	return 0;
}

static void
free_addresses(struct ifaddrs *list)
{
	assert_ptr_equal(list, &no_bridge);
}

static const struct {
	const char *text;
	const char *want[3]; /* after "t:" */
} hosts[] = {
	{ "internal = {192.0.2.0/24}",
	    { "1: warning: internal: 192.0.2.0/24 contains 192.0.2.1, the "
	      "default gateway on eth0 of this host; if it speaks for others, "
	      "exclude it with \"!192.0.2.1\"" } },
	{ "internal = {10.0.0.0/8,\n\"::ffff:192.0.2.0/120\"}",
	    { "2: warning: internal: 192.0.2.0/24 contains 192.0.2.1, the "
	      "default gateway on eth0 of this host; if it speaks for others, "
	      "exclude it with \"!192.0.2.1\"" } },
	{ "internal = {10.0.0.0/8,\n172.16.0.0/12,\nfe80::/10}",
	    { "2: warning: internal: 172.16.0.0/12 contains 172.17.0.1, the "
	      "address of bridge br0 of this host; if it speaks for others, "
	      "exclude it with \"!172.17.0.1\"",
		"3: warning: internal: fe80::/10 contains fe80::1, the default "
		"gateway on eth0 of this host; if it speaks for others, "
		"exclude it with \"!fe80::1\"" } },
	{ "internal = {192.0.2.0/24, \"!192.0.2.1\", \"!172.17.0.1\", "
	  "172.16.0.0/12, fe80::/10, \"!fe80::1\"}",
	    { NULL } },
	{ "internal = {10.0.0.0/8}", { NULL } },
};

static void
gateways_and_bridges_are_warned_of(void **state)
{
	static const char route[] =
	    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
	    "eth0\t0002000A\t0102000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	    "eth0\t00000000\t%08X\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
	static const char route6[] =
	    "00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 00 "
	    "fe800000000000000000000000000001 00000400 00000001 00000000 "
	    "00000003     eth0\n"
	    "00000000000000000000000000000000 00 "
	    "00000000000000000000000000000000 00 "
	    "fe800000000000000000000000000002 ffffffff 00000001 00000000 "
	    "00200200       lo\n";
	struct dir *dir = *state;
	char proc[300], sys[300], text[512];
	unsigned int failures = 0;
	const struct hostnet_source source = { .proc_net = proc,
		.sys_net = sys,
		.get_addresses = get_addresses,
		.free_addresses = free_addresses };
	const struct conf_env env = { .host = &source, .no_files = true };

	(void)snprintf(proc, sizeof(proc), "%s/proc", dir->path);
	(void)snprintf(sys, sizeof(sys), "%s/sys", dir->path);
	assert_int_equal(mkdir(proc, 0700), 0);
	assert_int_equal(mkdir(sys, 0700), 0);
	assert_int_equal(mkdir(file(dir, "sys/br0"), 0700), 0);
	assert_int_equal(mkdir(file(dir, "sys/br0/bridge"), 0700), 0);
	(void)snprintf(text, sizeof(text), route, inet_addr("192.0.2.1"));
	write_file(dir, "proc/route", 0600, text, strlen(text));
	write_file(dir, "proc/ipv6_route", 0600, route6, sizeof(route6) - 1);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct conf_report report = { NULL, 0, 0 };
		struct conf *conf = conf_load_text("t", hosts[i].text,
		    strlen(hosts[i].text), &env, &report);
		size_t want = 0, got = 0;

		for (; hosts[i].want[want] != NULL; want++) {
			char line[512];

			(void)snprintf(line, sizeof(line), "t:%s",
			    hosts[i].want[want]);
			if (!conf_text_reported(&report, line)) {
				print_error("row %zu, want %s\n", i, line);
				failures++;
			}
		}
		for (size_t k = 0; k < report.count; k++)
			got += strstr(report.lines[k], "internal") != NULL;
		if (conf == NULL || got != want || failures > 0)
			conf_text_print(&report);
		assert_non_null(conf);
		assert_int_equal(got, want);
		conf_free(&conf);
		conf_report_clear(&report);
	}
	assert_int_equal(failures, 0);
}

#define WITH_DIR(test) \
 cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(a_configuration_is_readable_while_its_files_are),
		WITH_DIR(a_secret_is_private_and_one_line),
		WITH_DIR(a_secret_is_read_for_proxy_only),
		WITH_DIR(a_secret_is_a_regular_file),
		WITH_DIR(a_configuration_and_a_map_are_regular_files),
		WITH_DIR(files_that_are_not_there_are_errors),
		WITH_DIR(what_this_host_does_not_have_is_warned_of),
		WITH_DIR(a_directory_that_the_user_cannot_write_is_warned_of),
		WITH_DIR(a_command_that_the_user_cannot_run_is_warned_of),
		WITH_DIR(a_map_is_read_and_its_errors_name_its_lines),
		WITH_DIR(gateways_and_bridges_are_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
