/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in a file of LMDB: what becomes of it when the disk is full, the
 * file damaged, or the place wrong.
 */
#undef _FILE_OFFSET_BITS /* pwrite() shall be LMDB's */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/lmdb.h"
#include "store/place.h"
#include "tests/lib/stores.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DAY          (UINT64_C(24) * 60 * 60 * 1000)

static char dir[TREE_SIZE];
static char path[96];
static struct store *
reopen_limited(struct store **old, const struct store_limits *limits)
{
	const struct store_options options = {
		.url = "lmdb:",
		.state_dir = dir,
		.report = said_note,
	};
	struct err e = { "" };
	struct store *store;

	if (old != NULL)
		store_close(old);
	store = limits == NULL ? store_open(&options, &e)
			       : lmdb_open_limited(&options, limits, &e);
	if (store == NULL)
		fail_msg("cannot open: %s", e.text);
	return store;
}

static struct store *
reopen(struct store **old)
{
	return reopen_limited(old, NULL);
}

static int
begin(void **state)
{
	(void)state;
	if (tree_make(dir) != 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/store.mdb", dir);
	said_clear();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	return tree_remove(dir);
}

static long long
size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? (long long)st.st_size : -1;
}

/* A day of a busy host, in which everybody comes from a new address. */
static void
what_comes_and_goes_leaves_a_bounded_file(void **state)
{
	const unsigned int rounds = 20, each = 10000;
	struct store *store = reopen(NULL);
	struct listing l = { .count = 0 };
	struct err e = { "" };
	long long early = 0;

	(void)state;
	for (unsigned int round = 0; round < rounds; round++) {
		uint64_t now = (round + 1) * DAY;

		for (unsigned int i = 0; i < each; i++) {
			unsigned int n = round * each + i;
			struct netaddr from = { .family = NETADDR_INET };
			struct login who = login_number(n % 1000);

			memcpy(from.octets, &n, sizeof(n));
			assert_int_equal(
			    store_proof_put(store, &who, &from, now), 0);
		}
		assert_int_equal(store_flush(store, 20000), 0);
		store_tend(store, DAY / 2, now);
		assert_int_equal(store_flush(store, 20000), 0);
		if (round == 3)
			early = size_of(path);
	}
	assert_int_equal(store_proof_list(store, listing_add, &l, &e), 0);
	print_message("%u proofs came and went: %lld KiB after 4 rounds, %lld "
		      "after %u; %d are left\n",
	    rounds * each, early / 1024, size_of(path) / 1024, rounds, l.count);
	assert_in_range(l.count, each, 3 * each);
	assert_true(size_of(path) <= 2 * early);
	/* the look goes round: in the end all are gone */
	for (unsigned int i = 0; i < 4; i++) {
		store_tend(store, 1, (rounds + 2) * DAY);
		assert_int_equal(store_flush(store, 20000), 0);
	}
	memset(&l, 0, sizeof(l));
	assert_int_equal(store_proof_list(store, listing_add, &l, &e), 0);
	assert_int_equal(l.count, 0);
	store_close(&store);
}

static void
fresh_proofs_survive_the_tending(void **state)
{
	struct store *store = reopen(NULL);

	(void)state;
	assert_int_equal(proof_put(store, "old@x.org", "-", 1000), 0);
	assert_int_equal(proof_put(store, "edge@x.org", "-", 1100), 0);
	assert_int_equal(proof_put(store, "new@x.org", "-", 1101), 0);
	assert_int_equal(proof_put(store, "soon@x.org", "-", 5000), 0);
	assert_int_equal(proof_put(store, "never@x.org", "-", 1200 + 2 * DAY),
	    0);
	assert_int_equal(store_flush(store, 10000), 0);
	store_tend(store, 100, 1200);
	assert_int_equal(store_flush(store, 10000), 0);
	assert_int_equal(proof_get(store, "old@x.org", "-", DAY, 1200), TRI_NO);
	assert_int_equal(proof_get(store, "edge@x.org", "-", DAY, 1200),
	    TRI_YES);
	assert_int_equal(proof_get(store, "new@x.org", "-", DAY, 1200),
	    TRI_YES);
	assert_int_equal(proof_get(store, "soon@x.org", "-", DAY, 5000),
	    TRI_YES);
	/* made by a clock that was wrong */
	assert_int_equal(
	    proof_get(store, "never@x.org", "-", DAY, 1200 + 2 * DAY), TRI_NO);
	store_close(&store);
}

