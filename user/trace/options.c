// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/options.h"

#include "base/block_device.h"
#include "base/clock.h"
#include "trace/pod_logs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERVAL_MAX_S 86400.0
#define POD_PREFIX     "pod:"

enum { OPTION_BY = 256, OPTION_LIST, OPTION_EVENTS };

static const struct option long_options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"cgroup", required_argument, NULL, 'g'},
	{"netns", required_argument, NULL, 'n'},
	{"device", required_argument, NULL, 'd'},
	{"remote", required_argument, NULL, 'r'},
	{"port", required_argument, NULL, 'P'},
	{"ipv4", no_argument, NULL, '4'},
	{"ipv6", no_argument, NULL, '6'},
	{"min", required_argument, NULL, 'm'},
	{"output", required_argument, NULL, 'o'},
	{"timestamps", no_argument, NULL, 't'},
	{"duration", required_argument, NULL, 'D'},
	{"verbose", no_argument, NULL, 'v'},
	{"histogram", no_argument, NULL, 'H'},
	{"events", no_argument, NULL, OPTION_EVENTS},
	{"by", required_argument, NULL, OPTION_BY},
	{"list", no_argument, NULL, OPTION_LIST},
	{"help", no_argument, NULL, 'h'},
	{0},
};

__attribute__((format(printf, 2, 3))) static int complain(const struct trace_options *options,
							  const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "tocsin trace%s%s: ", options->trace ? " " : "",
		options->trace ? options->trace->name : "");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return -EINVAL;
}

static void print_probes(void)
{
	printf("Usage: tocsin trace PROBE [OPTION...] [INTERVAL [COUNT]]\n"
	       "       tocsin trace --list\n\n"
	       "Shows what the kernel does, as it happens. PROBE is one of\n\n");
	for (size_t i = 0; i < trace_count; i++)
		printf("  %-8s %s\n", traces[i]->name, traces[i]->summary);
}

static void print_help(const struct trace_options *options)
{
	const struct trace *trace = options->trace;

	if (trace)
		printf("Usage: tocsin trace %s [OPTION...] [INTERVAL [COUNT]]\n\nShows %s.\n",
		       trace->name, trace->summary);
	else
		print_probes();
	printf("\n  -p, --pid PID          of this process, threads included\n"
	       "  -g, --cgroup CGROUP    of this cgroup and those below it: a path in the v2 tree, "
	       "a\n"
	       "                         container id, or pod:NAMESPACE/NAME\n"
	       "  -n, --netns NETNS      of this network namespace: own, an inode number, a name "
	       "of\n"
	       "                         `ip netns` or a path\n"
	       "  -d, --device DEVICE    of this block device: sda, /dev/sda1\n"
	       "  -r, --remote ADDRESS   with this remote address or network (CIDR)\n"
	       "  -P, --port PORT        with this port at either end\n"
	       "  -4, -6                 IPv4 or IPv6 only\n"
	       "  -m, --min TIME         at least this long: 500us, 10ms, 1s (a plain number: ms)\n"
	       "  -H, --histogram        a distribution instead of events\n"
	       "      --events           events instead of what is summed up\n"
	       "      --by KEY           one histogram for each KEY\n"
	       "  -o, --output FORMAT    table, json (one object a line) or csv\n"
	       "  -t, --timestamps       begin each line of a table with the time of day\n"
	       "  -D, --duration SECONDS end after so long\n"
	       "  -v, --verbose          finer buckets; which programs are attached\n"
	       "      --list             the probes, their hooks, and whether each is usable now\n"
	       "  -h, --help             this text\n\n"
	       "INTERVAL is in seconds; COUNT is how many of them. ^C and SIGTERM end a trace "
	       "with\n"
	       "a summary. Exit status: 0 done, 1 failed, 2 wrong usage.\n");
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	*ret_number = strtoull(text, &end, 10);
	return *end || errno || *ret_number > max ? -EINVAL : 0;
}

static int parse_seconds(const char *text, uint64_t *ret_ns)
{
	double seconds;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	seconds = strtod(text, &end);
	if (*end || !(seconds >= 0.01 && seconds <= INTERVAL_MAX_S))
		return -EINVAL;
	*ret_ns = (uint64_t)(seconds * (double)NS_PER_S);
	return 0;
}

static int parse_time(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"", 1e6}};
	double value;
	char *end;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	value = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit))
			continue;
		if (!(value >= 0 && value * units[i].ns <= INTERVAL_MAX_S * 1e9))
			return -EINVAL;
		*ret_ns = (uint64_t)(value * units[i].ns);
		return 0;
	}
	return -EINVAL;
}

