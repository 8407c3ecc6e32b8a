// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/feature.h"

#include "base/capability.h"
#include "base/text.h"
#include "probe/pressure.h"
#include "probe/run_time.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

const char *feature_missing_capabilities(void)
{
	bool bpf = capability_held(CAP_BPF), perfmon = capability_held(CAP_PERFMON);

	if (bpf && perfmon)
		return NULL;
	if (bpf)
		return "CAP_PERFMON";
	return perfmon ? "CAP_BPF" : "CAP_BPF and CAP_PERFMON";
}

static enum feature_verdict check_kernel(struct text *detail)
{
	struct utsname names;

	if (uname(&names)) {
		text_printf(detail, "uname: %s", strerror(errno));
		return FEATURE_UNKNOWN;
	}
	text_printf(detail, "%s %s on %s", names.sysname, names.release, names.machine);
	return FEATURE_YES;
}

static enum feature_verdict check_btf(struct text *detail)
{
	if (!access("/sys/kernel/btf/vmlinux", R_OK)) {
		text_printf(detail, "/sys/kernel/btf/vmlinux");
		return FEATURE_YES;
	}
	text_printf(
		detail,
		"/sys/kernel/btf/vmlinux: %s; no program can be loaded; use a kernel built with "
		"CONFIG_DEBUG_INFO_BTF=y, and mount sysfs",
		strerror(errno));
	return FEATURE_NO;
}

static enum feature_verdict check_capability(const struct capability *capability,
					     struct text *detail)
{
	static const char *const uses[] = {
		[CAPABILITY_START] = "given up once the probes are attached",
		[CAPABILITY_KEPT] = "kept while the agent runs",
		[CAPABILITY_HELPER] = "then kept by a helper of the agent alone",
	};

	if (capability_held(capability->number)) {
		text_printf(detail, "held; %s", uses[capability->use]);
		return FEATURE_YES;
	}
	text_printf(detail, "not held; without it %s; run as root or add the capability",
		    capability->lost);
	return FEATURE_NO;
}

static enum feature_verdict check_ring_buffer(struct text *detail)
{
	int r;

	/* The kernel refuses before it looks at the type: that says nothing of the kernel. */
	if (!capability_held(CAP_BPF)) {
		text_printf(detail, "cannot be tried without CAP_BPF");
		return FEATURE_UNKNOWN;
	}
	r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL);
	if (r == 1) {
		text_printf(detail, "BPF ring buffers work");
		return FEATURE_YES;
	}
	if (r == 0)
		text_printf(detail, "this kernel has no BPF ring buffer (Linux 5.8), or these "
				    "privileges do not allow one");
	else
		text_printf(detail, "cannot be tried: %s", strerror(-r));
	return r ? FEATURE_UNKNOWN : FEATURE_NO;
}

static enum feature_verdict check_lockdown(struct text *detail)
{
	FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "";

	if (!file || !fgets(line, sizeof(line), file)) {
		text_printf(detail,
			    "not readable (securityfs is not mounted, or the kernel has none)");
		if (file)
			fclose(file);
		return FEATURE_UNKNOWN;
	}
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	text_printf(detail, "%s%s", line,
		    strstr(line, "[confidentiality]") ? "; tracing programs cannot read memory"
						      : "");
	return strstr(line, "[confidentiality]") ? FEATURE_NO : FEATURE_YES;
}

static enum feature_verdict check_kprobes(struct text *detail)
{
	if (!access("/sys/bus/event_source/devices/kprobe/type", F_OK)) {
		text_printf(detail, "there; nothing here needs them");
		return FEATURE_YES;
	}
	text_printf(detail, "not in this kernel; nothing here needs them");
	return FEATURE_NO;
}

static enum feature_verdict check_pressure(struct text *detail)
{
	int fd = pressure_open(PRESSURE_CPU, detail);

	if (fd < 0) {
		text_printf(detail, "; overload is found by busy CPUs and OOM kills alone");
		return FEATURE_NO;
	}
	close(fd);
	text_printf(detail, "tells how long something waits for CPU, memory or I/O");
	return FEATURE_YES;
}

static enum feature_verdict check_measuring(struct text *detail)
{
	int fd = run_time_measure();

	if (fd < 0) {
		text_printf(detail,
			    "what the programs cost cannot be measured: %s%s; their budget is "
			    "not kept",
			    strerror(-fd), fd == -EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return FEATURE_NO;
	}
	close(fd);
	text_printf(detail, "tells what the programs cost");
	return FEATURE_YES;
}

size_t feature_check(struct feature features[static FEATURES_MAX])
{
	static const struct {
		const char *name;
		bool required;
		enum feature_verdict (*check)(struct text *detail);
	} checks[] = {
		{"kernel", false, check_kernel},	  {"BTF", true, check_btf},
		{"ring buffer", true, check_ring_buffer}, {"lockdown", false, check_lockdown},
		{"kprobes", false, check_kprobes},	  {"PSI", false, check_pressure},
		{"BPF run time", false, check_measuring},
	};
	size_t count = sizeof(checks) / sizeof(*checks);

	libbpf_set_print(NULL);
	for (size_t i = 0; i < count; i++) {
		struct text detail;

		features[i] =
			(struct feature){.name = checks[i].name, .required = checks[i].required};
		detail = TEXT(features[i].detail);
		features[i].verdict = checks[i].check(&detail);
	}
	for (size_t i = 0; i < capability_count; i++) {
		struct feature *feature = &features[count++];
		struct text detail;

		*feature = (struct feature){.name = capabilities[i].name,
					    .required = capabilities[i].required};
		detail = TEXT(feature->detail);
		feature->verdict = check_capability(&capabilities[i], &detail);
	}
	return count;
}