/* Files may not grow any more; it is a full disk to whoever writes. */
static void
disk_full(bool full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? (rlim_t)size_of(path) : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
full_disk_holds_nobody_up(void **state)
{
	struct store *store;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	store = reopen(NULL);
	assert_int_equal(store_flush(store, 10000), 0);
	disk_full(true);
	for (unsigned int i = 0; i < 5000; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_put(store, &who, NULL, 1000), 0);
	}
	assert_int_equal(store_flush(store, 10000), -1);
	assert_true(said_times("2:") > 0);
	assert_true(said_times("cannot be written: File too large") > 0);
	for (unsigned int i = 0; i < 5000; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_get(store, &who, NULL, 10, 1000),
		    TRI_YES);
	}
	disk_full(false);
	assert_int_equal(store_flush(store, 10000), 0);
	store = reopen(&store);
	assert_true(said_times("0:") > 0);
	assert_true(said_times("can be written again") > 0);
	for (unsigned int i = 0; i < 5000; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_get(store, &who, NULL, 10, 1000),
		    TRI_YES);
	}
	store_close(&store);
}

static uint64_t
left_of(struct store *store, const char *key, const struct store_rate *rate,
    uint64_t now)
{
	uint64_t left = 0;

	assert_int_equal(store_rate_take(store, key, rate, 0, now, &left, NULL),
	    STORE_TAKEN);
	return left;
}

static void
counting_goes_on_while_the_disk_is_full(void **state)
{
	const struct store_rate rate = { 10, 3600000 };
	struct store *store;
	char key[32];

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	store = reopen(NULL);
	assert_int_equal(store_flush(store, 10000), 0);
	disk_full(true);
	for (unsigned int i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		for (unsigned int n = 0; n < 11; n++)
			assert_int_equal(store_rate_take(store, key, &rate, 1,
					     1000, NULL, NULL),
			    n < 10 ? STORE_TAKEN : STORE_OVER);
	}
	assert_int_equal(store_flush(store, 10000), -1);
	assert_true(said_times("cannot be written: File too large") > 0);
	assert_int_equal(left_of(store, "k4999", &rate, 1000), 0);
	disk_full(false);
	assert_int_equal(store_flush(store, 10000), 0);
	store = reopen(&store);
	assert_int_equal(left_of(store, "k0", &rate, 1000), 0);
	assert_int_equal(left_of(store, "k4999", &rate, 1000), 0);
	store_close(&store);
}

/* Memory holds a few of them; the others are in the file, and come back. */
static void
counters_that_rest_are_in_the_file(void **state)
{
	const struct store_limits limits = { 64 << 20, 100000,
		10000 * OVERLAY_ENTRY_SIZE, 100 * OVERLAY_ENTRY_SIZE };
	const struct store_rate rate = { 1000, 3600000 };
	struct store *store = reopen_limited(NULL, &limits);
	char key[32];

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 2000; i++) {
			(void)snprintf(key, sizeof(key), "k%u", i);
			assert_int_equal(left_of(store, key, &rate, 1000),
			    1000 - round * (1 + i % 7));
			assert_int_equal(store_rate_take(store, key, &rate,
					     1 + i % 7, 1000, NULL, NULL),
			    STORE_TAKEN);
			/* before more wait than there is room for */
			if (i % 50 == 49)
				assert_int_equal(store_flush(store, 10000), 0);
		}
	}
	assert_false(said_times("2:") > 0);
	assert_true(overlay_count(((struct lmdb *)store)->counters) <= 100);
	store_close(&store);
}

