/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a struct policy. conf/ builds it, everybody else reads it.
 */
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

void
policy_clear(struct policy *policy)
{
	netset_free(&policy->internal);
	domainset_free(&policy->local_domains);
	for (size_t i = 0; i < policy->listener_count; i++)
		free(policy->listeners[i].name);
	free(policy->listeners);
	for (size_t i = 0; i < policy->mechanism_count; i++)
		free(policy->mechanisms[i]);
	free(policy->mechanisms);
	free(policy->realm);
	owners_free(&policy->owners);
	netset_free(&policy->lease_except);
	memset(policy, 0, sizeof(*policy));
}
