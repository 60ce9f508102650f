/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key under which passwords are told apart (HMAC-SHA256). It has a page of
 * its own, locked and left out of core dumps; OpenSSL's secure heap would be
 * shared with every TLS handshake, and handshakes fail when that heap is full.
 * The key must never leave this file, nor outlive the process.
 */
#include "identity/secret.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define KEY_LEN 32

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned char *key; /* NULL: there is none */
static bool is_locked;

static void
make_key(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	is_locked = mlock(p, page) == 0;
	(void)madvise(p, page, MADV_DONTDUMP);
	(void)madvise(p, page, MADV_WIPEONFORK);
	if (RAND_bytes(p, KEY_LEN) != 1) {
		(void)munmap(p, page);
		return;
	}
	(void)mprotect(p, page, PROT_READ);
	key = p;
}

int
secret_init(void)
{
	(void)pthread_once(&once, make_key);
	return key != NULL ? 0 : -1;
}

bool
secret_is_locked(void)
{
	return secret_init() == 0 && is_locked;
}

int
secret_tag(const struct secret_part *parts, size_t count,
    unsigned char tag_r[SECRET_TAG_LEN])
{
	unsigned char text[SECRET_TEXT_MAX + SECRET_PARTS_MAX * 8];
	size_t at = 0, left = SECRET_TEXT_MAX;
	unsigned int n = 0;
	bool made;

	if (secret_init() != 0 || count > SECRET_PARTS_MAX)
		return -1;
	for (size_t i = 0; i < count; i++) {
		uint64_t len = parts[i].len;

		if (len > left) {
			OPENSSL_cleanse(text, at);
			return -1;
		}
		left -= len;
		memcpy(text + at, &len, sizeof(len));
		memcpy(text + at + sizeof(len), parts[i].text, len);
		at += sizeof(len) + len;
	}
	made = HMAC(EVP_sha256(), key, KEY_LEN, text, at, tag_r, &n) != NULL &&
	    n == SECRET_TAG_LEN;
	OPENSSL_cleanse(text, at);
	return made ? 0 : -1;
}
