/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_IDENTITY_ANSWER_H
#define POSTERN_IDENTITY_ANSWER_H

#include "identity/dialogue.h"

/* What the words of a server mean. Pure. */

/* The word that the text starts with, any case; the rest without its space,
 * or NULL. */
const char *answer_after(const char *text, const char *word);

/* What a NO (and the text behind it) to AUTHENTICATE means when an account was
 * asked about by our own credential, ... */
enum dialogue_outcome answer_about_account(const char *text);
/* ... by whoever says that it is his, ... */
enum dialogue_outcome answer_about_login(const char *text);
/* ... and a NO to STATUS INBOX. */
enum dialogue_outcome answer_about_mailbox(const char *text);

#endif
