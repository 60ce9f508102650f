/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks a person for a password. It must leave the terminal as it found it,
 * whatever ends the process, and keep no copy: there is no stdio here, whose
 * buffer nobody wipes.
 */
#include "ctl/secret.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

static const int ending[] = { SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT,
	SIGTERM };
#define ENDING (sizeof(ending) / sizeof(ending[0]))

/* What the signal handler needs; set before it is installed. */
static struct termios before;

/* The handler is gone by now (SA_RESETHAND): the signal does what it does. */
static void
restore_and_die(int sig)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	(void)raise(sig);
}

/* Up to the line feed or the end. 1: there was neither within size. -1: nothing
 * was there. */
static int
read_line(char *line_r, size_t size, size_t *len_r)
{
	bool too_long = false, any = false;
	char c = '\0';
	ssize_t n;

	*len_r = 0;
	for (;;) {
		n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == '\n')
			break;
		any = true;
		if (*len_r == size)
			too_long = true;
		else
			line_r[(*len_r)++] = c;
	}
	c = '\0';
	if (n < 0 || (n == 0 && !any))
		return -1;
	return too_long ? 1 : 0;
}

static int
read_terminal(const char *prompt, char *line_r, size_t size, size_t *len_r)
{
	struct sigaction action = { .sa_handler = restore_and_die,
		.sa_flags = (int)SA_RESETHAND };
	struct sigaction stop = { .sa_handler = SIG_IGN };
	struct sigaction were[ENDING], stop_was;
	struct termios silent = before;
	int rc;

	(void)sigfillset(&action.sa_mask);
	(void)sigaction(SIGTSTP, &stop, &stop_was);
	for (size_t i = 0; i < ENDING; i++) {
		(void)sigaction(ending[i], NULL, &were[i]);
		if (were[i].sa_handler != SIG_IGN)
			(void)sigaction(ending[i], &action, NULL);
	}
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	rc = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	if (rc == 0) {
		(void)fputs(prompt, stderr);
		rc = read_line(line_r, size, len_r);
		(void)fputc('\n', stderr);
	}
	/* what is left of a line that is too long is not for the shell */
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	for (size_t i = 0; i < ENDING; i++)
		(void)sigaction(ending[i], &were[i], NULL);
	(void)sigaction(SIGTSTP, &stop_was, NULL);
	return rc;
}

int
secret_read(const char *prompt, char *secret_r, size_t size, size_t *len_r)
{
	int rc;

	*len_r = 0;
	if (tcgetattr(STDIN_FILENO, &before) == 0)
		rc = read_terminal(prompt, secret_r, size, len_r);
	else
		rc = read_line(secret_r, size, len_r);
	if (rc == 0)
		return 0;
	OPENSSL_cleanse(secret_r, size);
	*len_r = 0;
	(void)fprintf(stderr, "posternctl: %s\n",
	    rc > 0 ? "that is longer than any password may be"
		   : "no password on standard input");
	return -1;
}
