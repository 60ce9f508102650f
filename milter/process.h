/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_MILTER_PROCESS_H
#define POSTERN_MILTER_PROCESS_H

#include <pthread.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "policy/err.h"

/* What a daemon does to itself before it serves. All but process_notify() are
 * for the start, before there are threads. */

/* Opens /dev/null where standard input, output or error is closed, so that
 * nothing else gets their numbers. First of all. */
void process_fill_stdio(void);

/* RLIMIT_NOFILE up to the hard limit: libmilter spins when descriptors run
 * out. Failure is not fatal. */
void process_raise_nofile(void);

/*
 * Goes into the background. The parent waits until the child calls
 * process_release() and exits 0, or exits with the child's status if that comes
 * first. Returns in the child only; -1: no fork.
 */
int process_detach(struct err *e);
/* Lets the waiting parent go and drops the terminal; without process_detach()
 * it does nothing. keep_stderr: the log goes there. */
void process_release(bool keep_stderr);

/* Who to become, resolved from conf.user and conf.socket_group before anything
 * is opened. */
struct process_identity {
	char *user; /* owned */
	uid_t uid;
	gid_t gid;          /* the user's own */
	gid_t socket_group; /* (gid_t)-1: leave alone */
};

/* -1 with the reason in e: no such user or group, or not root and another
 * user is asked for. The group matters for a UNIX socket only. */
int process_resolve(const struct conf *conf,
    struct process_identity *identity_r, struct err *e);
void process_identity_clear(struct process_identity *identity);

/* The one place where privileges are dropped: groups, gid, uid, for good, and
 * checked. No-op for a process that already runs as that user. */
int process_drop_privileges(const struct process_identity *identity,
    struct err *e);

/*
 * Passwords pass through this memory: it is not to end in a core file, nor to
 * be read by another process of the same user. After privileges were dropped
 * (the kernel decides anew on every change of user), before there is a secret.
 * Where LeakSanitizer is linked in it does nothing: that has to trace us.
 */
void process_forbid_core(void);

/*
 * Catches SIGHUP, SIGINT, SIGTERM and SIGUSR1 from now on, also where the
 * starter ignored them, and ignores SIGPIPE. The calling thread gets them. -1
 * with the reason in e.
 */
int process_catch_signals(struct err *e);
/* The next signal caught; SIGTERM if there can be none any more. */
int process_wait_signal(void);
/* pthread_create(3) of a thread that gets no signals. */
int process_thread(pthread_t *thread_r, void *(*run)(void *), void *arg);

/* Sends state ("READY=1" ...) to systemd by the sd_notify(3) protocol; does
 * nothing without NOTIFY_SOCKET. */
void process_notify(const char *state);

#endif