static int parse_netns(const char *text, uint32_t *ret_inode)
{
	char path[512];
	struct stat status;
	uint64_t number;

	if (!parse_number(text, UINT32_MAX, &number) && number) {
		*ret_inode = (uint32_t)number;
		return 0;
	}
	if (!strcmp(text, "all")) {
		*ret_inode = 0;
		return 0;
	}
	if (!strcmp(text, "own"))
		snprintf(path, sizeof(path), "/proc/self/ns/net");
	else if (strchr(text, '/'))
		snprintf(path, sizeof(path), "%s", text);
	else
		snprintf(path, sizeof(path), "/run/netns/%s", text);
	if (stat(path, &status))
		return -errno;
	*ret_inode = (uint32_t)status.st_ino;
	return 0;
}

struct pod_search {
	int tree;
	int r; /* -ENOENT: none of them has a group */
	struct cgroup_place place;
};

static void find_pod_of(void *context, const char *uid)
{
	struct pod_search *search = context;
	int r;

	/* The one that has a group is the one that runs. */
	if (search->r == -ENOENT) {
		r = cgroup_find_pod(search->tree, uid, &search->place);
		search->r = r;
	}
}

static int parse_pod(const struct trace_options *options, const char *text, int tree,
		     struct cgroup_place *ret_place)
{
	struct pod_search search = {.tree = tree, .r = -ENOENT};
	char namespace[POD_NAMESPACE_BYTES];
	const char *slash = strchr(text, '/');
	int known;

	if (!slash || slash == text || !slash[1] || strchr(slash + 1, '/') ||
	    (size_t)(slash - text) >= sizeof(namespace))
		return complain(options, "-g: '%s' is no pod, expected pod:NAMESPACE/NAME", text);
	snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - text), text);
	known = pod_logs_uids(namespace, slash + 1, &search, find_pod_of);
	if (known < 0)
		return complain(options,
				"-g: pods are known by the kubelet's " POD_LOGS_PATH
				", which cannot be read: %s",
				strerror(-known));
	if (!known)
		return complain(options, "-g: no pod '%s' on this node: " POD_LOGS_PATH " has none",
				text);
	if (search.r == -ENOENT)
		return complain(options, "-g: pod '%s' has no cgroup in the v2 tree: does it run?",
				text);
	if (search.r)
		return complain(options, "-g: the cgroup of pod '%s': %s", text,
				strerror(-search.r));
	*ret_place = search.place;
	return 0;
}

static int parse_cgroup(const struct trace_options *options, const char *text,
			struct cgroup_place *ret_place)
{
	int tree = cgroup_open_tree();
	int r;

	if (tree == -ENOENT)
		return complain(options, "-g: no cgroup v2 tree is mounted here");
	if (tree >= 0 && !strncmp(text, POD_PREFIX, strlen(POD_PREFIX))) {
		r = parse_pod(options, text + strlen(POD_PREFIX), tree, ret_place);
		close(tree);
		return r;
	}
	r = tree < 0 ? tree : cgroup_find(tree, text, ret_place);
	if (tree >= 0)
		close(tree);
	if (r == -EEXIST)
		return complain(options, "-g: several cgroups have '%s' in their name", text);
	if (r)
		return complain(options, "-g: no cgroup '%s' in the v2 tree: %s", text,
				strerror(-r));
	return 0;
}

static int parse_by(struct trace_options *options, const char *text)
{
	const struct grouping *groupings = options->trace->groupings;
	char known[128] = "";
	struct text names = TEXT(known);

	for (size_t i = 0; i < GROUPINGS_MAX && groupings[i].name; i++) {
		if (!strcmp(groupings[i].name, text)) {
			options->grouping = &groupings[i];
			options->mode = TRACE_MODE_HISTOGRAM;
			return 0;
		}
		text_printf(&names, "%s%s", i ? ", " : "", groupings[i].name);
	}
	if (!known[0])
		return complain(options, "it has no histogram, and so no --by");
	return complain(options, "--by: '%s' is none of %s", text, known);
}

static int set_mode(struct trace_options *options, enum trace_mode mode, const char *option)
{
	static const char *const words[] = {"events", "histogram", "counts"};

	if (!trace_has_mode(options->trace, mode))
		return complain(options, "it has no %s, and so no %s", words[mode], option);
	options->mode = mode;
	return 0;
}

