/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_MEMORY_H
#define TOCSIN_BASE_MEMORY_H

/*
 * Keeps what is freed for what is allocated next, until memory_keep_no_more(). The kernel's type
 * information, for one, is read again by each object of programs: in fresh memory that takes ten
 * times as long, as each page of it is a fault. Once it was called, glibc does not adapt its
 * thresholds to what is freed any more: blocks of 128 KiB and more are then mapped, and given back
 * at once, for good.
 */
void memory_keep(void);

/* Gives back what was freed, and keeps no more of it. */
void memory_keep_no_more(void);

/*
 * Gives back what only the start has needed: freed memory, as memory_keep_no_more(), and the pages
 * of programs and libraries that are as their files are. Those that are needed again come back by
 * themselves, from the page cache. A node's memory is not the agent's to keep for what it runs
 * once.
 */
void memory_give_back(void);

#endif
