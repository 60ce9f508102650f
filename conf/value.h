/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CONF_VALUE_H
#define POSTERN_CONF_VALUE_H

#include <stdint.h>

#include "policy/err.h"

/*
 * The values of options, from text. All strict: no blanks, signs, leading
 * zeros or other number bases. They return 0, or -1 when the text is no such
 * value; those that take a struct err say why. Nothing is looked up.
 */

#define VALUE_DURATION_MAX  24
#define VALUE_MECHANISM_MAX 20
/* The window of a rate, in milliseconds. */
#define VALUE_WINDOW_MIN UINT64_C(1000)
#define VALUE_WINDOW_MAX UINT64_C(604800000)

/* A decimal number that fits. */
int value_number(const char *text, uint64_t *number_r);
/* "10s", "5m", "2h", "1d", in milliseconds. */
int value_duration(const char *text, uint64_t *ms_r);
/* The other way, in the largest unit that is exact. */
void value_duration_format(uint64_t ms, char text_r[VALUE_DURATION_MAX]);
/* "20/10m": 20 in any 10 minutes. Its range is not judged. */
int value_rate(const char *text, uint64_t *count_r, uint64_t *window_ms_r);
/* "0660" or "660". */
int value_socket_mode(const char *text, unsigned int *mode_r, struct err *e);
/* The position of text in "first | second | third". */
int value_word(const char *words, const char *text, unsigned int *index_r);
/* unix:PATH, inet:PORT@HOST, inet6:PORT@HOST or fd:N. */
int value_listen(const char *text, struct err *e);
/* The same without fd:N; HOST is an address that only this host can reach, or
 * "localhost". */
int value_listen_local(const char *text, struct err *e);
/* lmdb:, lmdb:DIR, redis://... or rediss://... */
int value_store_url(const char *text, struct err *e);
/* imaps://HOST[:PORT] or imap://HOST[:PORT]; HOST may be an IPv6 address in
 * brackets. */
int value_imap_url(const char *text, struct err *e);
/* A SASL mechanism (RFC 4422, 3.1), in upper case. */
int value_mechanism(const char *text, char name_r[VALUE_MECHANISM_MAX + 1],
    struct err *e);
int value_absolute_path(const char *text, struct err *e);
/* A user or group, by name. */
int value_name(const char *text, struct err *e);
/* ASCII punctuation other than "@"; "" is fine. */
int value_separator(const char *text, struct err *e);

#endif