/* A full file refuses counters first: what contains an abuser is kept. */
static void
full_file_keeps_what_matters(void **state)
{
	const struct store_limits limits = { 64 << 20, 1000,
		10000 * OVERLAY_ENTRY_SIZE, 10000 * OVERLAY_ENTRY_SIZE };
	const struct store_rate rate = { 10, 3600000 };
	struct store *store = reopen_limited(NULL, &limits);
	char key[32], value[STORE_STATE_MAX];
	size_t len;

	(void)state;
	for (unsigned int i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(
		    store_rate_take(store, key, &rate, 4, 1000, NULL, NULL),
		    STORE_TAKEN);
	}
	assert_int_equal(store_flush(store, 10000), 0);
	assert_true(said_times("counters begin anew") > 0);
	assert_int_equal(left_of(store, "k1999", &rate, 1000), 6);
	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "s%u", i);
		assert_int_equal(store_state_put(store, key, "shut", 4, 90000),
		    0);
	}
	assert_int_equal(store_flush(store, 10000), 0);
	store = reopen_limited(&store, &limits);
	assert_int_equal(store_state_get(store, "s199", 1000, value, &len), 1);
	assert_int_equal(left_of(store, "k0", &rate, 1000), 6);
	store_close(&store);
}

static size_t
resident_kib(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	(void)fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Each takes once, is seen once, holds a lease, and is never seen again. */
static void
a_million_addresses_come_and_go(void **state)
{
	const struct store_limits limits = { (size_t)256 << 20, 200000,
		20000 * OVERLAY_ENTRY_SIZE, 20000 * OVERLAY_ENTRY_SIZE };
	const struct store_rate rate = { 10, 600000 };
	const unsigned int rounds = 100;
	const unsigned int each =
	    getenv("POSTERN_QUICK") != NULL ? 1000 : 10000;
	struct store *store = reopen_limited(NULL, &limits);
	long long early = 0;
	size_t early_kib = 0;

	(void)state;
	for (unsigned int round = 0; round < rounds; round++) {
		uint64_t now = (round + 1) * UINT64_C(600000);

		for (unsigned int i = 0; i < each; i++) {
			unsigned int n = round * each + i;
			struct store_lease lease = { .login =
							 login_number(n % 1000),
				.until_ms = now + 600000,
				.addr = { .family = NETADDR_INET } };
			char key[32];

			memcpy(lease.addr.octets, &n, sizeof(n));
			(void)snprintf(key, sizeof(key), "addr/%08x", n);
			assert_int_equal(store_rate_take(store, key, &rate, 1,
					     now, NULL, NULL),
			    STORE_TAKEN);
			assert_int_equal(
			    store_distinct_add(store, key, n, 600000, now), 1);
			if (i % 4 == 0)
				assert_int_equal(store_lease_put(store, &lease),
				    0);
			if (i % 5000 == 4999)
				assert_int_equal(store_flush(store, 20000), 0);
		}
		/* ten minutes see more of these */
		for (unsigned int i = 0; i < 4; i++) {
			store_tend(store, DAY, now);
			assert_int_equal(store_flush(store, 20000), 0);
		}
		if (round == 19) {
			early = size_of(path);
			early_kib = resident_kib();
		}
	}
	print_message("%u addresses came and went: %lld KiB after 20 rounds, "
		      "%lld after %u; resident %zu, %zu KiB\n",
	    rounds * each, early / 1024, size_of(path) / 1024, rounds,
	    early_kib, resident_kib());
	if (said_times("2:") > 0)
		fail_msg("said: %s", said_text());
	assert_true(size_of(path) <= early + early / 4);
	/* what the allocator of a sanitizer keeps is not ours */
	assert_in_range(overlay_count(((struct lmdb *)store)->counters), 1,
	    20000);
	assert_int_equal(overlay_count(((struct lmdb *)store)->overlay), 0);
	store_close(&store);
}

static void
memory_is_bounded_while_the_disk_is_full(void **state)
{
	const struct store_limits limits = { 1 << 20, 1000,
		10 * OVERLAY_ENTRY_SIZE, 1 << 20 };
	struct store *store = reopen_limited(NULL, &limits);

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	disk_full(true);
	for (unsigned int i = 0; i < 30; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_put(store, &who, NULL, 1000), 0);
	}
	assert_true(said_times("the oldest are lost") > 0);
	for (unsigned int i = 0; i < 30; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_get(store, &who, NULL, 10, 1000),
		    i < 20 ? TRI_NO : TRI_YES);
	}
	assert_int_equal(store_flush(store, 10000), -1);
	store_close(&store);
	disk_full(false);
	assert_true(said_times("10 records are lost") > 0);
}

