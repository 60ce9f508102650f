/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the file a sound store? LMDB trusts what it has mapped: a flipped bit may
 * be an assertion, an access beyond the file (SIGBUS) or an endless walk. So a
 * child goes everywhere first. It changes nothing, and the parent never touches
 * a file that the child did not come back from.
 */
#include "store/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/record.h"

/* A million proofs take about a second; a slow disk takes more, and a walk in
 * circles takes no disk. */
#define INSPECT_WALL_MS     20000
#define INSPECT_CPU_SECONDS 10

/* LMDB 0.9's head of a page; an overflow page has a number of pages where
 * others have lower and upper. */
struct page {
	size_t number;
	uint16_t pad;
	uint16_t flags;
	uint16_t lower; /* here the list of nodes ends */
	uint16_t upper; /* here the nodes begin */
};
#define PAGE_BRANCH   1
#define PAGE_LEAF     2
#define PAGE_OVERFLOW 4

struct node {
	uint16_t low; /* of the data's size */
	uint16_t high;
	uint16_t flags; /* in a branch, part of a page's number */
	uint16_t key_size;
};
#define NODE_BIG 1 /* the data is the number of an overflow page */

struct walk {
	int out;
	const char *path;
	size_t map_bytes;
	MDB_txn *txn;
	size_t page_size;
	size_t last_page;
	size_t last_txn;
	uint8_t *free_pages; /* a bit for each */
	const char *base;    /* page 0 */
};

/* The child's one word: a letter and a reason. */
__attribute__((noreturn, format(printf, 3, 4))) static void
verdict(const struct walk *w, char letter, const char *format, ...)
{
	char text[256] = { letter };
	va_list ap;
	size_t len;

	va_start(ap, format);
	(void)vsnprintf(text + 1, sizeof(text) - 1, format, ap);
	va_end(ap);
	len = strlen(text);
	_exit(write(w->out, text, len) == (ssize_t)len ? 0 : 1);
}

static void
on_assert(MDB_env *env, const char *text)
{
	verdict(mdb_env_get_userctx(env), 'D', "%.200s", text);
}

/* May memory of this size be mapped? Then it is the file that asks for more. */
static bool
map_fits(size_t size)
{
	return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) != MAP_FAILED;
}

static void
check(const struct walk *w, int rc, const char *what)
{
	if (rc == MDB_SUCCESS)
		return;
	if (rc == MDB_READERS_FULL || rc == MDB_TLS_FULL ||
	    (rc > 0 && rc != EINVAL &&
		!(rc == ENOMEM && map_fits(w->map_bytes))))
		verdict(w, 'F', "%s: %s", what, mdb_strerror(rc));
	verdict(w, 'D', "%s: %s", what, mdb_strerror(rc));
}

/*
 * The state that the numbers speak of, while others may be writing. They part
 * for longer when a writer was killed between its last page and saying so; the
 * next one mends that, and then somebody has the store open who found it sound.
 */
static void
begin(struct walk *w, MDB_env *env, MDB_envinfo *info)
{
	for (int tries = 0; tries < 1000; tries++) {
		check(w, mdb_txn_begin(env, NULL, MDB_RDONLY, &w->txn),
		    "begin");
		check(w, mdb_env_info(env, info), "info");
		if (mdb_txn_id(w->txn) == info->me_last_txnid)
			return;
		mdb_txn_abort(w->txn);
	}
	verdict(w, 'B', "another process was stopped while it wrote");
}

static void
open_file(struct walk *w)
{
	MDB_envinfo info;
	MDB_stat stat_of;
	MDB_env *env;
	struct stat st;

	check(w, mdb_env_create(&env), "create");
	check(w, mdb_env_set_mapsize(env, w->map_bytes), "map");
	(void)mdb_env_set_userctx(env, w);
	(void)mdb_env_set_assert(env, on_assert);
	check(w,
	    mdb_env_open(env, w->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY,
		0600),
	    "open");
	begin(w, env, &info);
	check(w, mdb_env_stat(env, &stat_of), "stat");
	w->page_size = stat_of.ms_psize;
	w->last_page = info.me_last_pgno;
	w->last_txn = info.me_last_txnid;
	if (w->page_size < 512 || (w->page_size & (w->page_size - 1)) != 0)
		verdict(w, 'D', "pages of %zu octets", w->page_size);
	if (info.me_mapsize > w->map_bytes ||
	    w->last_page >= w->map_bytes / w->page_size)
		verdict(w, 'D', "it claims to be larger than it may be");
	if (stat(w->path, &st) != 0)
		verdict(w, 'F', "%s", strerror(errno));
	if ((uint64_t)st.st_size / w->page_size < w->last_page + 1)
		verdict(w, 'D', "it is cut off after %lld octets",
		    (long long)st.st_size);
	w->free_pages = calloc(1, w->last_page / 8 + 1);
	if (w->free_pages == NULL)
		verdict(w, 'F', "no memory");
}

static bool
is_free(const struct walk *w, size_t page)
{
	return (w->free_pages[page / 8] & (1u << page % 8)) != 0;
}

