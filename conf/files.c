/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files that a configuration names. What a file is gets judged on the open
 * descriptor, never by its name a second time. Secrets stay in one block of
 * memory, which is wiped.
 */
#include "conf/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end of the file or of the buffer. -1 with errno. */
static ssize_t
read_all(int fd, char *buffer, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buffer + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int
set_errno(struct err *e, int error)
{
	err_set(e, "%s", strerror(error));
	return -1;
}

/* Doubles the buffer until the file has ended. */
static int
read_growing(int fd, char **text_r, size_t *len_r, struct err *e)
{
	size_t size = 65536, len = 0;
	char *text = NULL;

	for (;;) {
		char *grown = realloc(text, size + 1);
		ssize_t n;

		if (grown == NULL) {
			free(text);
			return set_errno(e, ENOMEM);
		}
		text = grown;
		n = read_all(fd, text + len, size - len);
		if (n < 0) {
			int error = errno;

			free(text);
			return set_errno(e, error);
		}
		len += (size_t)n;
		if (len < size)
			break;
		if (size >= FILES_TEXT_MAX) {
			free(text);
			err_set(e, "more than %u octets", FILES_TEXT_MAX);
			return -1;
		}
		size *= 2;
	}
	text[len] = '\0';
	*text_r = text;
	*len_r = len;
	return 0;
}

/* Not blocked by a FIFO. -1 with the reason in e. */
static int
open_regular(const char *path, struct stat *st_r, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return set_errno(e, errno);
	if (fstat(fd, st_r) < 0) {
		int error = errno;

		(void)close(fd);
		return set_errno(e, error);
	}
	if (!S_ISREG(st_r->st_mode)) {
		(void)close(fd);
		err_set(e, "not a regular file");
		return -1;
	}
	return fd;
}

int
files_read(const char *path, char **text_r, size_t *len_r, struct err *e)
{
	struct stat st;
	int fd = open_regular(path, &st, e);
	int rc;

	if (fd < 0)
		return -1;
	rc = read_growing(fd, text_r, len_r, e);
	(void)close(fd);
	return rc;
}

int
files_check_readable(const char *path, struct err *e)
{
	struct stat st;
	int fd = open_regular(path, &st, e);

	if (fd < 0)
		return -1;
	(void)close(fd);
	if (st.st_size == 0) {
		err_set(e, "the file is empty");
		return -1;
	}
	return 0;
}

/* Takes the final newline off and judges what is left. */
static int
check_secret(char *secret, size_t len, struct err *e)
{
	if (len > 0 && secret[len - 1] == '\n') {
		len--;
		if (len > 0 && secret[len - 1] == '\r')
			len--;
	}
	if (len == 0) {
		err_set(e, "there is no secret in it");
		return -1;
	}
	if (len > FILES_SECRET_MAX) {
		err_set(e, "longer than %d octets", FILES_SECRET_MAX);
		return -1;
	}
	if (memchr(secret, '\0', len) != NULL ||
	    memchr(secret, '\r', len) != NULL ||
	    memchr(secret, '\n', len) != NULL) {
		err_set(e, "more than one line, or a NUL, in it");
		return -1;
	}
	secret[len] = '\0';
	return 0;
}

int
files_read_secret(const char *path, char **secret_r, struct err *e)
{
	const size_t size = FILES_SECRET_MAX + 3; /* CR LF, and one too many */
	struct stat st;
	char *secret = NULL;
	ssize_t len;
	int rc = -1;
	int fd = open_regular(path, &st, e);

	if (fd < 0)
		return -1;
	if ((st.st_mode & 077) != 0) {
		err_set(e, "its mode is %04o: others have access to it",
		    (unsigned int)st.st_mode & 07777);
		goto out;
	}
	secret = calloc(1, size + 1);
	if (secret == NULL) {
		set_errno(e, ENOMEM);
		goto out;
	}
	len = read_all(fd, secret, size);
	if (len < 0) {
		set_errno(e, errno);
		goto out;
	}
	rc = check_secret(secret, (size_t)len, e);
	if (rc == 0) {
		*secret_r = secret;
		secret = NULL;
	}
out:
	if (secret != NULL) {
		explicit_bzero(secret, size);
		free(secret);
	}
	(void)close(fd);
	return rc;
}

void
files_wipe(char **secret)
{
	if (*secret == NULL)
		return;
	explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}