static void
full_store_loses_nothing(const struct store_limits *limits, bool recovers)
{
	struct store *store = reopen_limited(NULL, limits);
	unsigned int n = 0;

	for (; n < 5000 && said_times("MDB_MAP_FULL") == 0; n++) {
		struct login who = login_number(n);

		assert_int_equal(store_proof_put(store, &who, NULL, 1000), 0);
		if (n % 50 == 49)
			(void)store_flush(store, 10000);
	}
	print_message("full after %u\n", n);
	assert_in_range(n, 100, 4999);
	while (n-- > 0) {
		struct login who = login_number(n);

		assert_int_equal(store_proof_get(store, &who, NULL, 10, 1000),
		    TRI_YES);
	}
	if (recovers) {
		store_tend(store, 10, 2000);
		assert_int_equal(store_flush(store, 10000), 0);
		assert_true(said_times("can be written again") > 0);
		assert_int_equal(proof_put(store, "new@x.org", "-", 2000), 0);
		assert_int_equal(store_flush(store, 10000), 0);
	}
	store_close(&store);
}

static void
too_many_proofs_wait_for_others_to_expire(void **state)
{
	const struct store_limits limits = { 1 << 20, 100,
		10000 * OVERLAY_ENTRY_SIZE, 1 << 20 };

	(void)state;
	full_store_loses_nothing(&limits, true);
}

static void
full_map_is_no_crash(void **state)
{
	const struct store_limits limits = { 256 << 10, 100000,
		10000 * OVERLAY_ENTRY_SIZE, 1 << 20 };

	(void)state;
	full_store_loses_nothing(&limits, false);
}

static unsigned int
damaged_files(void)
{
	DIR *d = opendir(dir);
	unsigned int count = 0;

	assert_non_null(d);
	for (const struct dirent *entry = readdir(d); entry != NULL;
	     entry = readdir(d)) {
		if (strncmp(entry->d_name, "store.mdb.damaged-", 18) == 0)
			count++;
	}
	(void)closedir(d);
	return count;
}

/* Some of every other kind, and one that is larger than a page. */
static void
put_others(struct store *store)
{
	const struct store_rate rate = { 10, 3600000 };
	char key[32];

	for (unsigned int i = 0; i < 50; i++) {
		struct store_lease lease = { .login = login_number(i),
			.until_ms = 5000 };

		lease.addr = *addr_of("192.0.2.1");
		lease.addr.octets[3] = (uint8_t)i;
		assert_int_equal(store_lease_put(store, &lease), 0);
		(void)snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(store_state_put(store, key, "v", 1, 5000), 0);
		assert_int_equal(
		    store_rate_take(store, key, &rate, 3, 1000, NULL, NULL),
		    STORE_TAKEN);
	}
	for (uint64_t i = 0; i < STORE_DISTINCT_MAX; i++)
		assert_in_range(
		    store_distinct_add(store, "set", i << 32, 10000, 1000), 1,
		    STORE_DISTINCT_MAX);
}

/* What nobody put does not come out of a bad disk. */
static void
expect_no_strangers(struct store *store)
{
	struct login logins[4];
	char value[STORE_STATE_MAX];
	size_t len;

	for (unsigned int i = 50; i < 60; i++) {
		struct netaddr from = *addr_of("192.0.2.1");
		char key[32];

		from.octets[3] = (uint8_t)i;
		assert_true(
		    store_lease_get(store, &from, 1000, logins, 4) <= 0);
		(void)snprintf(key, sizeof(key), "k%u", i);
		assert_true(
		    store_state_get(store, key, 1000, value, &len) <= 0);
	}
}

/* A store with a few hundred proofs; alice's is among them. */
static void
make_store(void)
{
	struct store *store = reopen(NULL);

	for (unsigned int i = 0; i < 400; i++) {
		struct login who = login_number(i);

		assert_int_equal(store_proof_put(store, &who, NULL, 1000), 0);
	}
	assert_int_equal(proof_put(store, "alice@x.org", "192.0.2.1", 1000), 0);
	put_others(store);
	assert_int_equal(store_flush(store, 10000), 0);
	/* so that there are free pages */
	store_tend(store, 100, 1000);
	assert_int_equal(proof_forget(store, "user7@example.org", "-", true),
	    1);
	store_close(&store);
}

