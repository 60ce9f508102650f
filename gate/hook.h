/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GATE_HOOK_H
#define POSTERN_GATE_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include "gate/log.h"

/*
 * Runs a site's program with arguments, without a shell: a bounded number at a
 * time, each for a bounded time, and nobody waits. One thread at a time.
 */
#define HOOK_RUNNING_MAX 4
#define HOOK_LIFE_MS     60000

struct hook_run {
	int pid; /* 0: free */
	uint64_t end_ms;
};
struct hook {
	struct hook_run runs[HOOK_RUNNING_MAX];
};

/* Looks who has ended, and ends who takes too long. How many more may run. */
size_t hook_tend(struct hook *hook, struct log *log, uint64_t now_ms);
/* argv[0] is the program; argv ends with NULL. */
void hook_run(struct hook *hook, struct log *log, const char *const argv[],
    uint64_t now_ms);

#endif
