/* Resident memory of a process, as Linux counts it: what lies in memory, shared pages included. */
#ifndef BM_RESIDENT_H
#define BM_RESIDENT_H

#include <stdint.h>
#include <sys/types.h>

/* Forgets the peak of this process, so that it is the present size again. 0 if the system does not
 * let it. */
int32_t bm_resident_reset_peak(void);

/* Bytes now, of this process, and at most since the last reset, of any; 0 if unknown. */
uint64_t bm_resident_bytes(void);
uint64_t bm_resident_peak_bytes(pid_t pid);

#endif