static void
overwrite(long long at, const void *octets, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, octets, len, (off_t)at), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static void
cut(long long size)
{
	assert_int_equal(truncate(path, (off_t)size), 0);
}

static void
damage_garbage(void)
{
	char garbage[20000];

	memset(garbage, 'x', sizeof(garbage));
	overwrite(0, garbage, sizeof(garbage));
}

static void
damage_cut_by_half(void)
{
	cut(size_of(path) / 2);
}

static void
damage_cut_by_a_page(void)
{
	cut(size_of(path) - 4096);
}

static void
damage_one_page_left(void)
{
	cut(4096);
}

static void
damage_one_octet_left(void)
{
	cut(1);
}

static void
damage_zeros_behind_the_head(void)
{
	cut(8192);
	cut(65536);
}

static void
damage_record(void)
{
	char file[1 << 18];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	assert_true(fd >= 0);
	len = read(fd, file, sizeof(file));
	assert_int_equal(close(fd), 0);
	/* in every copy of the page there is */
	for (ssize_t i = 0; i + 11 < len; i++) {
		if (memcmp(file + i, "alice@x.org", 11) == 0)
			overwrite(i, "clive", 5);
	}
}

static void
damage_format(void)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	char kind = 'V', format[] = "999";
	MDB_val key = { 1, &kind }, data = { 3, format };

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &data, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void
damaged_file_is_kept_aside(void **state)
{
	static const struct {
		const char *name;
		void (*damage)(void);
	} rows[] = {
		{ "garbage", damage_garbage },
		{ "cut by half", damage_cut_by_half },
		{ "cut by a page", damage_cut_by_a_page },
		{ "one page left", damage_one_page_left },
		{ "one octet left", damage_one_octet_left },
		{ "zeros behind the head", damage_zeros_behind_the_head },
		{ "another login in a record", damage_record },
		{ "another format", damage_format },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store *store;

		make_store();
		rows[i].damage();
		said_clear();
		store = reopen(NULL);
		if (said_times("2:") == 0 || said_times(".damaged-20") == 0 ||
		    damaged_files() != i + 1)
			fail_msg("%s: %u files kept, said: %s", rows[i].name,
			    damaged_files(), said_text());
		assert_int_equal(
		    proof_get(store, "clive@x.org", "192.0.2.1", 10, 1000),
		    TRI_NO);
		assert_int_equal(
		    proof_get(store, "alice@x.org", "192.0.2.1", 10, 1000),
		    TRI_NO);
		assert_int_equal(proof_put(store, "bob@x.org", "-", 1000), 0);
		store = reopen(&store);
		assert_int_equal(proof_get(store, "bob@x.org", "-", 10, 1000),
		    TRI_YES);
		store_close(&store);
		assert_int_equal(unlink(path), 0);
	}
	/* nothing is there to be kept */
	make_store();
	cut(0);
	said_clear();
	{
		struct store *store = reopen(NULL);

		assert_true(said_times("is empty") > 0);
		assert_int_equal(proof_put(store, "bob@x.org", "-", 1000), 0);
		assert_int_equal(store_flush(store, 10000), 0);
		store_close(&store);
	}
}

/* Done when it comes to that; a store that is mended takes a second. */
static void
flush_in_the_end(struct store *store)
{
	uint64_t until = clock_mono_ms() + 20000;

	while (store_flush(store, 1000) != 0) {
		if (clock_mono_ms() >= until)
			fail_msg("not written; said: %s", said_text());
	}
}

static void
wipe_all_but_the_heads(void)
{
	static const char nothing[4096];

	for (long long at = 8192; at < size_of(path); at += 4096)
		overwrite(at, nothing, sizeof(nothing));
}

