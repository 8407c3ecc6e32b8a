// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/capability.h>

const struct capability capabilities[] = {
	{CAP_BPF, "CAP_BPF", CAPABILITY_KEPT, true, "no program can be loaded"},
	{CAP_PERFMON, "CAP_PERFMON", CAPABILITY_START, true, "no tracing program can be loaded"},
	{CAP_SYS_PTRACE, "CAP_SYS_PTRACE", CAPABILITY_KEPT, false,
	 "processes to be watched (watch:) are not found, and in a mount namespace of its own the "
	 "agent sees that one's file systems and not the node's"},
	{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", CAPABILITY_KEPT, false,
	 "control groups are found by a walk, and file systems in other users' directories cannot "
	 "be asked"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN", CAPABILITY_KEPT, false,
	 "this node cannot be fenced, and heartbeats have a small receive buffer"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", CAPABILITY_HELPER, false,
	 "what the programs cost cannot be measured, and their budget is not kept"},
	{CAP_SYS_NICE, "CAP_SYS_NICE", CAPABILITY_START, false,
	 "the agent does not run at nice -10, unless it is started so"},
	{CAP_KILL, "CAP_KILL", CAPABILITY_KEPT, false,
	 "a hook that has become another user is not ended when its time is over"},
};
const size_t capability_count = sizeof(capabilities) / sizeof(*capabilities);

_Static_assert(sizeof(capabilities) / sizeof(*capabilities) <= CAPABILITIES_MAX, "room for them");

static uint64_t bit(unsigned int number)
{
	return UINT64_C(1) << number;
}

bool capability_held(unsigned int number)
{
	bool stands_for = number == CAP_BPF || number == CAP_PERFMON;
	uint64_t held = 0;

	if (capability_read(&held))
		return false;
	return held & (bit(number) | (stands_for ? bit(CAP_SYS_ADMIN) : 0));
}

uint64_t capability_wanted(uint64_t held, bool starting)
{
	uint64_t wanted = 0;

	for (size_t i = 0; i < capability_count; i++) {
		enum capability_use use = capabilities[i].use;
		uint64_t one = bit(capabilities[i].number);

		if (use != CAPABILITY_KEPT && !starting)
			continue;
		wanted |= held & one;
		if (!(held & one) && capabilities[i].required)
			wanted |= held & bit(CAP_SYS_ADMIN);
	}
	return wanted;
}

int capability_read(uint64_t *ret_held)
{
	cap_t set = cap_get_proc();
	cap_flag_value_t value;

	*ret_held = 0;
	if (!set)
		return -errno;
	for (cap_value_t i = 0; i < cap_max_bits(); i++)
		if (!cap_get_flag(set, i, CAP_EFFECTIVE, &value) && value == CAP_SET)
			*ret_held |= bit((unsigned int)i);
	cap_free(set);
	return 0;
}

int capability_keep(uint64_t wanted)
{
	cap_t set = cap_get_proc();
	int r = set ? 0 : -errno;

	for (cap_value_t i = 0; !r && i < cap_max_bits(); i++) {
		/* What is not inheritable is not ambient either. */
		if (cap_set_flag(set, CAP_INHERITABLE, 1, &i, CAP_CLEAR))
			r = -errno;
		if (!r && !(wanted & bit((unsigned int)i)) &&
		    (cap_set_flag(set, CAP_EFFECTIVE, 1, &i, CAP_CLEAR) ||
		     cap_set_flag(set, CAP_PERMITTED, 1, &i, CAP_CLEAR)))
			r = -errno;
	}
	if (!r && cap_set_proc(set))
		r = -errno;
	cap_free(set);
	return r;
}
