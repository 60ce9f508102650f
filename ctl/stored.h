/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CTL_STORED_H
#define POSTERN_CTL_STORED_H

#include <stdint.h>

#include "conf/conf.h"
#include "policy/err.h"
#include "store/store.h"

/* The store of this configuration, opened beside the daemon: for good with its
 * owner's rights, since a file that root made would be closed to the daemon.
 * What it reports goes to standard error. NULL with the reason in e. */
struct store *stored_open(const struct conf *conf, struct err *e);
/* Closes and nulls (NULL is allowed), and tells standard error what has failed,
 * if e says that anything has and the store has not told it already. */
void stored_close(struct store **store, const struct err *e);

/* The clock that the store goes by, in milliseconds. */
uint64_t stored_now_ms(void);

#endif