/* Found by who writes, and by who reads. */
static void
damage_in_use_is_mended(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		struct store *store;

		make_store();
		store = reopen(NULL);
		assert_int_equal(
		    proof_get(store, "alice@x.org", "192.0.2.1", 10, 1000),
		    TRI_YES);
		wipe_all_but_the_heads();
		said_clear();
		if (round == 0)
			assert_int_equal(
			    proof_put(store, "carol@x.org", "-", 1000), 0);
		else
			assert_int_equal(proof_get(store, "alice@x.org",
					     "192.0.2.1", 10, 1000),
			    TRI_UNKNOWN);
		flush_in_the_end(store);
		while (said_times(".damaged-20") == 0)
			flush_in_the_end(store);
		assert_int_equal(said_times("damaged ("), 1);
		assert_int_equal(damaged_files(), round + 1);
		assert_int_equal(
		    proof_get(store, "alice@x.org", "192.0.2.1", 10, 1000),
		    TRI_NO);
		assert_int_equal(proof_put(store, "bob@x.org", "-", 1000), 0);
		flush_in_the_end(store);
		said_clear();
		store = reopen(&store);
		assert_string_equal(said_text(), "");
		assert_int_equal(proof_get(store, "carol@x.org", "-", 10, 1000),
		    round == 0 ? TRI_YES : TRI_NO);
		assert_int_equal(proof_get(store, "bob@x.org", "-", 10, 1000),
		    TRI_YES);
		store_close(&store);
		assert_int_equal(unlink(path), 0);
	}
}

static atomic_uint heads_fail;

/* The disk, in front of the system's: it may fail to write a head of the file,
 * and then LMDB refuses everything until it is opened anew. */
ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	typedef ssize_t function(int, const void *, size_t, off_t);
	function *real = (function *)dlsym(RTLD_NEXT, "pwrite");

	assert_non_null(real);
	if (at < 8192 && atomic_load(&heads_fail) > 0) {
		(void)atomic_fetch_sub(&heads_fail, 1);
		errno = EIO;
		return -1;
	}
	return real(fd, octets, len, at);
}

static void
disk_error_passes(void **state)
{
	struct store *store = reopen(NULL);

	(void)state;
	assert_int_equal(proof_put(store, "alice@x.org", "-", 1000), 0);
	assert_int_equal(store_flush(store, 10000), 0);
	atomic_store(&heads_fail, 1);
	assert_int_equal(proof_put(store, "bob@x.org", "-", 1000), 0);
	assert_int_equal(store_flush(store, 10000), -1);
	assert_int_equal(atomic_load(&heads_fail), 0);
	assert_true(said_times("cannot be written: Input/output error") > 0);
	flush_in_the_end(store);
	assert_int_equal(proof_get(store, "alice@x.org", "-", 10, 1000),
	    TRI_YES);
	assert_int_equal(damaged_files(), 0);
	said_clear();
	store = reopen(&store);
	assert_string_equal(said_text(), "");
	assert_int_equal(proof_get(store, "bob@x.org", "-", 10, 1000), TRI_YES);
	store_close(&store);
}

static void
file_taken_away_is_noticed(void **state)
{
	struct store *store = reopen(NULL);

	(void)state;
	assert_int_equal(proof_put(store, "alice@x.org", "-", 1000), 0);
	assert_int_equal(store_flush(store, 10000), 0);
	assert_int_equal(unlink(path), 0);
	store_tend(store, DAY, 1000);
	assert_int_equal(store_flush(store, 10000), 0);
	assert_int_equal(said_times("taken away"), 1);
	assert_int_equal(proof_put(store, "bob@x.org", "-", 1000), 0);
	store = reopen(&store);
	assert_int_equal(proof_get(store, "bob@x.org", "-", 10, 1000), TRI_YES);
	assert_int_equal(said_times("2:"), 1);
	store_close(&store);
}

/* Whatever is flipped: no crash, no proof of what was never proven, and the
 * store works afterwards. */
static void
flipped_bits_prove_nothing(void **state)
{
	const char *quick = getenv("POSTERN_QUICK");
	const char *given = getenv("SEED");
	unsigned int kept = 0;
	unsigned int seed = given != NULL
	    ? (unsigned int)strtoul(given, NULL, 10)
	    : (unsigned int)time(NULL);
	unsigned int rounds = quick != NULL ? 20 : 60;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned int round = 0; round < rounds; round++) {
		struct store *store;
		int fd;

		make_store();
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		for (unsigned int n = 0; n <= round % 8; n++) {
			off_t at = random() % size_of(path);
			uint8_t octet;

			/* the start of a page holds the most */
			if (round % 2 == 0)
				at = at / 4096 * 4096 + at % 64;
			assert_int_equal(pread(fd, &octet, 1, at), 1);
			octet ^= (uint8_t)(1u << random() % 8);
			assert_int_equal(pwrite(fd, &octet, 1, at), 1);
		}
		assert_int_equal(close(fd), 0);
		store = reopen(NULL);
		for (unsigned int i = 400; i < 450; i++) {
			struct login who = login_number(i);

			assert_int_not_equal(
			    store_proof_get(store, &who, NULL, 10, 1000),
			    TRI_YES);
			assert_int_equal(
			    store_proof_put(store, &who, NULL, 1000), 0);
		}
		expect_no_strangers(store);
		put_others(store);
		assert_int_equal(store_flush(store, 10000), 0);
		store_tend(store, 0, 1001);
		(void)store_flush(store, 10000);
		store_close(&store);
		kept += damaged_files();
		assert_int_equal(end(NULL), 0);
		assert_int_equal(begin(NULL), 0);
	}
	print_message("%u of %u were found damaged\n", kept, rounds);
	assert_in_range(kept, rounds / 4, rounds);
}

