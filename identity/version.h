/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_VERSION_H
#define POSTERN_IDENTITY_VERSION_H

/* The libraries that talk to IMAP, as loaded: "libcurl/7.88.1 OpenSSL/3.0.x
 * ...". Static; before there are threads. */
const char *identity_version(void);

#endif
