/* What the measurements were made on and with: the `host`, `build` and machine name of every
 * record. No host name, user or path. */
#ifndef BM_ENVIRONMENT_H
#define BM_ENVIRONMENT_H

#include <jansson.h>
#include <stdint.h>

/* Processor, instruction sets, cores, a quota of processors if there is one, caches, memory,
 * kernel, governor, clock source, load; what is not known is null with "<name>_reason". */
json_t *bm_environment_host(void);

/* Version, compiler and flags of this program and the libraries it uses. */
json_t *bm_environment_build(void);

/* Cores this process may use: affinity, then the cgroup's quota rounded up. At least 1. */
uint32_t bm_environment_cores(void);

/* Size in bytes of the first processor's data or unified cache of a level, and how many processors
 * share it (at least 1); 0 if there is none or it is not known. */
uint64_t bm_environment_cache(uint32_t level, uint32_t *sharers);

/* Bytes of memory that this process could still get without swapping: the system's available
 * memory, or what its cgroup leaves of its limit if that is less. UINT64_MAX if unknown. */
uint64_t bm_environment_memory_available(void);

/* "AMD EPYC 9B14" as a folder name: letters, digits and '-', lower case. */
void bm_environment_machine(char *name, uint32_t capacity);

/* Git revision that the program was built from, or "unknown". */
const char *bm_environment_revision(void);

#endif
