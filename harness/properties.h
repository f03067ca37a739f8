/*
 * What a user wants to know of a backend that keeps the contract: the properties of the conformance
 * suite. `check` and `list --verbose` find them out and keep them in the cache folder, by the
 * file's SHA-256, the device and its driver; `run` shows what is known and never spends time on it.
 */
#ifndef BM_PROPERTIES_H
#define BM_PROPERTIES_H

#include "conform_worker.h"

/* From the cache: an array of {name, status, reason} (the caller's), or NULL if they are not known.
 */
json_t *bm_properties_known(const struct bm_conform_subject *subject);

/* The same, found out now if they are not known; some seconds. NULL if a signal came. */
json_t *bm_properties_find(const struct bm_conform_subject *subject);

/* Keeps those among `objects` (of kind "case") that are properties of this subject, if all of the
 * suite's are there. A cache that cannot be written costs the next one its time. */
void bm_properties_keep(const struct bm_conform_subject *subject, const json_t *objects);

#endif