static int parse_option(struct trace_options *options, int letter, const char *argument)
{
	uint64_t number;
	int r;

	if (letter < 256 && strchr("pgndrP46m", letter) && !strchr(options->trace->options, letter))
		return complain(options, "it takes no -%c; it shows %s", letter,
				options->trace->summary);
	switch (letter) {
	case 'p':
		if (parse_number(argument, INT32_MAX, &number) || !number)
			return complain(options, "-p: '%s' is no process id", argument);
		options->pid = (uint32_t)number;
		return 0;
	case 'g':
		return parse_cgroup(options, argument, &options->cgroup);
	case 'n':
		r = parse_netns(argument, &options->netns_inode);
		return r ? complain(options, "-n: no network namespace '%s': %s", argument,
				    strerror(-r))
			 : 0;
	case 'd':
		r = block_device_find(argument, &options->device);
		return r ? complain(options, "-d: no block device '%s': %s", argument, strerror(-r))
			 : 0;
	case 'r':
		return cidr_parse(argument, &options->remote)
			       ? complain(options,
					  "-r: '%s' is no address and no network in CIDR notation "
					  "(host bits must be 0)",
					  argument)
			       : 0;
	case 'P':
		if (parse_number(argument, UINT16_MAX, &number) || !number)
			return complain(options, "-P: '%s' is no port (1 to 65535)", argument);
		options->port = (uint16_t)number;
		return 0;
	case '4':
	case '6':
		options->family = letter == '4' ? AF_INET : AF_INET6;
		return 0;
	case 'm':
		if (parse_time(argument, &options->min_ns))
			return complain(options, "-m: '%s' is no time (500us, 10ms, 1s)", argument);
		/* What is asked for by its length is asked for one by one. */
		if (trace_has_mode(options->trace, TRACE_MODE_EVENTS))
			options->mode = TRACE_MODE_EVENTS;
		return 0;
	case 'o':
		if (!strcmp(argument, "table"))
			options->format = TRACE_FORMAT_TABLE;
		else if (!strcmp(argument, "json"))
			options->format = TRACE_FORMAT_JSON;
		else if (!strcmp(argument, "csv"))
			options->format = TRACE_FORMAT_CSV;
		else
			return complain(options, "-o: '%s' is none of table, json, csv", argument);
		return 0;
	case 't':
		options->timestamps = true;
		return 0;
	case 'D':
		return parse_seconds(argument, &options->duration_ns)
			       ? complain(options, "-D: '%s' is no time in seconds (0.01 to 86400)",
					  argument)
			       : 0;
	case 'v':
		options->verbose = true;
		return 0;
	case 'H':
		return set_mode(options, TRACE_MODE_HISTOGRAM, "-H");
	case OPTION_EVENTS:
		return set_mode(options, TRACE_MODE_EVENTS, "--events");
	case OPTION_BY:
		return parse_by(options, argument);
	default:
		return -EINVAL;
	}
}

static int parse_interval(struct trace_options *options, bool mode_chosen, int argc, char **argv)
{
	if (argc > 2)
		return complain(options, "'%s' is too much: INTERVAL and COUNT are the last",
				argv[2]);
	if (argc > 0) {
		if (parse_seconds(argv[0], &options->interval_ns))
			return complain(options, "'%s' is no INTERVAL in seconds (0.01 to 86400)",
					argv[0]);
		if (!mode_chosen)
			options->mode = options->trace->interval_mode;
		if (options->mode == TRACE_MODE_EVENTS && !options->trace->polls)
			return complain(options,
					"events are shown as they happen, without INTERVAL");
	}
	if (argc > 1 && (parse_number(argv[1], UINT32_MAX, &options->count) || !options->count))
		return complain(options, "'%s' is no COUNT", argv[1]);
	if (!argc && options->mode == options->trace->mode)
		options->interval_ns = options->trace->default_interval_s * NS_PER_S;
	return 0;
}

int trace_options_parse(int argc, char **argv, struct trace_options *ret_options)
{
	struct trace_options options = {0};
	bool mode_chosen = false;
	int letter, r;

	/* The probe comes first, so that each option can be held against it. */
	if (argc > 1 && argv[1][0] != '-') {
		options.trace = trace_find(argv[1]);
		if (!options.trace)
			return complain(&options,
					"unknown probe '%s'; `tocsin trace --list` names them",
					argv[1]);
		options.mode = options.trace->mode;
		argc--;
		argv++;
	}
	optind = 0; /* starts anew, also for a second command line (glibc) */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "+:p:g:n:d:r:P:46m:o:tD:vHh", long_options,
				     NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (letter == 'h') {
			print_help(&options);
			return -ECANCELED;
		}
		if (letter == OPTION_LIST) {
			options.list = true;
			continue;
		}
		if (letter == ':')
			return complain(&options, "'%s' needs an argument", word);
		if (letter == '?' || (!options.trace && letter != 'o' && letter != 'v'))
			return complain(&options,
					letter == '?' ? "'%s' is no option"
						      : "'%s' comes after the PROBE",
					word);
		if (!options.trace) {
			/* Of --list: see its own formats. */
			if (letter == 'o' && !strcmp(optarg, "json"))
				options.format = TRACE_FORMAT_JSON;
			continue;
		}
		r = parse_option(&options, letter, optarg);
		if (r)
			return r;
		mode_chosen |= letter == 'H' || letter == OPTION_EVENTS || letter == OPTION_BY ||
			       letter == 'm';
	}
	if (options.list) {
		*ret_options = options;
		return 0;
	}
	if (!options.trace)
		return complain(&options, "which PROBE? `tocsin trace --list` names them");
	r = parse_interval(&options, mode_chosen, argc - optind, argv + optind);
	if (r)
		return r;
	if (options.mode == TRACE_MODE_HISTOGRAM && !options.grouping)
		options.grouping = &options.trace->groupings[0];
	*ret_options = options;
	return 0;
}
