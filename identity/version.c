/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which libraries stand between us and an IMAP server, for `postern -V`.
 */
#include "identity/version.h"

#include <stdio.h>

#include <curl/curl.h>
#include <event2/event.h>

const char *
identity_version(void)
{
	static char text[400];

	(void)snprintf(text, sizeof(text), "%s\nlibevent %s", curl_version(),
	    event_get_version());
	return text;
}
