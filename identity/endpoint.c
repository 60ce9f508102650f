/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a site's URL of an IMAP server. It must not accept what it would then
 * leave out: no user, no mailbox, no query.
 */
#include "identity/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "identity/tls.h"
#include "policy/domain.h"

/* The name that the certificate must have: A-labels, without the root's dot, or
 * an address without its brackets. NULL: none. */
static char *
certificate_name(const char *host)
{
	char name[DOMAIN_MAX + 1];
	enum domain_kind kind;
	size_t len = strlen(host);

	if (host[0] == '[')
		return strndup(host + 1, strcspn(host + 1, "]"));
	if (len > 1 && host[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++) {
		if ((host[i] & 0x80) == 0)
			continue;
		if (domain_parse(host, len, true, name, &kind) != DOMAIN_VALID)
			return NULL;
		return strdup(name);
	}
	return strndup(host, len);
}

int
endpoint_parse(const char *url, struct endpoint *endpoint_r, struct err *e)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *rest = NULL;
	bool imaps;
	int rc = -1;

	memset(endpoint_r, 0, sizeof(*endpoint_r));
	if (parts == NULL ||
	    curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) !=
		CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		goto out;
	imaps = strcmp(scheme, "imaps") == 0;
	if ((!imaps && strcmp(scheme, "imap") != 0) ||
	    curl_url_get(parts, CURLUPART_USER, &rest, 0) == CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_QUERY, &rest, 0) == CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_FRAGMENT, &rest, 0) == CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_PATH, &rest, 0) != CURLUE_OK ||
	    strcmp(rest, "/") != 0)
		goto out;
	(void)curl_url_get(parts, CURLUPART_PORT, &port, 0);
	endpoint_r->name = strdup(url);
	endpoint_r->host = certificate_name(host);
	/* http is libcurl's name for "connected, and not a word by libcurl". */
	if (endpoint_r->name == NULL || endpoint_r->host == NULL ||
	    asprintf(&endpoint_r->url, "%s://%s:%s/", imaps ? "http" : "imap",
		host, port != NULL ? port : (imaps ? "993" : "143")) < 0) {
		endpoint_r->url = NULL;
		endpoint_clear(endpoint_r);
		goto out;
	}
	endpoint_r->starttls = !imaps;
	rc = 0;
out:
	if (rc != 0)
		err_set(e,
		    "%.200s is not imaps://HOST[:PORT] or "
		    "imap://HOST[:PORT]",
		    url);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(rest);
	curl_url_cleanup(parts);
	return rc;
}

void
endpoint_clear(struct endpoint *endpoint)
{
	free(endpoint->name);
	free(endpoint->url);
	free(endpoint->host);
	tls_free(&endpoint->tls);
	endpoint->host = NULL;
	endpoint->name = NULL;
	endpoint->url = NULL;
}
