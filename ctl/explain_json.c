/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions and judgements of posternctl explain --batch as JSON. Texts keep
 * their length, for they may hold NULs.
 */
#include "ctl/explain.h"

#include <string.h>

static void
put_path(json_t *object, const struct path *path)
{
	static const struct path none;
	bool valid;

	if (path == NULL)
		path = &none;
	valid = path_is_valid(path);
	(void)json_object_set_new(object, "valid", json_boolean(valid));
	(void)json_object_set_new(object, "local",
	    valid ? json_string(path->local) : json_null());
	(void)json_object_set_new(object, "domain",
	    valid ? json_string(path->domain) : json_null());
	(void)json_object_set_new(object, "routed", json_boolean(path->routed));
}

static void
put_answer(json_t *object, const struct answer *answer)
{
	(void)json_object_set_new(object, "verdict",
	    json_string(verdict_name(answer->decision.verdict)));
	(void)json_object_set_new(object, "code",
	    json_string(answer->reply.code));
	(void)json_object_set_new(object, "xcode",
	    json_string(answer->reply.xcode));
	(void)json_object_set_new(object, "reason",
	    json_string(reason_row(answer->decision.reason)->name));
}

json_t *
explain_as_json(struct gate *gate, const struct question *q)
{
	struct session *session = question_connect(gate, q);
	json_t *result = json_object(), *sender = json_object();
	json_t *rcpts = json_array();
	struct answer top, answer;
	bool passed = false;

	if (session == NULL || question_mail(session, q, &top) != 0) {
		session_free(&session);
		json_decref(result);
		json_decref(sender);
		json_decref(rcpts);
		return NULL;
	}
	(void)json_object_set_new(result, "zone",
	    json_string(question_zone(session)));
	put_path(sender, session_sender(session));
	answer = top;
	for (size_t i = 0; i < q->rcpt_count; i++) {
		json_t *row = json_object();

		question_rcpt(session, q->rcpts[i], &answer);
		put_answer(row, &answer);
		put_path(row, session_recipient(session));
		(void)json_array_append_new(rcpts, row);
		/* a refused MAIL, a passing recipient, or the first refusal */
		if (top.decision.verdict != VERDICT_PERMIT || passed)
			continue;
		passed = answer.decision.verdict == VERDICT_PERMIT;
		if (passed || i == 0)
			put_answer(result, &answer);
	}
	if (q->rcpt_count == 0 || top.decision.verdict != VERDICT_PERMIT)
		put_answer(result, &top);
	(void)json_object_set_new(result, "stage",
	    json_string(
		q->rcpt_count == 0 || top.decision.verdict != VERDICT_PERMIT
		    ? "mail"
		    : "rcpt"));
	(void)json_object_set_new(result, "sender", sender);
	(void)json_object_set_new(result, "rcpts", rcpts);
	session_free(&session);
	return result;
}

const char *
explain_read_json(json_t *object, struct question *q)
{
	const char *key;
	json_t *value, *item;
	size_t i;

	if (!json_is_object(object))
		return "not a JSON object";
	json_object_foreach(object, key, value)
	{
		struct text text = { json_string_value(value),
			json_string_length(value) };

		if (strcmp(key, "rcpt") == 0) {
			if (!json_is_array(value))
				return "rcpt: not an array";
			json_array_foreach(value, i, item)
			{
				text.data = json_string_value(item);
				text.len = json_string_length(item);
				if (text.data == NULL ||
				    !question_set_key(q, key, text))
					return "rcpt: not an array of strings, "
					       "or too many";
			}
			continue;
		}
		if (text.data == NULL)
			return "a value is not a string";
		if (!question_set_key(q, key, text))
			return "unknown key";
	}
	return NULL;
}