/* LMDB's list of free pages: by transaction, a count and as many numbers. */
static void
walk_free_list(struct walk *w)
{
	MDB_val key, data;
	MDB_cursor *cursor;
	int rc;

	check(w, mdb_cursor_open(w->txn, 0, &cursor), "free list");
	while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) ==
	    MDB_SUCCESS) {
		size_t txn, count, page;

		if (key.mv_size != sizeof(txn) || data.mv_size < sizeof(count))
			verdict(w, 'D', "a free list of no form");
		memcpy(&txn, key.mv_data, sizeof(txn));
		memcpy(&count, data.mv_data, sizeof(count));
		if (txn > w->last_txn || count >= data.mv_size / sizeof(page))
			verdict(w, 'D', "a free list of no sense");
		for (size_t i = 1; i <= count; i++) {
			memcpy(&page,
			    (const char *)data.mv_data + i * sizeof(page),
			    sizeof(page));
			if (page < 2 || page > w->last_page || is_free(w, page))
				verdict(w, 'D', "no free page: %zu", page);
			w->free_pages[page / 8] |= (uint8_t)(1u << page % 8);
		}
	}
	if (rc != MDB_NOTFOUND)
		check(w, rc, "free list");
	mdb_cursor_close(cursor);
}

/* Where the first page is: any record's page knows its own number. */
static void
find_base(struct walk *w, const void *data)
{
	const char *page =
	    (const char *)data - ((uintptr_t)data & (w->page_size - 1));
	size_t number;

	memcpy(&number, page, sizeof(number));
	if (number < 2 || number > w->last_page)
		verdict(w, 'D', "a page numbered %zu", number);
	w->base = page - number * w->page_size;
}

/* The nodes fill the page from its end to where it says they begin. */
static void
check_nodes(const struct walk *w, const char *page, const struct page *p)
{
	size_t used = 0, count = (p->lower - sizeof(*p)) / sizeof(uint16_t);

	for (size_t i = 0; i < count; i++) {
		struct node node;
		uint16_t at;
		size_t size;

		memcpy(&at, page + sizeof(*p) + i * sizeof(at), sizeof(at));
		if (at < p->upper || at + sizeof(node) > w->page_size)
			verdict(w, 'D', "a node outside of page %zu",
			    p->number);
		memcpy(&node, page + at, sizeof(node));
		size = sizeof(node) + node.key_size;
		if (p->flags == PAGE_LEAF && (node.flags & ~NODE_BIG) != 0)
			verdict(w, 'D', "a node of no kind in page %zu",
			    p->number);
		if (p->flags == PAGE_LEAF)
			size += (node.flags & NODE_BIG) != 0
			    ? sizeof(size_t)
			    : (size_t)node.low | (size_t)node.high << 16;
		size += size % 2;
		if (at + size > w->page_size)
			verdict(w, 'D', "a node beyond page %zu", p->number);
		used += size;
	}
	if (used != w->page_size - p->upper)
		verdict(w, 'D', "nodes that overlap in page %zu", p->number);
}

/* LMDB will work by what the page says of itself. The number of pages. */
static size_t
check_page(const struct walk *w, size_t number)
{
	const char *page = w->base + number * w->page_size;
	struct page p;
	uint32_t pages;

	memcpy(&p, page, sizeof(p));
	if (p.number != number)
		verdict(w, 'D', "page %zu takes itself for %zu", number,
		    p.number);
	if (p.flags == PAGE_OVERFLOW) {
		memcpy(&pages, page + offsetof(struct page, lower),
		    sizeof(pages));
		if (pages == 0 || pages > w->last_page + 1 - number)
			verdict(w, 'D', "too much in page %zu", number);
		return pages;
	}
	if ((p.flags != PAGE_LEAF && p.flags != PAGE_BRANCH) ||
	    p.lower < sizeof(p) || p.lower % 2 != 0 || p.lower > p.upper ||
	    p.upper > w->page_size)
		verdict(w, 'D', "a bad head of page %zu", number);
	check_nodes(w, page, &p);
	return 1;
}

/* All pages that are in use. */
static void
walk_pages(const struct walk *w)
{
	int major = 0, minor = 0;

	(void)mdb_version(&major, &minor, NULL);
	if (major != 0 || minor != 9 || w->base == NULL)
		return; /* they may look otherwise */
	for (size_t i = 2; i <= w->last_page;)
		i += is_free(w, i) ? 1 : check_page(w, i);
}

static void
check_record(struct walk *w, const MDB_val *key, const MDB_val *data)
{
	const char *kind = key->mv_data;
	uint64_t stamp;

	if (key->mv_size == 1 && kind[0] == RECORD_VERSION) {
		if (data->mv_size != strlen(STORE_FORMAT) ||
		    memcmp(data->mv_data, STORE_FORMAT, data->mv_size) != 0)
			verdict(w, 'D', "it is of another format than %s",
			    STORE_FORMAT);
		return;
	}
	if (!record_key_is_sound(key->mv_data, key->mv_size))
		verdict(w, 'D', "a record with no key");
	if (record_decode(key->mv_data, key->mv_size, data->mv_data,
		data->mv_size, &stamp) != 0)
		verdict(w, 'D', "a record with a wrong check sum");
}