static void
expect_refusal(const char *where, const char *want)
{
	const struct store_options options = {
		.url = "lmdb:",
		.state_dir = where,
		.report = said_note,
	};
	struct err e = { "" };
	struct store *store = store_open(&options, &e);

	if (store != NULL || strstr(e.text, want) == NULL ||
	    strstr(e.text, where) == NULL)
		fail_msg("got \"%s\", want \"%s\"", e.text, want);
}

static void
wrong_places_are_named(void **state)
{
	char other[128];
	struct stat st;
	mode_t mask;

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/none", dir);
	expect_refusal(other, "No such file or directory");
	assert_int_equal(symlink("/etc/hostname", path), 0);
	expect_refusal(dir, "symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refusal(dir, "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	expect_refusal(dir, "chmod o-w");
	assert_int_equal(chmod(dir, 0700), 0);
	(void)snprintf(other, sizeof(other), "%s-lock", path);
	assert_int_equal(symlink("/etc/hostname", other), 0);
	expect_refusal(dir, "symbolic link");
	assert_int_equal(unlink(other), 0);

	mask = umask(0777);
	make_store();
	(void)umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chmod(path, 0666), 0);
	make_store();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		expect_refusal(dir, "chown");
	}
	if (geteuid() != 0) {
		assert_int_equal(chmod(dir, 0500), 0);
		assert_int_equal(rename(path, path), 0);
		(void)snprintf(other, sizeof(other), "%s/sub", dir);
		assert_int_equal(chmod(dir, 0700), 0);
		assert_int_equal(mkdir(other, 0500), 0);
		expect_refusal(other, "Permission denied");
	}
}

static void
urls_are_checked(void **state)
{
	static const struct {
		const char *url, *want; /* NULL: good */
	} rows[] = {
		{ "lmdb:", NULL },
		{ "lmdb:/var/lib/postern", NULL },
		{ "lmdb:here", "slash" },
		{ "redis://localhost", NULL },
		{ "redis://me:secret@localhost", "password_file" },
		{ "LMDB:", "lmdb:" },
		{ "", "lmdb:" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = { "" };
		int rc = store_check_url(rows[i].url, &e);

		if (rows[i].want == NULL
			? rc != 0
			: rc != -1 || strstr(e.text, rows[i].want) == NULL)
			fail_msg("row %zu: got %d, \"%s\"", i, rc, e.text);
	}
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(what_comes_and_goes_leaves_a_bounded_file),
		STORE_TEST(fresh_proofs_survive_the_tending),
		STORE_TEST(full_disk_holds_nobody_up),
		STORE_TEST(counting_goes_on_while_the_disk_is_full),
		STORE_TEST(counters_that_rest_are_in_the_file),
		STORE_TEST(full_file_keeps_what_matters),
		STORE_TEST(a_million_addresses_come_and_go),
		STORE_TEST(memory_is_bounded_while_the_disk_is_full),
		STORE_TEST(too_many_proofs_wait_for_others_to_expire),
		STORE_TEST(full_map_is_no_crash),
		STORE_TEST(damaged_file_is_kept_aside),
		STORE_TEST(damage_in_use_is_mended),
		STORE_TEST(disk_error_passes),
		STORE_TEST(file_taken_away_is_noticed),
		STORE_TEST(flipped_bits_prove_nothing),
		STORE_TEST(wrong_places_are_named),
		STORE_TEST(urls_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
