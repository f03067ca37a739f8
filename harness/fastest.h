/* Which backend is the fastest here: what a command that wants only one takes where none is named.
 */
#ifndef BM_FASTEST_H
#define BM_FASTEST_H

#include "campaign.h"

/* Starts the row's worker if need be and opens a session of the campaign's case for this batch
 * size. 1 if the verdict is OK. */
int32_t bm_fastest_open(struct bm_campaign *campaign,
                        struct bm_row *row,
                        uint64_t batch,
                        struct bm_verdict *verdict);

/* Asks the open session ("calibrate", "check") for the time of an update, in ns; 0 if it could not
 * be had. */
double bm_fastest_ask_ns(struct bm_campaign *campaign,
                         struct bm_row *row,
                         const char *what,
                         struct bm_verdict *verdict);

/* The row whose update of `batch` images is the fastest, roughly timed, said on standard error
 * where there was a choice; INVALID if none can. Rows that compute nothing and plugins without a
 * device are passed over; that one failed is said there too. */
int32_t bm_fastest_row(struct bm_campaign *campaign, uint64_t batch, struct bm_row **fastest);

#endif
