/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_TCP_H
#define TOCSIN_PROBE_TCP_H

/*
 * The TCP probe: what the kernel knows of each remote address. Reading a record costs no system
 * call: the table is mapped.
 */

#include "base/address.h"
#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/peer.h"

/* The program that each received segment runs. */
#define TCP_PROBE_SEGMENTS "tcp_probe"

struct tcp_probe;

struct tcp_probe_settings {
	uint32_t max_peers;   /* 16 to 65536 */
	uint32_t max_groups;  /* control groups with records of their own; more than 0 */
	uint32_t netns_inode; /* 0: all network namespaces */
	struct cidr remote;   /* prefix 0: all */
	uint16_t port;	      /* either end; 0: all */
	bool loopback;	      /* count 127.0.0.0/8 and ::1 too */
};

/*
 * Loads and attaches what this kernel allows. Returns 0 even when single programs are missing:
 * tcp_probe_programs() tells. Returns a negative errno, with one line in 'error', when nothing can
 * be loaded at all.
 */
int tcp_probe_open(struct tcp_probe **ret_probe, const struct tcp_probe_settings *settings,
		   struct text *error);

/* Detaches and frees; NULL is fine. */
void tcp_probe_close(struct tcp_probe *probe);

/* One row a program, valid while the probe is open. */
const struct program_status *tcp_probe_programs(const struct tcp_probe *probe, size_t *ret_count);

/* Whether every program is attached that the verdicts rest on. */
bool tcp_probe_sees(const struct tcp_probe *probe);

/* Number of slots, and a bound below which all lie that have ever been used: slots can be asked for
 * below this bound, and those that tcp_probe_drain() tells. */
uint32_t tcp_probe_slots(const struct tcp_probe *probe);
uint32_t tcp_probe_slots_touched(struct tcp_probe *probe);

/* Copies a record. Returns false for a free slot or one that is just changing hands. */
bool tcp_probe_read(const struct tcp_probe *probe, uint32_t slot, struct peer_record *ret_record);

/* A slot's generation without copying the record: 0 when it is free. */
uint32_t tcp_probe_generation(const struct tcp_probe *probe, uint32_t slot);

/* The live record in the map, which the kernel changes at any time: for single fields. */
const volatile struct peer_record *tcp_probe_record(const struct tcp_probe *probe, uint32_t slot);

/* A pinned peer is never evicted. */
void tcp_probe_pin(struct tcp_probe *probe, uint32_t slot, bool pinned);

struct tcp_counters tcp_probe_counters(const struct tcp_probe *probe);

/* Hands on each control group with retransmits or failed connects, with its record in 'record'
 * meanwhile. Returns 0 or a negative errno. */
int tcp_probe_read_groups(const struct tcp_probe *probe, struct tcp_group_record *record,
			  void (*found)(void *context, const struct group_key *group),
			  void *context);

/* Makes room by taking over the record of a group that has been removed. What its last sockets
 * still do makes a new one. Returns whether there was one. */
bool tcp_probe_take_group(struct tcp_probe *probe, const struct group_key *group,
			  struct tcp_group_record *ret_record);

/* Of groups that found no room for a record, and of sockets whose group is not known. */
struct tcp_group_record tcp_probe_other_groups(const struct tcp_probe *probe);

/* Readable when the kernel wants the agent to look at a peer; empty it with tcp_probe_drain(). -1
 * when there is none. */
int tcp_probe_wakeup_fd(const struct tcp_probe *probe);

/* Calls 'woken' for each wakeup waiting. Returns how many, or a negative errno. */
int tcp_probe_drain(struct tcp_probe *probe, void (*woken)(void *context, uint32_t slot),
		    void *context);

/*
 * Looks through all open files of the machine for stalled sockets that have made progress unseen.
 * Some ms on a busy machine: for when sockets have been stalled for a while. Returns 0 or a
 * negative errno.
 */
int tcp_probe_sweep(struct tcp_probe *probe);

/* Stops or resumes the sampling of round-trip times, which all else does without. */
void tcp_probe_shed_rtt(struct tcp_probe *probe, bool shed);

/* Leaves this socket of our own out of the records. Returns 0 or a negative errno. */
int tcp_probe_ignore_socket(struct tcp_probe *probe, int fd);

#endif
