/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BPF_TRACE_H
#define TOCSIN_BPF_TRACE_H

/*
 * What every trace's programs have in common (maps/trace.h): the mode, the ring of events, the
 * epoch of aggregates, and who loses what. Constants are set by the runner before loading.
 */

#include "maps/trace.h"

const volatile __u32 trace_mode = TRACE_MODE_EVENTS;
/* Events below this are left out; 0: none. */
const volatile __u64 filter_min_ns = 0;

struct trace_counters trace_counters = {};
volatile __u32 trace_epoch = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1024 * 1024);
} events SEC(".maps");

/* Room for a record in the ring, with its time set, or NULL (counted). It must be given back with
 * bpf_ringbuf_submit() or bpf_ringbuf_discard(). */
#define event_reserve(type, time)                                              \
	({                                                                     \
		type *record_ = bpf_ringbuf_reserve(&events, sizeof(type), 0); \
		if (record_)                                                   \
			record_->event.time_ns = (time);                       \
		else                                                           \
			__sync_fetch_and_add(&trace_counters.events_lost, 1);  \
		record_;                                                       \
	})

/* A time in the histogram at 'key' of a map from the trace's keys to struct trace_histogram, made
 * when there is none yet. */
static __always_inline void histogram_add(void *map, const void *key, __u64 time_ns)
{
	static const struct trace_histogram none = {};
	struct trace_histogram *histogram = bpf_map_lookup_elem(map, key);
	__u64 time_us = time_ns / 1000;
	__u32 bucket;

	if (!histogram) {
		/* Another CPU may be first; what counts is that it is there then. */
		bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
		histogram = bpf_map_lookup_elem(map, key);
		if (!histogram) {
			__sync_fetch_and_add(&trace_counters.updates_lost, 1);
			return;
		}
	}
	bucket = histogram_bucket(time_us > HISTOGRAM_MAX_US ? HISTOGRAM_MAX_US + 1 : time_us);
	if (bucket < HISTOGRAM_BUCKETS)
		__sync_fetch_and_add(&histogram->counts[bucket], 1);
	__sync_fetch_and_add(&histogram->sum_ns, time_ns);
}

#endif