static void
walk_records(struct walk *w)
{
	MDB_val key, data, found, last = { 0, NULL };
	MDB_cursor *cursor;
	MDB_stat stat_of;
	unsigned int flags;
	size_t count = 0;
	MDB_dbi dbi;
	int rc;

	check(w, mdb_dbi_open(w->txn, NULL, 0, &dbi), "records");
	check(w, mdb_dbi_flags(w->txn, dbi, &flags), "records");
	check(w, mdb_stat(w->txn, dbi, &stat_of), "records");
	if (flags != 0)
		verdict(w, 'D', "unknown flags %u", flags);
	check(w, mdb_cursor_open(w->txn, dbi, &cursor), "records");
	while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) ==
	    MDB_SUCCESS) {
		if (++count > stat_of.ms_entries)
			break;
		if (w->base == NULL)
			find_base(w, key.mv_data);
		check_record(w, &key, &data);
		if (last.mv_data != NULL &&
		    mdb_cmp(w->txn, dbi, &last, &key) >= 0)
			verdict(w, 'D', "records out of order");
		/* the way down from the root leads here too */
		rc = mdb_get(w->txn, dbi, &key, &found);
		if (rc == MDB_NOTFOUND || found.mv_data != data.mv_data)
			verdict(w, 'D', "a record that cannot be found");
		check(w, rc, "records");
		last = key;
	}
	if (rc != MDB_NOTFOUND && rc != MDB_SUCCESS)
		check(w, rc, "records");
	if (count != stat_of.ms_entries)
		verdict(w, 'D', "%zu records instead of %zu", count,
		    stat_of.ms_entries);
	if (count > 0) {
		char version = RECORD_VERSION;

		key = (MDB_val){ 1, &version };
		rc = mdb_get(w->txn, dbi, &key, &data);
		if (rc != MDB_SUCCESS)
			verdict(w, 'D', "it is no store of postern");
	}
}

/* Its death must be quiet, leave no core, and come soon. */
static void
prepare_child(void)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL,
		SIGXCPU, SIGTERM, SIGPIPE };
	const struct rlimit no_core = { 0, 0 };
	const struct rlimit cpu = { INSPECT_CPU_SECONDS, INSPECT_CPU_SECONDS };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		(void)signal(deadly[i], SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
}

__attribute__((noreturn)) static void
run_child(const char *path, size_t map_bytes, int out)
{
	struct walk w = { .out = out, .path = path, .map_bytes = map_bytes };

	prepare_child();
	open_file(&w);
	walk_free_list(&w);
	walk_records(&w);
	walk_pages(&w);
	verdict(&w, 'S', "sound");
}

static int
remaining_ms(const struct timespec *began)
{
	struct timespec now;
	long long ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - began->tv_sec) * 1000LL +
	    (now.tv_nsec - began->tv_nsec) / 1000000;
	return ms >= INSPECT_WALL_MS ? 0 : (int)(INSPECT_WALL_MS - ms);
}

/* The child's word, whole; "" if it died without one; false: too slow. */
static bool
hear(int in, char *text, size_t size)
{
	struct pollfd p = { .fd = in, .events = POLLIN };
	struct timespec began;
	size_t len = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &began);
	memset(text, 0, size);
	for (;;) {
		int n = poll(&p, 1, remaining_ms(&began));
		ssize_t got;

		if (n == 0)
			return false;
		if (n < 0)
			continue;
		got = read(in, text + len, size - 1 - len);
		if (got > 0)
			len += (size_t)got;
		else if (got == 0 || errno != EINTR)
			return true;
	}
}

static enum inspection
judge(const char *text, int status, struct err *e)
{
	if (text[0] == 'S')
		return INSPECTION_SOUND;
	if (text[0] != '\0') {
		err_set(e, "%s", text + 1);
		if (text[0] == 'B')
			return INSPECTION_SLOW;
		return text[0] == 'D' ? INSPECTION_DAMAGED : INSPECTION_FAILED;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		err_set(e, "reading it ends in \"%s\"",
		    strsignal(WTERMSIG(status)));
		return INSPECTION_DAMAGED;
	}
	err_set(e, "the check was ended from outside");
	return INSPECTION_FAILED;
}

enum inspection
inspect_file(const char *path, size_t map_bytes, struct err *e)
{
	char text[256];
	int fds[2], status = 0;
	bool heard;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) != 0) {
		err_set(e, "%s", strerror(errno));
		return INSPECTION_FAILED;
	}
	child = fork();
	if (child == 0)
		run_child(path, map_bytes, fds[1]);
	(void)close(fds[1]);
	if (child < 0) {
		err_set(e, "%s", strerror(errno));
		(void)close(fds[0]);
		return INSPECTION_FAILED;
	}
	heard = hear(fds[0], text, sizeof(text));
	(void)close(fds[0]);
	if (!heard)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!heard) {
		err_set(e, "not read within %d s", INSPECT_WALL_MS / 1000);
		return INSPECTION_SLOW;
	}
	return judge(text, status, e);
}
